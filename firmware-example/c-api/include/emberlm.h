/* Emberlm for programs in C: GPTs on microcontrollers, measured.
 *
 * Made of the sources in src/ by cbindgen; what is here is changed there.
 *
 * Everything lives in memory that the caller owns. Each pointer is checked for being null and for its alignment, each
 * length against what is needed, and each handle for having been opened; that memory is there, as long as said and
 * nobody else's meanwhile, is the caller's word. No call unwinds into C. A session is used by one thread at a time. */

#ifndef EMBERLM_H
#define EMBERLM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 Blob and memory begin at a multiple of so many bytes.
 */
#define EMBERLM_ALIGNMENT 16

/*
 No token: where a blob names none.
 */
#define EMBERLM_NO_TOKEN 4294967295

/*
 A whole window through one layer, then the next: the least memory to score by. It does not generate.
 */
#define EMBERLM_LAYER_MAJOR 0

/*
 A batch of positions through all layers, then the next: scores, generates and continues.
 */
#define EMBERLM_TOKEN_MAJOR 1

/*
 Keys and values as 32-bit floats.
 */
#define EMBERLM_KV_F32 0

/*
 Keys and values as 16-bit floats.
 */
#define EMBERLM_KV_F16 1

/*
 Keys and values as 8-bit integers.
 */
#define EMBERLM_KV_I8 2

/*
 What became of a call.
 */
enum emberlm_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /*
     It is done.
     */
    EMBERLM_OK = 0,
    /*
     A pointer is null that may not be.
     */
    EMBERLM_NULL = 1,
    /*
     A pointer is not aligned: blob and memory to `EMBERLM_ALIGNMENT`, others as their types are.
     */
    EMBERLM_MISALIGNED = 2,
    /*
     Memory or a buffer is too small; the function's page says where it tells what is needed.
     */
    EMBERLM_TOO_SMALL = 3,
    /*
     The handle is of no session that was opened.
     */
    EMBERLM_NOT_OPEN = 4,
    /*
     A number stands for nothing: an order or a type of KV cache that is none, or a count of 0.
     */
    EMBERLM_BAD_VALUE = 5,
    /*
     The bytes are no blob, or of another version.
     */
    EMBERLM_NOT_A_BLOB = 6,
    /*
     The blob is cut off or damaged.
     */
    EMBERLM_DAMAGED = 7,
    /*
     The model needs what this build of the library leaves out.
     */
    EMBERLM_LEFT_OUT = 8,
    /*
     The blob has no tokenizer.
     */
    EMBERLM_NO_TOKENIZER = 9,
    /*
     The text is not UTF-8.
     */
    EMBERLM_NOT_UTF8 = 10,
    /*
     A character of the text has no token.
     */
    EMBERLM_NO_TOKEN_FOR_TEXT = 11,
    /*
     A token stands for no text.
     */
    EMBERLM_NO_TEXT_FOR_TOKEN = 12,
    /*
     A token is not below `n_vocab`.
     */
    EMBERLM_NO_SUCH_TOKEN = 13,
    /*
     There are no tokens to work on.
     */
    EMBERLM_EMPTY = 14,
    /*
     The tokens do not fit the positions that are left.
     */
    EMBERLM_CONTEXT_FULL = 15,
    /*
     A session of layer-major order takes one window after each `emberlm_reset`, and does not generate.
     */
    EMBERLM_CANNOT_CONTINUE = 16,
    /*
     A sampler's setting is out of its range.
     */
    EMBERLM_BAD_SETTINGS = 17,
    /*
     The model's logits have no softmax.
     */
    EMBERLM_NOT_A_NUMBER = 18,
    /*
     A listener wanted no more.
     */
    EMBERLM_STOPPED = 19,
    /*
     The self-test gave other bits than recorded: build, memory or processor are at fault.
     */
    EMBERLM_SELF_TEST_FAILED = 20,
    /*
     The blob has no self-test for this KV cache type, or it does not fit the session's positions.
     */
    EMBERLM_NOT_TESTED = 21,
    /*
     What this version of the library has no number for.
     */
    EMBERLM_OTHER = 22,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum emberlm_status emberlm_status;
#else
typedef int32_t emberlm_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/*
 A model at work: a handle into the memory that it was opened in. It ends when that memory is used for something else.
 */
typedef struct emberlm_session emberlm_session;

/*
 What a blob says of its model.
 */
