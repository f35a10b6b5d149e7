//! What a model computes: its shape, and a handful of choices that do not hang on one another.
//!
//! A model is described by these alone, whatever family it is of. What is no choice, a family's own scale of attention or
//! the order in which its pairs rotate, is folded into the weights when a checkpoint is converted.

use crate::features::{
    ABSENT_NORMS, AFTER_NORMS, EMBEDDING_NORM, EMBEDDING_SCALE, FLOAT_KV, FLOATS, GATED_MLP, GELU_ERF, GELU_TANH,
    GPT2_ONLY, GROUPED_HEADS, HEAD_NORMS, I8_ACTIVATIONS, LAYER_NORM, LEARNED_POSITIONS, PARALLEL_BLOCKS, RELU,
    RMS_NORM, ROTARY, SILU, WINDOWS,
};
use serde::{Deserialize, Serialize};

/// The id of a token: its row in `wte`. Below [`Config::n_vocab`].
pub type TokenId = u32;

/// Which form of the Gaussian error linear unit the MLP applies (Hendrycks and Gimpel, 2016).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Gelu {
    /// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`: Hugging Face's `gelu_new`.
    Tanh,
    /// `0.5 x (1 + erf(x / sqrt 2))`: PyTorch's default, Hugging Face's `gelu`.
    Erf,
}

/// The function that the MLP applies to its hidden layer, or to the gate of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Activation {
    /// The Gaussian error linear unit.
    Gelu(Gelu),
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)^2`.
    ReluSquared,
    /// The sigmoid linear unit, `x / (1 + exp(-x))` (Elfwing, Uchibe and Doya, 2018).
    Silu,
}

impl Activation {
    /// Every function, by its code in a blob.
    pub const ALL: [Self; 5] =
        [Self::Gelu(Gelu::Tanh), Self::Gelu(Gelu::Erf), Self::Relu, Self::ReluSquared, Self::Silu];

    /// The name that messages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gelu(Gelu::Tanh) => "GELU (tanh)",
            Self::Gelu(Gelu::Erf) => "GELU (erf)",
            Self::Relu => "ReLU",
            Self::ReluSquared => "ReLU squared",
            Self::Silu => "SiLU",
        }
    }

    /// Whether this build computes the function.
    pub const fn is_built(self) -> bool {
        match self {
            Self::Gelu(Gelu::Tanh) => GELU_TANH,
            Self::Gelu(Gelu::Erf) => GELU_ERF,
            Self::Relu | Self::ReluSquared => RELU,
            Self::Silu => SILU,
        }
    }
}

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum KvType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// 8-bit integers under a bf16 scale a head and position.
    I8,
}

impl KvType {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::I8];

    /// The name that the command line and reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I8 => "i8",
        }
    }

    /// Whether this build has such caches.
    pub const fn is_built(self) -> bool {
        FLOAT_KV || matches!(self, Self::I8)
    }
}

/// What a matrix product's input is rounded to before it meets weights that are integers.
///
/// Weights that are floats always meet f32 activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Activations {
    /// 16-bit integers, one f32 scale a position.
    I16,
    /// Nothing: the integers are turned into floats instead. Slow; it shows what rounding activations costs.
    F32,
    /// 8-bit integers under an integer scale for each 32, and one f32 scale a position; but 16-bit ones for the MLP's
    /// output projection, whose inputs, behind a GELU, have long tails.
    I8,
}

impl Activations {
    /// Every choice, the default first.
    pub const ALL: [Self; 3] = [Self::I16, Self::I8, Self::F32];

    /// The name that the command line and reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::I16 => "i16",
            Self::F32 => "f32",
            Self::I8 => "i8",
        }
    }

    /// Whether this build rounds activations so.
    pub const fn is_built(self) -> bool {
        match self {
            Self::I16 => true,
            Self::F32 => FLOATS,
            Self::I8 => I8_ACTIVATIONS,
        }
    }
}

/// What a norm does before it scales, and may shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NormKind {
    /// To mean 0 and variance 1 (Ba, Kiros and Hinton, 2016).
    Layer,
    /// To a mean of squares of 1 (Zhang and Sennrich, 2019). It never shifts.
    Rms,
}

/// What a model normalises, and how. A norm scales where its weight is there, and shifts where its bias is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Norms {
    /// What all of them do.
    pub kind: NormKind,
    /// Added to the variance, or to the mean of squares.
    pub epsilon: f32,
    /// What goes into attention, and into the MLP.
    pub before: bool,
    /// What comes out of either, before it is added.
    pub after: bool,
    /// The embedding.
    pub embedding: bool,
    /// Each head's queries and keys, before they rotate.
    pub heads: bool,
    /// What goes into the head.
    pub last: bool,
}

/// Some of the layers, in a pattern that repeats.
///
/// ```
/// use emberlm_core::config::Layers;
///
/// const EVERY_SECOND: Layers = Layers::repeating(&[false, true]);
/// assert!(!EVERY_SECOND.has(4) && EVERY_SECOND.has(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layers(u64);

