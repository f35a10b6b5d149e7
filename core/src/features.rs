//! What a build of this crate computes: a Cargo feature each, all on by default. A program whose models never need one
//! leaves its code out.
//!
//! 16-bit activations, vectors of f32 and f16, and the KV cache of 8-bit integers are always there. What is not is refused
//! where a model is opened or a session made, so that nothing behind has to look.

/// Refuses a program that no model fits. Only what opens models calls it, so that a library may leave the choice to the
/// program it becomes a part of.
#[expect(clippy::assertions_on_constants, reason = "this build may have what another leaves out")]
pub(crate) const fn check() {
    assert!(
        Q8 || Q4 || TWO_PLANES || FLOATS,
        "emberlm-core has no format of weights: enable its feature q8, q4, two-planes or floats"
    );
    assert!(
        GELU_TANH || GELU_ERF || SILU || RELU,
        "emberlm-core has no function for MLPs: enable its feature gelu-tanh, gelu-erf, silu or relu"
    );
    assert!(LAYER_NORM || RMS_NORM, "emberlm-core has no norm: enable its feature layer-norm or rms-norm");
    assert!(
        LEARNED_POSITIONS || ROTARY,
        "emberlm-core has no positions: enable its feature learned-positions or rotary"
    );
}

/// Matrices of q8.
pub const Q8: bool = cfg!(feature = "q8");

/// Matrices of q4.
pub const Q4: bool = cfg!(feature = "q4");

/// Matrices of two planes of bits: q6, q5 and q3.
pub const TWO_PLANES: bool = cfg!(feature = "two-planes");

/// Matrices of f32 and f16, and products of activations that are not rounded.
pub const FLOATS: bool = cfg!(feature = "floats");

/// Activations of 8 bits.
pub const I8_ACTIVATIONS: bool = cfg!(feature = "i8-activations");

/// KV caches of f32 and f16.
pub const FLOAT_KV: bool = cfg!(feature = "float-kv");

/// Loops that multiply a weight by several positions' activations at once. Without them positions may go through a layer
/// together all the same, but save nothing by it.
pub const BATCHES: bool = cfg!(feature = "batches");

/// GELUs of the tanh form.
pub const GELU_TANH: bool = cfg!(feature = "gelu-tanh");

/// GELUs of the erf form.
pub const GELU_ERF: bool = cfg!(feature = "gelu-erf");

/// Nothing but what GPT-2 is made of, up to its activation: choices need not be read.
pub const GPT2_ONLY: bool = LAYER_NORM
    && LEARNED_POSITIONS
    && !(RMS_NORM || AFTER_NORMS || EMBEDDING_NORM || HEAD_NORMS || ABSENT_NORMS)
    && !(ROTARY || GROUPED_HEADS || WINDOWS || GATED_MLP || PARALLEL_BLOCKS || EMBEDDING_SCALE);

/// SiLUs.
pub const SILU: bool = cfg!(feature = "silu");

/// ReLUs, and their squares.
pub const RELU: bool = cfg!(feature = "relu");

/// MLPs with a gate.
pub const GATED_MLP: bool = cfg!(feature = "gated-mlp");

/// Norms to mean 0 and variance 1.
pub const LAYER_NORM: bool = cfg!(feature = "layer-norm");

/// Norms to a mean of squares of 1.
pub const RMS_NORM: bool = cfg!(feature = "rms-norm");

/// Norms of what attention and MLP give.
pub const AFTER_NORMS: bool = cfg!(feature = "after-norms");

/// A norm of the embedding.
pub const EMBEDDING_NORM: bool = cfg!(feature = "embedding-norm");

/// Norms of each head's queries and keys.
pub const HEAD_NORMS: bool = cfg!(feature = "head-norms");

/// No norm where all other models have one: before attention and MLP, or before the head.
pub const ABSENT_NORMS: bool = cfg!(feature = "absent-norms");

/// Positions by rows that are added.
pub const LEARNED_POSITIONS: bool = cfg!(feature = "learned-positions");

/// Positions by rotation.
pub const ROTARY: bool = cfg!(feature = "rotary");

/// Heads of queries that share keys and values.
pub const GROUPED_HEADS: bool = cfg!(feature = "grouped-heads");

/// Layers whose queries see a window of the positions.
pub const WINDOWS: bool = cfg!(feature = "windows");

/// Attention and MLP that have the same input.
pub const PARALLEL_BLOCKS: bool = cfg!(feature = "parallel-blocks");

/// Token embeddings that are multiplied.
pub const EMBEDDING_SCALE: bool = cfg!(feature = "embedding-scale");

/// Tokenisers whose tokens have scores, [`Kind::ScoredBpe`](crate::tokenizer::Kind::ScoredBpe).
pub const SCORED_TOKENIZER: bool = cfg!(feature = "scored-tokenizer");

/// Tokenisers by the ranks of merges and their own rules, [`Kind::RankedBpe`](crate::tokenizer::Kind::RankedBpe).
pub const RANKED_TOKENIZER: bool = cfg!(feature = "ranked-tokenizer");
