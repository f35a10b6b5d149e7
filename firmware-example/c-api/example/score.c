/* Goes on with a prompt, and scores it: the text and the bits that `emberlm generate` and `emberlm eval` give. */

#include "example.h"

#include <emberlm.h>
#include <string.h>

static const char PROMPT[] = "all the world is a stage";

/* For `model.blob`, whose positions are 48; emberlm_session_bytes says what another model takes. */
enum { MEMORY_BYTES = 20 * 1024, MAX_TOKENS = 64 };
static _Alignas(EMBERLM_ALIGNMENT) uint8_t memory[MEMORY_BYTES];

static void say_text(const char *text) { say(text, strlen(text)); }

static void say_hex(uint64_t bits) {
    char digits[16];
    for (int i = 0; i < 16; i++) digits[i] = "0123456789abcdef"[(bits >> (60 - 4 * i)) & 15];
    say(digits, sizeof digits);
}

static void say_number(size_t n) {
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    say(digits + at, sizeof digits - at);
}

static void hear_text(void *context, const char *text, size_t bytes) {
    (void)context;
    say(text, bytes);
}

static emberlm_status run(const uint8_t *blob, size_t blob_bytes) {
    emberlm_model model;
    emberlm_status status = emberlm_inspect(blob, blob_bytes, &model);
    if (status != EMBERLM_OK) return status;

    const emberlm_run how = {
        .order = EMBERLM_TOKEN_MAJOR, .kv_type = EMBERLM_KV_F32, .n_ctx = model.n_ctx, .batch = 1};
    size_t need;
    status = emberlm_session_bytes(blob, blob_bytes, &how, &need);
    if (status != EMBERLM_OK) return status;
    say_text("memory: ");
    say_number(need);
    say_text("\n");

    emberlm_session *session;
    status = emberlm_open(blob, blob_bytes, &how, memory, sizeof memory, &session);
    if (status != EMBERLM_OK) return status;
    status = emberlm_self_test(session);
    if (status != EMBERLM_OK) return status;

    uint32_t tokens[MAX_TOKENS];
    size_t n;
    status = emberlm_encode(session, PROMPT, strlen(PROMPT), tokens, MAX_TOKENS, &n);
    if (status != EMBERLM_OK) return status;
    emberlm_score score;
    status = emberlm_nll(session, tokens, n, 0, NULL, NULL, &score);
    if (status != EMBERLM_OK) return status;
    uint64_t bits;
    memcpy(&bits, &score.nll, sizeof bits);
    say_text("nll bits: ");
    say_hex(bits);
    say_text("\ntext: ");

    emberlm_settings settings;
    emberlm_default_settings(&settings);
    settings.seed = 1;
    const emberlm_listener listener = {.text = hear_text};
    say_text(PROMPT);
    status = emberlm_generate(session, tokens, n, &settings, 40, &listener);
    say_text("\n");
    return status;
}

int example(const uint8_t *blob, size_t blob_bytes) {
    const emberlm_status status = run(blob, blob_bytes);
    say_text(emberlm_status_text(status));
    say_text("\n");
    return status == EMBERLM_OK ? 0 : 1;
}