impl Layers {
    /// None of them.
    pub const NONE: Self = Self::repeating(&[false]);

    /// All of them.
    pub const ALL: Self = Self::repeating(&[true]);

    /// The longest pattern.
    pub const MAX_PERIOD: usize = 63;

    /// Layer `i` is one of them where `pattern[i % pattern.len()]` is.
    ///
    /// # Panics
    /// If the pattern is empty, or longer than [`Layers::MAX_PERIOD`].
    pub const fn repeating(pattern: &[bool]) -> Self {
        assert!(!pattern.is_empty() && pattern.len() <= Self::MAX_PERIOD, "a pattern of 1 to 63 layers");
        let (mut bits, mut i) = (1 << pattern.len(), 0);
        while i < pattern.len() {
            if pattern[i] {
                bits |= 1 << i;
            }
            i += 1;
        }
        Self(bits)
    }

    /// Out of [`Layers::bits`]; `None` of what is no pattern.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits < 2 { None } else { Some(Self(bits)) }
    }

    /// As a blob has them: bit `i` says whether the pattern's layer `i` is one of them, and the highest bit that is set stands
    /// behind the last.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether a layer is one of them.
    pub const fn has(self, layer: u32) -> bool {
        self.0 >> (layer % self.period()) & 1 != 0
    }

    /// How many of the layers before `layer` are.
    pub const fn before(self, layer: u32) -> u32 {
        let (period, pattern) = (self.period(), self.0 ^ 1 << self.period());
        layer / period * pattern.count_ones() + (pattern & ((1 << (layer % period)) - 1)).count_ones()
    }

    const fn period(self) -> u32 {
        let highest = 63 - (self.0 | 2).leading_zeros();
        if highest == 0 { 1 } else { highest }
    }
}

/// How positions are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Positions {
    /// By rows that are added to the token embedding.
    Learned,
    /// By rotating pairs of a head's queries and keys (Su et al., 2021), by the frequencies that the blob has.
    Rotary(Rotary),
}

/// Rotary positions: of a head, elements `i` and `i + dim / 2` for `i` below `dim / 2` are a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rotary {
    /// Elements of a head that rotate, the first of them: an even number, at most [`Config::head_dim`].
    pub dim: u32,
    /// The layers that use a second table of frequencies. Where there are none, the blob has one.
    pub second: Layers,
}

impl Rotary {
    /// Tables that the blob has.
    pub const fn n_tables(&self) -> usize {
        if self.second.bits() == Layers::NONE.bits() { 1 } else { 2 }
    }

    /// The layer's table.
    pub const fn table(&self, layer: u32) -> usize {
        self.second.has(layer) as usize
    }
}

/// What queries see of the positions up to their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Windows {
    /// The layers whose queries see a window. Those of all others see all positions.
    pub layers: Layers,
    /// Positions that they see, their own included; 0 where there are no such layers.
    pub len: u32,
}

impl Windows {
    /// All positions, in every layer.
    pub const NONE: Self = Self { layers: Layers::NONE, len: 0 };

