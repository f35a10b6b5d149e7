//! The families whose checkpoints are read. Nothing behind the reader knows them.

use emberlm_core::config::NormKind;

/// What `model_type` names: which keys a configuration has, what they mean, and what is assumed where they are silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// GPT-2 and its retellings.
    Gpt2,
    /// GPT-Neo.
    GptNeo,
    /// Llama, and what declares itself so.
    Llama,
    /// Mistral.
    Mistral,
}

impl Family {
    const ALL: [Self; 4] = [Self::Gpt2, Self::GptNeo, Self::Llama, Self::Mistral];

    /// Its words for `model_type`, its own first.
    pub const fn model_types(self) -> &'static [&'static str] {
        match self {
            Self::Gpt2 => &["gpt2", "gpt", "nanogpt"],
            Self::GptNeo => &["gpt_neo"],
            Self::Llama => &["llama"],
            Self::Mistral => &["mistral"],
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

    /// Whether it has rotary positions, RMS norms, a gated MLP, and heads of whatever width that may share keys and values.
    /// The others have learned positions, layer norms, a plain MLP and heads that divide `n_embd`.
    pub const fn is_llama_like(self) -> bool {
        matches!(self, Self::Llama | Self::Mistral)
    }

    /// The kind of its norms.
    pub const fn norm(self) -> NormKind {
        if self.is_llama_like() { NormKind::Rms } else { NormKind::Layer }
    }

    /// The positions that it knows where its configuration does not say.
    pub const fn default_n_ctx(self) -> u32 {
        match self {
            Self::Mistral => 131_072,
            _ => 2048,
        }
    }
}