typedef struct {
    /*
     Bytes of the blob; what was handed in may be longer.
     */
    size_t blob_bytes;
    /*
     Tokens of the vocabulary.
     */
    uint32_t n_vocab;
    /*
     Tokens of the vocabulary that this one was cut from, 0 where it is whole.
     */
    uint32_t pruned_from;
    /*
     The most positions.
     */
    uint32_t n_ctx;
    /*
     The width of the residual stream.
     */
    uint32_t n_embd;
    /*
     Layers.
     */
    uint32_t n_layer;
    /*
     Heads of queries.
     */
    uint32_t n_head;
    /*
     Heads of keys and values.
     */
    uint32_t n_kv_head;
    /*
     The width of a head.
     */
    uint32_t head_dim;
    /*
     The width of an MLP's hidden layer.
     */
    uint32_t n_ff;
    /*
     The token that texts begin with, or `EMBERLM_NO_TOKEN`.
     */
    uint32_t bos;
    /*
     Whether the tokenizer puts it before a text; `emberlm_encode` does then.
     */
    bool adds_bos;
    /*
     Whether there is a tokenizer.
     */
    bool has_tokenizer;
} emberlm_model;

/*
 How a session works. All are kept as they are until the session ends.
 */
typedef struct {
    /*
     `EMBERLM_LAYER_MAJOR` or `EMBERLM_TOKEN_MAJOR`.
     */
    uint32_t order;
    /*
     `EMBERLM_KV_F32`, `_F16` or `_I8`. The type is part of what a loss is.
     */
    uint32_t kv_type;
    /*
     Positions, from 1 to the model's `n_ctx`.
     */
    uint32_t n_ctx;
    /*
     Positions that go through a layer together, from 1 to `n_ctx`: more take more memory and read the weights less
     often.
     */
    uint32_t batch;
} emberlm_run;

/*
 Who hears each token's negative log-likelihood, in nats; may be null.
 */
typedef void (*emberlm_nll_listener)(void *context, float nll);

/*
 Losses, summed.
 */
typedef struct {
    /*
     The sum of the tokens' negative log-likelihoods, in nats. Its bits are those that `emberlm eval` prints as nll bits.
     */
    double nll;
    /*
     Tokens scored.
     */
    uint64_t n;
} emberlm_score;

/*
 How tokens are chosen. `emberlm_default_settings` fills one in.
 */
typedef struct {
    /*
     Divides the logits: 0 always takes the most likely token, 1 leaves the model's own probabilities. 0, or 0.001 to
     1000.
     */
    float temperature;
    /*
     Draw among so many of the most likely tokens, 1 to 128; 0 is no limit.
     */
    uint32_t top_k;
    /*
     Draw among the most likely tokens whose probabilities come to this, 0 to 1; 1 is no limit.
     */
    float top_p;
    /*
     Draw among tokens at least so likely as a part of the most likely one, 0 to 1; 0 is no limit.
     */
    float min_p;
    /*
     Makes recent tokens less likely, 0.1 to 10; 1 leaves them alone.
     */
    float repeat_penalty;
    /*
     Where the random numbers start.
     */
    uint64_t seed;
} emberlm_settings;

/*
 Who hears what is generated. Either function may be null.
 */
typedef struct {
    /*
     Handed to both.
     */
    void *context;
    /*
     Each token as it is drawn, with its negative log-likelihood in nats by the model alone. False ends the text.
     */
    bool (*token)(void *context, uint32_t token, float nll);
    /*
     The text as it becomes certain, whole characters of UTF-8 without a 0 at the end; a token may add nothing or several
     pieces.
     */
    void (*text)(void *context, const char *text, size_t bytes);
} emberlm_listener;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 A sentence in English for a status; it is there for ever, and never null.
 */
const char *emberlm_status_text(int32_t status);

/*
 Says what a blob's model is. Its header is checked, its weights are not read.

 # Safety
 `blob` is `blob_bytes` bytes, and `model` a place for the answer.
 */
emberlm_status emberlm_inspect(const uint8_t *blob, size_t blob_bytes, emberlm_model *model);

/*
 Says how many bytes of memory a session takes for a blob's model and a run of it: handle, KV cache, everything.

 # Safety
 `blob` is `blob_bytes` bytes, `run` points to one, and `bytes` is a place for the answer.
 */
emberlm_status emberlm_session_bytes(const uint8_t *blob, size_t blob_bytes, const emberlm_run *run, size_t *bytes);