    /// A layer's window, `None` where it sees all positions.
    #[inline(always)]
    pub const fn of(&self, layer: u32) -> Option<u32> {
        if WINDOWS && self.layers.has(layer) { Some(self.len) } else { None }
    }
}

/// The MLP of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mlp {
    /// Applied to the hidden layer, or to its gate.
    pub activation: Activation,
    /// Whether a gate multiplies the hidden layer.
    pub gated: bool,
}

/// A model's shape and choices. Biases are no choice: a layer has one where its tensor is there; and a head is tied to the
/// token embedding where it has no tensor of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// Tokens in the vocabulary, rows of `wte`; never padded.
    pub n_vocab: u32,
    /// Positions that the model knows.
    pub n_ctx: u32,
    /// Width of the residual stream.
    pub n_embd: u32,
    /// Transformer blocks.
    pub n_layer: u32,
    /// Heads of queries.
    pub n_head: u32,
    /// Heads of keys and values; divides `n_head`. As many heads of queries in a row share one.
    pub n_kv_head: u32,
    /// Width of a head, whatever `n_embd` is.
    pub head_dim: u32,
    /// Width of the MLP's hidden layer.
    pub n_ff: u32,
    /// What is normalised.
    pub norms: Norms,
    /// How positions are told.
    pub positions: Positions,
    /// What queries see.
    pub windows: Windows,
    /// The MLP.
    pub mlp: Mlp,
    /// Whether attention and MLP both start from the block's input, instead of one after the other.
    pub parallel: bool,
    /// Multiplies the token embedding where it is an embedding, not where it is the head; 1 in most models.
    pub embedding_scale: f32,
}

/// The largest width (`n_embd`, `n_ff`, all heads of queries together) of a model: with it the integer product of a row
/// stays far below 2^63.
pub const MAX_WIDTH: u32 = 1 << 20;

/// The largest `n_vocab`, `n_ctx` and `n_layer`.
pub const MAX_COUNT: u32 = 1 << 24;

/// Hidden values whose gates lie together in a gated MLP's first matrix: eight rows of the gate, then eight of the hidden
/// layer, and of what is left less of each.
pub const GATE_RUN: usize = 8;

impl Config {
    /// GPT-2's choices, for a model of no size.
    ///
    /// ```
    /// use emberlm_core::Config;
    ///
    /// let sizes = Config { n_vocab: 97, n_ctx: 24, n_embd: 60, n_layer: 3, n_ff: 100, ..Config::GPT2 };
    /// assert!(sizes.with_heads(5).validate().is_ok());
    /// ```
    pub const GPT2: Self = Self {
        n_vocab: 0,
        n_ctx: 0,
        n_embd: 0,
        n_layer: 0,
        n_head: 0,
        n_kv_head: 0,
        head_dim: 0,
        n_ff: 0,
        norms: Norms {
            kind: NormKind::Layer,
            epsilon: 1e-5,
            before: true,
            after: false,
            embedding: false,
            heads: false,
            last: true,
        },
        positions: Positions::Learned,
        windows: Windows::NONE,
        mlp: Mlp { activation: Activation::Gelu(Gelu::Tanh), gated: false },
        parallel: false,
        embedding_scale: 1.0,
    };

    /// The same with so many heads, of queries as of keys and values, that share `n_embd`.
    #[must_use]
    pub const fn with_heads(self, n_head: u32) -> Self {
        let head_dim = match self.n_embd.checked_div(n_head) {
            Some(dim) => dim,
            None => 0,
        };
        Self { n_head, n_kv_head: n_head, head_dim, ..self }
    }

    /// Elements of one position's queries.
    pub const fn query_width(&self) -> usize {
        self.n_head as usize * self.head_dim as usize
    }

    /// Elements of one position's keys, or values.
    pub const fn kv_width(&self) -> usize {
        self.kv_heads() * self.head_dim as usize
    }

    /// `n_kv_head`, which is `n_head` where this build has no grouped heads.
    pub(crate) const fn kv_heads(&self) -> usize {
        if GROUPED_HEADS { self.n_kv_head as usize } else { self.n_head as usize }
    }

