/* What a program may do wrong, and what is right: each call's status. Prints the line of what is not so. */

#include <emberlm.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

#define IS(call, want)                                                                                    \
    do {                                                                                                  \
        const emberlm_status have = (call);                                                               \
        if (have != (want)) {                                                                             \
            printf("line %d: %s is %d (%s), not %s\n", __LINE__, #call, (int)have,                        \
                   emberlm_status_text(have), #want);                                                     \
            failures++;                                                                                   \
        }                                                                                                 \
    } while (0)
#define HOLDS(what)                                                                                       \
    do {                                                                                                  \
        if (!(what)) printf("line %d: not so: %s\n", __LINE__, #what), failures++;                        \
    } while (0)

static emberlm_session *session;
static size_t heard = 0, written = 0;
static double heard_nll = 0;
static char text_heard[4096];

static void hear_nll(void *context, float nll) {
    HOLDS(context == &heard);
    heard++;
    heard_nll += nll;
    IS(emberlm_reset(session), EMBERLM_NOT_OPEN);
}

static bool hear_token(void *context, uint32_t token, float nll) {
    (void)token;
    HOLDS(nll >= 0);
    return ++*(size_t *)context < 5;
}

static void hear_text(void *context, const char *text, size_t bytes) {
    (void)context;
    memcpy(text_heard + written, text, bytes);
    written += bytes;
}

/* The file, at a multiple of 16 and with a copy's room behind it. */
static uint8_t *read(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) exit(2);
    *bytes = (size_t)ftell(file);
    rewind(file);
    uint8_t *blob = aligned_alloc(16, (*bytes + 31) / 16 * 16);
    if (fread(blob, 1, *bytes, file) != *bytes) exit(2);
    fclose(file);
    return blob;
}

static emberlm_run run_of(uint32_t order, uint32_t kv_type, uint32_t n_ctx, uint32_t batch) {
    return (emberlm_run){.order = order, .kv_type = kv_type, .n_ctx = n_ctx, .batch = batch};
}

static void blobs(uint8_t *blob, size_t bytes) {
    emberlm_model model;
    const emberlm_run run = run_of(EMBERLM_TOKEN_MAJOR, EMBERLM_KV_F32, 8, 1);
    size_t need;
    IS(emberlm_inspect(NULL, bytes, &model), EMBERLM_NULL);
    IS(emberlm_inspect(blob, bytes, NULL), EMBERLM_NULL);
    IS(emberlm_inspect(blob + 1, bytes - 1, &model), EMBERLM_MISALIGNED);
    IS(emberlm_inspect(blob, SIZE_MAX, &model), EMBERLM_BAD_VALUE);
    IS(emberlm_inspect(blob, 0, &model), EMBERLM_DAMAGED);
    for (size_t cut = 1; cut < bytes; cut += 97) {
        const emberlm_status status = emberlm_inspect(blob, cut, &model);
        HOLDS(status == EMBERLM_DAMAGED || status == EMBERLM_NOT_A_BLOB);
    }
    HOLDS(emberlm_inspect(blob, bytes, &model) == EMBERLM_OK && model.blob_bytes == bytes && model.has_tokenizer);
    IS(emberlm_session_bytes(blob, bytes, NULL, &need), EMBERLM_NULL);
    IS(emberlm_session_bytes(blob, bytes, &run, NULL), EMBERLM_NULL);
    const emberlm_run bad[] = {run_of(2, 0, 8, 1), run_of(1, 3, 8, 1), run_of(1, 0, 0, 1), run_of(1, 0, 8, 0),
                               run_of(1, 0, 8, 9), run_of(1, 0, model.n_ctx + 1, 1)};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        IS(emberlm_session_bytes(blob, bytes, &bad[i], &need), EMBERLM_BAD_VALUE);

    IS(emberlm_session_bytes(blob, bytes, &run, &need), EMBERLM_OK);
    /* One byte more than is said to be needed, which has to stay as it is. */
    uint8_t *memory = aligned_alloc(16, need + 16);
    memset(memory, 0xa5, need + 16);
    IS(emberlm_open(blob, bytes, &run, NULL, need, &session), EMBERLM_NULL);
    IS(emberlm_open(blob, bytes, &run, memory, need, NULL), EMBERLM_NULL);
    IS(emberlm_open(blob, bytes, &run, memory + 8, need, &session), EMBERLM_MISALIGNED);
    IS(emberlm_open(blob, bytes, &run, memory, need - 1, &session), EMBERLM_TOO_SMALL);
    HOLDS(session == NULL);
    IS(emberlm_reset((emberlm_session *)memory), EMBERLM_NOT_OPEN);
    IS(emberlm_reset(NULL), EMBERLM_NULL);
    IS(emberlm_reset((emberlm_session *)(memory + 1)), EMBERLM_MISALIGNED);
    blob[bytes / 2] ^= 1;
    IS(emberlm_open(blob, bytes, &run, memory, need, &session), EMBERLM_DAMAGED);
    blob[bytes / 2] ^= 1;
    IS(emberlm_open(blob, bytes, &run, memory, need, &session), EMBERLM_OK);
    HOLDS(memory[need] == 0xa5);
    free(memory);
}

static void sessions(const uint8_t *blob, size_t bytes) {
    emberlm_model model;
    emberlm_inspect(blob, bytes, &model);
    const emberlm_run run = run_of(EMBERLM_TOKEN_MAJOR, EMBERLM_KV_I8, model.n_ctx, 4);
    size_t need, n;
    IS(emberlm_session_bytes(blob, bytes, &run, &need), EMBERLM_OK);
    uint8_t *memory = aligned_alloc(16, need + 16);
    memset(memory, 0xa5, need + 16);
    IS(emberlm_open(blob, bytes, &run, memory, need, &session), EMBERLM_OK);
    IS(emberlm_self_test(session), EMBERLM_OK);

    uint32_t tokens[64];
    char text[64];
    IS(emberlm_encode(session, "a stage", 7, tokens, 3, &n), EMBERLM_TOO_SMALL);
    HOLDS(n > 3);
    IS(emberlm_encode(session, "a\xff", 2, tokens, 64, &n), EMBERLM_NOT_UTF8);
    IS(emberlm_encode(session, "a\xf0\x9d\x84\x9e", 5, tokens, 64, &n), EMBERLM_NO_TOKEN_FOR_TEXT);
    IS(emberlm_encode(session, NULL, 1, tokens, 64, &n), EMBERLM_NULL);
    IS(emberlm_encode(session, NULL, 0, NULL, 0, &n), model.adds_bos ? EMBERLM_TOO_SMALL : EMBERLM_OK);
    IS(emberlm_encode(session, "a stage", 7, (uint32_t *)((char *)tokens + 1), 63, &n), EMBERLM_MISALIGNED);
    IS(emberlm_encode(session, "a stage", 7, tokens, 64, &n), EMBERLM_OK);
    const size_t n_tokens = n;
    IS(emberlm_decode(session, tokens, n_tokens, text, 3, &n), EMBERLM_TOO_SMALL);
    HOLDS(n == 7);
    IS(emberlm_decode(session, tokens, n_tokens, text, sizeof text, &n), EMBERLM_OK);
    HOLDS(n == 7 && memcmp(text, "a stage", 7) == 0);
    const uint32_t none = model.n_vocab;
    IS(emberlm_decode(session, &none, 1, text, sizeof text, &n), EMBERLM_NO_TEXT_FOR_TOKEN);

    /* The loss of the last token, from its logits. */
    emberlm_score score;
    IS(emberlm_nll(session, NULL, 0, 0, NULL, NULL, &score), EMBERLM_EMPTY);
    IS(emberlm_nll(session, tokens, 1, 0, NULL, NULL, &score), EMBERLM_OK);
    HOLDS(score.n == 0);
    IS(emberlm_nll(session, &none, 1, 0, NULL, NULL, NULL), EMBERLM_NULL);
    const uint32_t wrong[] = {0, none};
    IS(emberlm_nll(session, wrong, 2, 0, NULL, NULL, &score), EMBERLM_NO_SUCH_TOKEN);
    IS(emberlm_nll(session, tokens, n_tokens, 0, hear_nll, &heard, &score), EMBERLM_OK);
    HOLDS(score.n == n_tokens - 1 && heard == score.n && fabs(heard_nll - score.nll) < 1e-9);
    IS(emberlm_nll(session, tokens, n_tokens, n_tokens - 2, NULL, NULL, &score), EMBERLM_OK);
    HOLDS(score.n == 1);
    IS(emberlm_reset(session), EMBERLM_OK);
    float *logits = malloc(model.n_vocab * sizeof *logits);
    IS(emberlm_forward(session, tokens, n_tokens - 1, logits, model.n_vocab - 1), EMBERLM_TOO_SMALL);
    IS(emberlm_forward(session, tokens, 2, NULL, 0), EMBERLM_OK);
    IS(emberlm_forward(session, tokens + 2, n_tokens - 3, logits, model.n_vocab), EMBERLM_OK);
    IS(emberlm_n_past(session, &n), EMBERLM_OK);
    HOLDS(n == n_tokens - 1);
    double sum = 0;
    for (uint32_t i = 0; i < model.n_vocab; i++) sum += exp(logits[i]);
    HOLDS(fabs(log(sum) - logits[tokens[n_tokens - 1]] - score.nll) < 1e-4);
    IS(emberlm_forward(session, NULL, 0, logits, model.n_vocab), EMBERLM_EMPTY);
    IS(emberlm_forward(session, &none, 1, NULL, 0), EMBERLM_NO_SUCH_TOKEN);
    for (n = n_tokens - 1; n < model.n_ctx; n++) IS(emberlm_forward(session, tokens, 1, NULL, 0), EMBERLM_OK);
    IS(emberlm_forward(session, tokens, 1, NULL, 0), EMBERLM_CONTEXT_FULL);
    free(logits);

    emberlm_settings settings;
    IS(emberlm_default_settings(NULL), EMBERLM_NULL);
    IS(emberlm_default_settings(&settings), EMBERLM_OK);
    size_t drawn = 0;
    emberlm_listener listener = {.context = &drawn, .token = hear_token, .text = hear_text};
    IS(emberlm_generate(session, tokens, n_tokens, NULL, 9, &listener), EMBERLM_NULL);
    IS(emberlm_generate(session, tokens, n_tokens, &settings, 9, NULL), EMBERLM_NULL);
    IS(emberlm_generate(session, tokens, 0, &settings, 9, &listener), EMBERLM_EMPTY);
    IS(emberlm_generate(session, &none, 1, &settings, 9, &listener), EMBERLM_NO_SUCH_TOKEN);
    IS(emberlm_generate(session, tokens, n_tokens, &settings, 9, &listener), EMBERLM_STOPPED);
    HOLDS(drawn == 5 && written > 0 && written < 9);
    listener.token = NULL;
    written = 0;
    IS(emberlm_generate(session, tokens, n_tokens, &settings, 1000, &listener), EMBERLM_OK);
    HOLDS(written > 9);
    settings.temperature = -1;
    IS(emberlm_generate(session, tokens, n_tokens, &settings, 9, &listener), EMBERLM_BAD_SETTINGS);
    HOLDS(memory[need] == 0xa5);
    free(memory);

    /* Layer by layer there is one window, and nothing after it. */
    const emberlm_run layers = run_of(EMBERLM_LAYER_MAJOR, EMBERLM_KV_F16, 16, 16);
    IS(emberlm_session_bytes(blob, bytes, &layers, &need), EMBERLM_OK);
    memory = aligned_alloc(16, need);
    IS(emberlm_open(blob, bytes, &layers, memory, need, &session), EMBERLM_OK);
    emberlm_default_settings(&settings);
    IS(emberlm_generate(session, tokens, n_tokens, &settings, 9, &listener), EMBERLM_CANNOT_CONTINUE);
    IS(emberlm_nll(session, tokens, n_tokens, 0, NULL, NULL, &score), EMBERLM_OK);
    IS(emberlm_forward(session, tokens, 1, NULL, 0), EMBERLM_CANNOT_CONTINUE);
    IS(emberlm_nll(session, tokens, n_tokens, 0, NULL, NULL, &score), EMBERLM_OK);
    free(memory);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    size_t bytes;
    uint8_t *blob = read(argv[1], &bytes);
    blobs(blob, bytes);
    sessions(blob, bytes);
    HOLDS(strcmp(emberlm_status_text(-1), "no such status") == 0);
    HOLDS(strcmp(emberlm_status_text(EMBERLM_OTHER + 1), "no such status") == 0);
    free(blob);
    return failures != 0;
}
