//! The families whose checkpoints are read. Nothing behind the reader knows them.

use emberlm_core::config::{Config, NormKind, Norms};

/// What `model_type` names: which keys a configuration has, what they mean, and what is assumed where they are silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// GPT-2 and its retellings.
    Gpt2,
    /// GPT-Neo.
    GptNeo,
    /// OPT.
    Opt,
    /// microgpt: a GPT in a page.
    MicroGpt,
    /// GPT-NeoX and Pythia.
    GptNeoX,
    /// Llama, and what declares itself so.
    Llama,
    /// Mistral.
    Mistral,
    /// Qwen 2 and 2.5.
    Qwen2,
    /// Qwen 3.
    Qwen3,
    /// Gemma 3, what it does with text.
    Gemma3,
}

impl Family {
    const ALL: [Self; 10] = [
        Self::Gpt2,
        Self::GptNeo,
        Self::Opt,
        Self::MicroGpt,
        Self::GptNeoX,
        Self::Llama,
        Self::Mistral,
        Self::Qwen2,
        Self::Qwen3,
        Self::Gemma3,
    ];

    /// Its words for `model_type`, its own first.
    pub const fn model_types(self) -> &'static [&'static str] {
        match self {
            Self::Gpt2 => &["gpt2", "gpt", "nanogpt"],
            Self::GptNeo => &["gpt_neo"],
            Self::Opt => &["opt"],
            Self::MicroGpt => &["microgpt"],
            Self::GptNeoX => &["gpt_neox"],
            Self::Llama => &["llama"],
            Self::Mistral => &["mistral"],
            Self::Qwen2 => &["qwen2"],
            Self::Qwen3 => &["qwen3"],
            Self::Gemma3 => &["gemma3_text"],
        }
    }

    /// The family that a `model_type` names.
    pub fn named(model_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.model_types().contains(&model_type))
    }

    /// Every word for `model_type`.
    pub fn words() -> String {
        Self::ALL.map(Self::model_types).concat().join(", ")
    }

    /// Its own word for `model_type`.
    pub const fn name(self) -> &'static str {
        self.model_types()[0]
    }

    /// Whether it has a gated MLP, and heads of whatever width that may share keys and values. Those of the others divide
    /// `n_embd`.
    pub const fn is_llama_like(self) -> bool {
        matches!(self, Self::Llama | Self::Mistral | Self::Qwen2 | Self::Qwen3 | Self::Gemma3)
    }

    /// Whether its positions rotate. Those of the others are learned.
    pub const fn is_rotary(self) -> bool {
        self.is_llama_like() || matches!(self, Self::GptNeoX)
    }

    /// Whether a checkpoint of this family may have the built-in names of the other.
    pub fn has_names_of(self, other: Self) -> bool {
        let like_llamas = |family| matches!(family, Self::Llama | Self::Mistral | Self::Qwen2);
        self == other || like_llamas(self) && like_llamas(other)
    }

    /// Its norms, of no epsilon of its own.
    pub const fn norms(self) -> Norms {
        let plain = Config::GPT2.norms;
        let kind = match self {
            Self::Gpt2 | Self::GptNeo | Self::Opt | Self::GptNeoX => NormKind::Layer,
            _ => NormKind::Rms,
        };
        match self {
            Self::MicroGpt => Norms { kind, embedding: true, last: false, ..plain },
            Self::Qwen3 => Norms { kind, heads: true, ..plain },
            Self::Gemma3 => Norms { kind, heads: true, after: true, ..plain },
            _ => Norms { kind, ..plain },
        }
    }

    /// Whether its norms have weights.
    pub const fn norms_scale(self) -> bool {
        !matches!(self, Self::MicroGpt)
    }

    /// The positions that it knows where its configuration does not say.
    pub const fn default_n_ctx(self) -> u32 {
        match self {
            Self::Mistral | Self::Gemma3 => 131_072,
            Self::Qwen2 | Self::Qwen3 => 32_768,
            _ => 2048,
        }
    }

    /// Elements of a head that rotate where its configuration does not say.
    pub const fn default_rotary_part(self) -> f64 {
        if matches!(self, Self::GptNeoX) { 0.25 } else { 1.0 }
    }
}