    /// Heads of queries that share a head of keys and values.
    #[inline(always)]
    pub(crate) const fn heads_a_kv_head(&self) -> usize {
        let heads = if GROUPED_HEADS { self.n_head.checked_div(self.n_kv_head) } else { None };
        match heads {
            Some(heads) if heads > 0 => heads as usize,
            _ => 1,
        }
    }

    /// The longest row of any matrix: the largest of `n_embd`, `n_ff` and [`Config::query_width`].
    pub const fn max_width(&self) -> usize {
        let (n_embd, n_ff, queries) = (self.n_embd as usize, self.n_ff as usize, self.query_width());
        let longer = if n_embd > n_ff { n_embd } else { n_ff };
        if longer > queries { longer } else { queries }
    }

    /// Checks that the model can exist: every count at least 1 and within its bound, heads of queries that divide among
    /// those of keys and values, pairs that a head has, a window where there are layers for it, and numbers that are finite.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub const fn validate(&self) -> Result<(), ConfigError> {
        const fn within(value: u32, max: u32) -> bool {
            value >= 1 && value <= max
        }
        if !within(self.n_vocab, MAX_COUNT) {
            return Err(ConfigError::Vocabulary);
        }
        if !within(self.n_ctx, MAX_COUNT) {
            return Err(ConfigError::Context);
        }
        if !within(self.n_embd, MAX_WIDTH) {
            return Err(ConfigError::Width);
        }
        if !within(self.n_ff, MAX_WIDTH) {
            return Err(ConfigError::Hidden);
        }
        if !within(self.n_layer, MAX_COUNT) {
            return Err(ConfigError::Layers);
        }
        if self.n_head == 0 || GROUPED_HEADS && (self.n_kv_head == 0 || !self.n_head.is_multiple_of(self.n_kv_head)) {
            return Err(ConfigError::Heads);
        }
        if self.head_dim == 0 || self.head_dim > MAX_WIDTH / self.n_head {
            return Err(ConfigError::HeadWidth);
        }
        if !(self.norms.epsilon >= 0.0 && self.norms.epsilon < f32::INFINITY) {
            return Err(ConfigError::Epsilon);
        }
        if GPT2_ONLY {
            return Ok(());
        }
        if let Positions::Rotary(rotary) = self.positions
            && (rotary.dim == 0 || !rotary.dim.is_multiple_of(2) || rotary.dim > self.head_dim)
        {
            return Err(ConfigError::Rotary);
        }
        if (self.windows.len == 0) != (self.windows.layers.bits() == Layers::NONE.bits()) {
            return Err(ConfigError::Window);
        }
        if !(self.embedding_scale > 0.0 && self.embedding_scale < f32::INFINITY) {
            return Err(ConfigError::EmbeddingScale);
        }
        Ok(())
    }

    /// The first of the choices that this build does not compute.
    pub const fn left_out(&self) -> Option<Choice> {
        let activation = self.mlp.activation;
        if !activation.is_built() {
            return Some(Choice::Activation(activation));
        }
        if !GROUPED_HEADS && self.n_kv_head != self.n_head {
            return Some(Choice::GroupedHeads);
        }
        // Such a build has read nothing else.
        if GPT2_ONLY {
            return None;
        }
        let Norms { kind, before, after, embedding, heads, last, .. } = self.norms;
        match kind {
            NormKind::Layer if !LAYER_NORM => return Some(Choice::LayerNorm),
            NormKind::Rms if !RMS_NORM => return Some(Choice::RmsNorm),
            _ => {}
        }
        match self.positions {
            Positions::Learned if !LEARNED_POSITIONS => return Some(Choice::LearnedPositions),
            Positions::Rotary(_) if !ROTARY => return Some(Choice::RotaryPositions),
            _ => {}
        }
        if !AFTER_NORMS && after {
            return Some(Choice::AfterNorms);
        }
        if !EMBEDDING_NORM && embedding {
            return Some(Choice::EmbeddingNorm);
        }
        if !HEAD_NORMS && heads {
            return Some(Choice::HeadNorms);
        }
        if !(ABSENT_NORMS || before && last) {
            return Some(Choice::AbsentNorms);
        }
        if !WINDOWS && self.windows.len != 0 {
            return Some(Choice::Windows);
        }
        if !GATED_MLP && self.mlp.gated {
            return Some(Choice::GatedMlp);
        }
        if !PARALLEL_BLOCKS && self.parallel {
            return Some(Choice::ParallelBlocks);
        }
        if !EMBEDDING_SCALE && self.embedding_scale != 1.0 {
            return Some(Choice::EmbeddingScale);
        }
        None
    }
}

