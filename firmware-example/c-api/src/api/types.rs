//! What goes in and out: plain structs and numbers.

use core::ffi::{c_char, c_void};

/// Blob and memory begin at a multiple of so many bytes.
pub const EMBERLM_ALIGNMENT: usize = 16;

/// No token: where a blob names none.
pub const EMBERLM_NO_TOKEN: u32 = 0xffff_ffff;

/// A whole window through one layer, then the next: the least memory to score by. It does not generate.
pub const EMBERLM_LAYER_MAJOR: u32 = 0;
/// A batch of positions through all layers, then the next: scores, generates and continues.
pub const EMBERLM_TOKEN_MAJOR: u32 = 1;

/// Keys and values as 32-bit floats.
pub const EMBERLM_KV_F32: u32 = 0;
/// Keys and values as 16-bit floats.
pub const EMBERLM_KV_F16: u32 = 1;
/// Keys and values as 8-bit integers.
pub const EMBERLM_KV_I8: u32 = 2;

/// How a session works. All are kept as they are until the session ends.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct emberlm_run {
    /// `EMBERLM_LAYER_MAJOR` or `EMBERLM_TOKEN_MAJOR`.
    pub order: u32,
    /// `EMBERLM_KV_F32`, `_F16` or `_I8`. The type is part of what a loss is.
    pub kv_type: u32,
    /// Positions, from 1 to the model's `n_ctx`.
    pub n_ctx: u32,
    /// Positions that go through a layer together, from 1 to `n_ctx`: more take more memory and read the weights less
    /// often.
    pub batch: u32,
}

/// What a blob says of its model.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct emberlm_model {
    /// Bytes of the blob; what was handed in may be longer.
    pub blob_bytes: usize,
    /// Tokens of the vocabulary.
    pub n_vocab: u32,
    /// Tokens of the vocabulary that this one was cut from, 0 where it is whole.
    pub pruned_from: u32,
    /// The most positions.
    pub n_ctx: u32,
    /// The width of the residual stream.
    pub n_embd: u32,
    /// Layers.
    pub n_layer: u32,
    /// Heads of queries.
    pub n_head: u32,
    /// Heads of keys and values.
    pub n_kv_head: u32,
    /// The width of a head.
    pub head_dim: u32,
    /// The width of an MLP's hidden layer.
    pub n_ff: u32,
    /// The token that texts begin with, or `EMBERLM_NO_TOKEN`.
    pub bos: u32,
    /// Whether the tokenizer puts it before a text; `emberlm_encode` does then.
    pub adds_bos: bool,
    /// Whether there is a tokenizer.
    pub has_tokenizer: bool,
}

/// Losses, summed.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct emberlm_score {
    /// The sum of the tokens' negative log-likelihoods, in nats. Its bits are those that `emberlm eval` prints as nll bits.
    pub nll: f64,
    /// Tokens scored.
    pub n: u64,
}

/// Who hears each token's negative log-likelihood, in nats; may be null.
#[allow(non_camel_case_types)]
pub type emberlm_nll_listener = Option<unsafe extern "C" fn(context: *mut c_void, nll: f32)>;

/// How tokens are chosen. `emberlm_default_settings` fills one in.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct emberlm_settings {
    /// Divides the logits: 0 always takes the most likely token, 1 leaves the model's own probabilities. 0, or 0.001 to
    /// 1000.
    pub temperature: f32,
    /// Draw among so many of the most likely tokens, 1 to 128; 0 is no limit.
    pub top_k: u32,
    /// Draw among the most likely tokens whose probabilities come to this, 0 to 1; 1 is no limit.
    pub top_p: f32,
    /// Draw among tokens at least so likely as a part of the most likely one, 0 to 1; 0 is no limit.
    pub min_p: f32,
    /// Makes recent tokens less likely, 0.1 to 10; 1 leaves them alone.
    pub repeat_penalty: f32,
    /// Where the random numbers start.
    pub seed: u64,
}

/// Who hears what is generated. Either function may be null.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct emberlm_listener {
    /// Handed to both.
    pub context: *mut c_void,
    /// Each token as it is drawn, with its negative log-likelihood in nats by the model alone. False ends the text.
    pub token: Option<unsafe extern "C" fn(context: *mut c_void, token: u32, nll: f32) -> bool>,
    /// The text as it becomes certain, whole characters of UTF-8 without a 0 at the end; a token may add nothing or several
    /// pieces.
    pub text: Option<unsafe extern "C" fn(context: *mut c_void, text: *const c_char, bytes: usize)>,
}
