//! The shape of a GPT-2 model.

use crate::features::{FLOAT_KV, FLOATS, GELU_ERF, GELU_TANH, I8_ACTIVATIONS};
use serde::{Deserialize, Serialize};

/// The id of a token: its row in `wte`. Below [`Config::n_vocab`].
pub type TokenId = u32;

/// Which form of the Gaussian error linear unit the MLP applies (Hendrycks and Gimpel, 2016).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Gelu {
    /// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`: Hugging Face's `gelu_new`.
    Tanh,
    /// `0.5 x (1 + erf(x / sqrt 2))`: PyTorch's default, Hugging Face's `gelu`.
    Erf,
}

impl Gelu {
    /// The name that messages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tanh => "tanh",
            Self::Erf => "erf",
        }
    }

    /// Whether this build computes the form.
    pub const fn is_built(self) -> bool {
        match self {
            Self::Tanh => GELU_TANH,
            Self::Erf => GELU_ERF,
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

/// A model's shape and the two choices its arithmetic has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// Tokens in the vocabulary, rows of `wte`; never padded.
    #[serde(with = "postcard::fixint::le")]
    pub n_vocab: u32,
    /// Positions that the model knows, rows of `wpe`.
    #[serde(with = "postcard::fixint::le")]
    pub n_ctx: u32,
    /// Width of the residual stream.
    #[serde(with = "postcard::fixint::le")]
    pub n_embd: u32,
    /// Attention heads; divides `n_embd`.
    #[serde(with = "postcard::fixint::le")]
    pub n_head: u32,
    /// Transformer blocks.
    #[serde(with = "postcard::fixint::le")]
    pub n_layer: u32,
    /// Width of the MLP's hidden layer.
    #[serde(with = "postcard::fixint::le")]
    pub n_ff: u32,
    /// Added to the variance in every layer normalisation.
    pub layer_norm_epsilon: f32,
    /// The MLP's activation function.
    pub gelu: Gelu,
}

/// The largest width (`n_embd`, `n_ff`) of a model: with it the integer product of a row stays far below 2^63.
pub const MAX_WIDTH: u32 = 1 << 20;

/// The largest `n_vocab`, `n_ctx` and `n_layer`.
pub const MAX_COUNT: u32 = 1 << 24;

impl Config {
    /// Width of one attention head, `n_embd / n_head`.
    ///
    /// 0 where `n_head` is 0, which [`Config::validate`] refuses.
    pub const fn head_dim(&self) -> usize {
        match self.n_embd.checked_div(self.n_head) {
            Some(dim) => dim as usize,
            None => 0,
        }
    }

    /// The longest row of any matrix: `max(n_embd, n_ff)`.
    pub const fn max_width(&self) -> usize {
        if self.n_embd > self.n_ff { self.n_embd as usize } else { self.n_ff as usize }
    }

    /// Checks that the model can exist: every count at least 1 and within its bound, heads that divide the width, an
    /// epsilon that is finite and not negative.
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
        if self.n_head == 0 || !self.n_embd.is_multiple_of(self.n_head) {
            return Err(ConfigError::Heads);
        }
        if !(self.layer_norm_epsilon >= 0.0 && self.layer_norm_epsilon < f32::INFINITY) {
            return Err(ConfigError::Epsilon);
        }
        Ok(())
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
    /// `n_head` is 0 or does not divide `n_embd`.
    Heads,
    /// `layer_norm_epsilon` is negative, infinite or not a number.
    Epsilon,
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Vocabulary => "n_vocab is out of range",
            Self::Context => "n_ctx is out of range",
            Self::Width => "n_embd is out of range",
            Self::Hidden => "n_ff is out of range",
            Self::Layers => "n_layer is out of range",
            Self::Heads => "n_head does not divide n_embd",
            Self::Epsilon => "layer_norm_epsilon is negative or not finite",
        })
    }
}

impl core::error::Error for ConfigError {}