/// Something that a model may compute and a build may leave out, see [`features`](crate::features).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Choice {
    /// Anything but what GPT-2 is made of.
    OtherThanGpt2,
    /// Norms to mean 0 and variance 1.
    LayerNorm,
    /// Norms to a mean of squares of 1.
    RmsNorm,
    /// Norms of what attention and MLP give.
    AfterNorms,
    /// A norm of the embedding.
    EmbeddingNorm,
    /// Norms of each head's queries and keys.
    HeadNorms,
    /// No norm before attention and MLP, or before the head.
    AbsentNorms,
    /// Positions by rows.
    LearnedPositions,
    /// Positions by rotation.
    RotaryPositions,
    /// Heads that share keys and values.
    GroupedHeads,
    /// Queries that see a window.
    Windows,
    /// The MLP's function.
    Activation(Activation),
    /// MLPs with a gate.
    GatedMlp,
    /// Attention beside the MLP.
    ParallelBlocks,
    /// A token embedding that is multiplied.
    EmbeddingScale,
}

impl Choice {
    /// The name that messages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtherThanGpt2 => "what GPT-2 is not made of",
            Self::LayerNorm => "layer norms",
            Self::RmsNorm => "RMS norms",
            Self::AfterNorms => "norms behind attention and MLP",
            Self::EmbeddingNorm => "a norm of the embedding",
            Self::HeadNorms => "norms of queries and keys",
            Self::AbsentNorms => "no norm before attention, MLP or head",
            Self::LearnedPositions => "learned positions",
            Self::RotaryPositions => "rotary positions",
            Self::GroupedHeads => "heads that share keys and values",
            Self::Windows => "attention in windows",
            Self::Activation(activation) => activation.name(),
            Self::GatedMlp => "a gated MLP",
            Self::ParallelBlocks => "attention beside the MLP",
            Self::EmbeddingScale => "a scaled embedding",
        }
    }
}