/*
 Opens a session in the caller's memory: checks the whole blob, its CRCs too, and puts the handle into `*session`, which
 is null if that fails. `memory` is aligned to `EMBERLM_ALIGNMENT`, and holds what `emberlm_session_bytes` says, or it is
 `EMBERLM_TOO_SMALL`.

 # Safety
 `blob` is `blob_bytes` bytes that nobody changes, and `memory` is `memory_bytes` bytes that nobody else uses, both as
 long as the session is used; `run` points to one, and `session` is a place for the handle.
 */
emberlm_status emberlm_open(const uint8_t *blob,
                            size_t blob_bytes,
                            const emberlm_run *run,
                            void *memory,
                            size_t memory_bytes,
                            emberlm_session **session);

/*
 Scores the tokens that the blob brings for this, and compares the bits with those recorded in it. The session is reset.

 # Safety
 `session` is a handle, or memory of its size.
 */
emberlm_status emberlm_self_test(emberlm_session *session);

/*
 Makes tokens of a text: the one that texts begin with first, where the tokenizer asks for it. `*n` is how many they are;
 of `EMBERLM_TOO_SMALL` it is how many there must be room for to get further. Room for a token a byte and one more is
 always enough.

 # Safety
 `session` is a handle, or memory of its size; `text` is `text_bytes` bytes, `tokens` room for `capacity` of them, and
 `n` a place for a number.
 */
emberlm_status emberlm_encode(emberlm_session *session,
                              const char *text,
                              size_t text_bytes,
                              uint32_t *tokens,
                              size_t capacity,
                              size_t *n);

/*
 Makes text of tokens, as if they were a whole one: `*n` is how many bytes of UTF-8 it has, without a 0 at the end, also
 where there is no room for them (`EMBERLM_TOO_SMALL`).

 # Safety
 `session` is a handle, or memory of its size; `tokens` are `n_tokens`, `text` is room for `capacity` bytes, and `n` a
 place for a number.
 */
emberlm_status emberlm_decode(emberlm_session *session,
                              const uint32_t *tokens,
                              size_t n_tokens,
                              char *text,
                              size_t capacity,
                              size_t *n);

/*
 Takes tokens on from where the session is, and writes the logits of the last one, `n_vocab` of them; `logits` may be
 null, with `n_logits` 0, where they are not wanted. After an error the session may have taken some of the tokens:
 `emberlm_n_past` tells.

 # Safety
 `session` is a handle, or memory of its size; `tokens` are `n_tokens`, and `logits` room for `n_logits`.
 */
emberlm_status emberlm_forward(emberlm_session *session,
                               const uint32_t *tokens,
                               size_t n_tokens,
                               float *logits,
                               size_t n_logits);

/*
 Scores one window from position 0: `tokens` are its inputs and, last, the final target. `score` gets the sum over the
 targets of inputs `first_scored` and later, and their number; `each`, if not null, hears them one by one. Losses
 before an error have been heard. The session is reset first and keeps the window.

 # Safety
 `session` is a handle, or memory of its size; `tokens` are `n_tokens`, and `score` is a place for the answer.
 */
emberlm_status emberlm_nll(emberlm_session *session,
                           const uint32_t *tokens,
                           size_t n_tokens,
                           size_t first_scored,
                           emberlm_nll_listener each,
                           void *context,
                           emberlm_score *score);

/*
 Forgets every position: what follows begins a text.

 # Safety
 `session` is a handle, or memory of its size.
 */
emberlm_status emberlm_reset(emberlm_session *session);

/*
 Says how many positions the session has taken.

 # Safety
 `session` is a handle, or memory of its size, and `n` a place for a number.
 */
emberlm_status emberlm_n_past(emberlm_session *session, size_t *n);

/*
 Writes what programs start from: a temperature of 0.8 and no limit, with seed 0.

 # Safety
 `settings` is a place for them.
 */
emberlm_status emberlm_default_settings(emberlm_settings *settings);

/*
 Goes on with a prompt, whose tokens `emberlm_encode` made: the tokens that `emberlm generate` draws for the same seed.
 It ends after `max_tokens`, at a token that ends a text, where the context is full, or where the listener wants no more
 (`EMBERLM_STOPPED`). The session is reset first.

 # Safety
 `session` is a handle, or memory of its size; `prompt` is `n_prompt` tokens, `settings` and `listener` point to one
 each; the latter's functions may not use the session, which refuses them as `EMBERLM_NOT_OPEN`.
 */
emberlm_status emberlm_generate(emberlm_session *session,
                                const uint32_t *prompt,
                                size_t n_prompt,
                                const emberlm_settings *settings,
                                size_t max_tokens,
                                const emberlm_listener *listener);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* EMBERLM_H */