/// The field of a [`Config`] that no model can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// `n_vocab` is 0 or above [`MAX_COUNT`].
    Vocabulary,
    /// `n_ctx` is 0 or above [`MAX_COUNT`].
    Context,
    /// `n_embd` is 0 or above [`MAX_WIDTH`].
    Width,
    /// `n_ff` is 0 or above [`MAX_WIDTH`].
    Hidden,
    /// `n_layer` is 0 or above [`MAX_COUNT`].
    Layers,
    /// `n_head` or `n_kv_head` is 0, or the one is no multiple of the other.
    Heads,
    /// `head_dim` is 0, or all heads of queries together are above [`MAX_WIDTH`].
    HeadWidth,
    /// The norms' epsilon is negative, infinite or not a number.
    Epsilon,
    /// Pairs that rotate are none, or more than a head has.
    Rotary,
    /// A window without layers, or layers without a window.
    Window,
    /// `embedding_scale` is not a positive number.
    EmbeddingScale,
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Vocabulary => "n_vocab is out of range",
            Self::Context => "n_ctx is out of range",
            Self::Width => "n_embd is out of range",
            Self::Hidden => "n_ff is out of range",
            Self::Layers => "n_layer is out of range",
            Self::Heads => "n_kv_head does not divide n_head",
            Self::HeadWidth => "head_dim is out of range",
            Self::Epsilon => "the norms' epsilon is negative or not finite",
            Self::Rotary => "a head has not the pairs that rotate",
            Self::Window => "a window and layers for it come together",
            Self::EmbeddingScale => "embedding_scale is not positive or not finite",
        })
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_layers_repeat() {
        let pattern = [true, false, false, true, true];
        let layers = Layers::repeating(&pattern);
        let mut before = 0;
        for layer in 0..40 {
            assert_eq!((layers.has(layer), layers.before(layer)), (pattern[layer as usize % 5], before));
            before += u32::from(layers.has(layer));
        }
        assert_eq!(Layers::from_bits(layers.bits()), Some(layers));
        assert_eq!([0, 1].map(Layers::from_bits), [None; 2]);
        assert!((0..200).all(|layer| Layers::ALL.has(layer) && !Layers::NONE.has(layer)));
        assert_eq!((Layers::ALL.before(100), Layers::NONE.before(100)), (100, 0));
        let long = Layers::repeating(&[true; Layers::MAX_PERIOD]);
        assert!(long.has(62) && long.has(63) && long.before(64) == 64);
    }

    #[test]
    fn what_this_build_leaves_out_is_named_and_nothing_else() {
        let plain = Config { n_vocab: 9, n_ctx: 8, n_embd: 6, n_layer: 1, n_ff: 4, ..Config::GPT2 }.with_heads(2);
        let with = |places: Norms| Config { norms: places, ..plain };
        let norms = plain.norms;
        let cases = [
            (HEAD_NORMS, with(Norms { heads: true, ..norms }), Choice::HeadNorms),
            (AFTER_NORMS, with(Norms { after: true, ..norms }), Choice::AfterNorms),
            (EMBEDDING_NORM, with(Norms { embedding: true, ..norms }), Choice::EmbeddingNorm),
            (ABSENT_NORMS, with(Norms { before: false, ..norms }), Choice::AbsentNorms),
            (ABSENT_NORMS, with(Norms { last: false, ..norms }), Choice::AbsentNorms),
            (PARALLEL_BLOCKS, Config { parallel: true, ..plain }, Choice::ParallelBlocks),
            (EMBEDDING_SCALE, Config { embedding_scale: 2.0, ..plain }, Choice::EmbeddingScale),
        ];
        for (is_built, config, choice) in cases {
            // What a build for GPT-2 alone has read is no other model.
            let expected = (!is_built && !GPT2_ONLY).then_some(choice);
            assert_eq!((config.validate(), config.left_out()), (Ok(()), expected));
            assert!(!choice.name().is_empty());
        }
    }

    #[test]
    fn each_fault_is_named() {
        let good = Config { n_vocab: 9, n_ctx: 8, n_embd: 6, n_layer: 1, n_ff: 4, ..Config::GPT2 }.with_heads(2);
        assert_eq!((good.validate(), good.left_out()), (Ok(()), None));
        let rotary = |dim| Positions::Rotary(Rotary { dim, second: Layers::NONE });
        let bad = [
            (Config { n_vocab: 0, ..good }, ConfigError::Vocabulary),
            (Config { n_ctx: MAX_COUNT + 1, ..good }, ConfigError::Context),
            (Config { n_embd: MAX_WIDTH + 1, ..good }, ConfigError::Width),
            (Config { n_ff: 0, ..good }, ConfigError::Hidden),
            (Config { n_layer: 0, ..good }, ConfigError::Layers),
            (Config { n_kv_head: 0, ..good }, ConfigError::Heads),
            (Config { n_head: 3, ..good }, ConfigError::Heads),
            (Config { head_dim: MAX_WIDTH / 2 + 1, ..good }, ConfigError::HeadWidth),
            (Config { norms: Norms { epsilon: f32::NAN, ..good.norms }, ..good }, ConfigError::Epsilon),
            (Config { positions: rotary(1), ..good }, ConfigError::Rotary),
            (Config { positions: rotary(4), ..good }, ConfigError::Rotary),
            (Config { windows: Windows { len: 3, ..Windows::NONE }, ..good }, ConfigError::Window),
            (Config { windows: Windows { len: 0, layers: Layers::ALL }, ..good }, ConfigError::Window),
            (Config { embedding_scale: 0.0, ..good }, ConfigError::EmbeddingScale),
        ];
        for (config, error) in bad {
            assert_eq!(config.validate(), Err(error));
        }
    }
}
