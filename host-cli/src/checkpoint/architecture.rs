//! What a model computes: its shape, and a handful of choices that do not hang on one another.
//!
//! A model is described by these alone. Which family it comes from only the reader of its checkpoint knows, and what is
//! no choice (a family's own scale of attention, the order in which its pairs rotate) that reader folds into the weights.
//! Biases are no choice either: a layer has one where its tensor is there.

use emberlm_core::blob::{LayerSlot, Slot};
use emberlm_core::config::{Config, Gelu};
use std::fmt;

/// A model's shape and choices.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// Tokens in the vocabulary.
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
    /// Width of a head, whatever `n_embd` is; even where positions are rotary.
    pub head_dim: u32,
    /// Width of the MLP's hidden layer.
    pub n_ff: u32,
    /// Every norm.
    pub norm: Norm,
    /// How positions are told.
    pub positions: Positions,
    /// What queries see, by layer; where there are fewer than layers, they repeat. Not empty.
    pub spans: Vec<Span>,
    /// The MLP.
    pub mlp: Mlp,
    /// Whether attention and MLP both start from the block's input, instead of one after the other.
    pub parallel: bool,
    /// Whether the head shares the token embedding.
    pub tied: bool,
    /// Multiplies the token embedding where it is an embedding, not where it is the head; 1 in most models.
    pub embedding_scale: f32,
}

/// A normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// What it does.
    pub kind: NormKind,
    /// Added to the variance, or to the mean of squares.
    pub epsilon: f32,
}

/// What a norm does before it scales, and may shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// To mean 0 and variance 1.
    Layer,
    /// To a mean of squares of 1. Never shifts.
    Rms,
}

/// How positions are told.
#[derive(Clone, Debug, PartialEq)]
pub enum Positions {
    /// By rows that are added to the token embedding.
    Learned,
    /// By rotating pairs of a head's queries and keys.
    Rotary(Rotary),
}

/// Rotary positions.
///
/// Of a head, elements `i` and `i + r / 2` for `i` below `r / 2` are a pair, where `r` is the number of those that
/// rotate; the others stay.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotary {
    /// Tables of `r / 2` frequencies, in radians a position, each less than a whole turn.
    pub tables: Vec<Vec<f64>>,
    /// The number of each layer's table; where there are fewer than layers, they repeat.
    pub of_layers: Vec<usize>,
}

/// What a query sees of the positions up to its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// All of them.
    All,
    /// So many, its own included.
    Window(u32),
}

/// The MLP of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mlp {
    /// Applied to the hidden layer, or to the gate.
    pub activation: Activation,
    /// Whether a gate, passed through the activation, multiplies the hidden layer.
    pub gated: bool,
}

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The Gaussian error linear unit.
    Gelu(Gelu),
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)^2`.
    ReluSquared,
    /// `x / (1 + exp(-x))`.
    Silu,
}

impl Rotary {
    /// The frequencies of a layer, one a pair.
    pub fn table(&self, layer: u32) -> &[f64] {
        &self.tables[self.of_layers[layer as usize % self.of_layers.len()]]
    }
}

/// A frequency in radians a position as turns of 2^-64 a position; none of a turn a position or more.
pub fn turns(frequency: f64) -> Option<u64> {
    const TURN: f64 = std::f64::consts::TAU;
    const WHOLE: f64 = 2.0 * (1u64 << 63) as f64;
    let turns = (frequency / TURN * WHOLE).round();
    (0.0..WHOLE).contains(&turns).then_some(turns as u64)
}

impl Activation {
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
}

impl Architecture {
    /// GPT-2's, in core's words.
    pub fn of_core(config: &Config, tied: bool) -> Self {
        let &Config { n_vocab, n_ctx, n_embd, n_head, n_layer, n_ff, layer_norm_epsilon: epsilon, gelu } = config;
        Self {
            n_vocab,
            n_ctx,
            n_embd,
            n_layer,
            n_head,
            n_kv_head: n_head,
            head_dim: config.head_dim() as u32,
            n_ff,
            norm: Norm { kind: NormKind::Layer, epsilon },
            positions: Positions::Learned,
            spans: vec![Span::All],
            mlp: Mlp { activation: Activation::Gelu(gelu), gated: false },
            parallel: false,
            tied,
            embedding_scale: 1.0,
        }
    }

    /// The same in core's words.
    ///
    /// # Errors
    /// The first thing that core does not compute.
    pub fn to_core(&self) -> Result<Config, &'static str> {
        let lacks = [
            (self.norm.kind != NormKind::Layer, "RMS norms"),
            (self.positions != Positions::Learned, "rotary positions"),
            (self.mlp.gated, "a gated MLP"),
            (self.n_kv_head != self.n_head, "heads that share keys and values"),
            (u64::from(self.n_head) * u64::from(self.head_dim) != u64::from(self.n_embd), "heads of their own width"),
            (self.spans.iter().any(|&span| span != Span::All), "attention in windows"),
            (self.parallel, "parallel blocks"),
            (self.embedding_scale != 1.0, "scaled embeddings"),
        ];
        if let Some((_, what)) = lacks.into_iter().find(|(lacks, _)| *lacks) {
            return Err(what);
        }
        let Activation::Gelu(gelu) = self.mlp.activation else { return Err("an MLP without GELU") };
        let &Self { n_vocab, n_ctx, n_embd, n_head, n_layer, n_ff, norm, .. } = self;
        Ok(Config { n_vocab, n_ctx, n_embd, n_head, n_layer, n_ff, layer_norm_epsilon: norm.epsilon, gelu })
    }

    /// What queries of a layer see.
    pub fn span(&self, layer: u32) -> Span {
        self.spans[layer as usize % self.spans.len()]
    }

    /// Rows of the query, the key and the value projection.
    pub const fn qkv_rows(&self) -> [usize; 3] {
        let [heads, kv_heads] = [self.n_head as usize, self.n_kv_head as usize];
        let dim = self.head_dim as usize;
        [heads * dim, kv_heads * dim, kv_heads * dim]
    }

    /// Rows of the matrices, or elements of the vectors, that a tensor is made of where they are stored apart: queries,
    /// keys and values; gate and hidden layer; else itself.
    pub fn parts(&self, slot: Slot) -> Vec<usize> {
        match slot {
            Slot::Layer(_, LayerSlot::AttnQkvWeight | LayerSlot::AttnQkvBias) => self.qkv_rows().to_vec(),
            Slot::Layer(_, LayerSlot::FcWeight | LayerSlot::FcBias) if self.mlp.gated => vec![self.n_ff as usize; 2],
            slot => {
                let (rows, cols) = self.shape(slot);
                vec![if slot.is_matrix() { rows } else { cols }]
            }
        }
    }

    /// Every tensor that the model may have, biases and an untied head included.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        let (learned, shifts) = (self.positions == Positions::Learned, self.norm.kind == NormKind::Layer);
        let globals = [Slot::Wte, Slot::Wpe, Slot::LnFWeight, Slot::LnFBias, Slot::LmHead, Slot::LmHeadBias];
        let layers = (0..self.n_layer).flat_map(|layer| LayerSlot::ALL.map(|slot| Slot::Layer(layer, slot)));
        let is_shift = |slot| matches!(slot, Slot::LnFBias | Slot::Layer(_, LayerSlot::Ln1Bias | LayerSlot::Ln2Bias));
        globals.into_iter().chain(layers).filter(move |&slot| match slot {
            Slot::Wpe => learned,
            slot => shifts || !is_shift(slot),
        })
    }

    /// Rows and columns of a tensor in canonical form, `[out, in]`; vectors have one row.
    ///
    /// Queries, keys and values lie above one another, and so do gate and hidden layer.
    pub fn shape(&self, slot: Slot) -> (usize, usize) {
        let size = |count: u32| count as usize;
        let (n_embd, n_ff) = (size(self.n_embd), size(self.n_ff));
        let [query, key, value] = self.qkv_rows();
        let fc = if self.mlp.gated { 2 * n_ff } else { n_ff };
        match slot {
            Slot::Wte | Slot::LmHead => (size(self.n_vocab), n_embd),
            Slot::Wpe => (size(self.n_ctx), n_embd),
            Slot::LmHeadBias => (1, size(self.n_vocab)),
            Slot::LnFWeight | Slot::LnFBias => (1, n_embd),
            Slot::Layer(_, slot) => match slot {
                LayerSlot::AttnQkvWeight => (query + key + value, n_embd),
                LayerSlot::AttnQkvBias => (1, query + key + value),
                LayerSlot::AttnProjWeight => (n_embd, query),
                LayerSlot::FcWeight => (fc, n_embd),
                LayerSlot::FcBias => (1, fc),
                LayerSlot::MlpProjWeight => (n_embd, n_ff),
                LayerSlot::Ln1Weight
                | LayerSlot::Ln1Bias
                | LayerSlot::AttnProjBias
                | LayerSlot::Ln2Weight
                | LayerSlot::Ln2Bias
                | LayerSlot::MlpProjBias => (1, n_embd),
            },
        }
    }
}

impl fmt::Display for Architecture {
    /// `3 layers, n_embd 48, 6 heads of 8 (2 of keys and values), n_ff 100 (gated SiLU), …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n_layer, n_embd, n_head, n_kv_head, head_dim, n_ff, norm, mlp, .. } = self;
        write!(f, "{n_layer} layers, n_embd {n_embd}, {n_head} heads of {head_dim}")?;
        if n_kv_head != n_head {
            write!(f, " ({n_kv_head} of keys and values)")?;
        }
        let (gated, kind) =
            (if mlp.gated { "gated " } else { "" }, if norm.kind == NormKind::Rms { "RMS" } else { "layer" });
        write!(f, ", n_ff {n_ff} ({gated}{}), {kind} norm with epsilon {:e}", mlp.activation.name(), norm.epsilon)?;
        match &self.positions {
            Positions::Learned => write!(f, ", learned positions")?,
            Positions::Rotary(rotary) => write!(f, ", rotary positions ({} of {head_dim})", 2 * rotary.table(0).len())?,
        }
        let windowed = |span: &Span| match span {
            Span::Window(window) => Some(*window),
            Span::All => None,
        };
        if let Some(window) = self.spans.iter().find_map(windowed) {
            let n = (0..*n_layer).filter(|&layer| self.span(layer) != Span::All).count();
            write!(f, ", windows of {window} in {n} of the layers")?;
        }
        if self.parallel {
            write!(f, ", attention beside the MLP")?;
        }
        if self.embedding_scale != 1.0 {
            write!(f, ", embeddings times {}", self.embedding_scale)?;
        }
        write!(f, ", {}", if self.tied { "tied head" } else { "a head of its own" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPT2: Config = Config {
        n_vocab: 97,
        n_ctx: 24,
        n_embd: 60,
        n_head: 5,
        n_layer: 3,
        n_ff: 100,
        layer_norm_epsilon: 1e-5,
        gelu: Gelu::Erf,
    };

    /// A Llama with a window in every second layer.
    fn llama() -> Architecture {
        Architecture {
            n_kv_head: 1,
            head_dim: 8,
            norm: Norm { kind: NormKind::Rms, epsilon: 1e-6 },
            positions: Positions::Rotary(Rotary { tables: vec![vec![1.0, 0.5]], of_layers: vec![0] }),
            spans: vec![Span::Window(7), Span::All],
            mlp: Mlp { activation: Activation::Silu, gated: true },
            ..Architecture::of_core(&GPT2, false)
        }
    }

    #[test]
    fn gpt2_is_one_value_of_it() {
        let gpt2 = Architecture::of_core(&GPT2, true);
        assert_eq!(gpt2.to_core(), Ok(GPT2));
        assert!(gpt2.slots().eq(Slot::all(&GPT2)));
        for slot in gpt2.slots() {
            let (rows, cols) = slot.shape(&GPT2);
            assert_eq!(gpt2.shape(slot), (rows as usize, cols as usize), "{slot}");
        }
        let said = "3 layers, n_embd 60, 5 heads of 12, n_ff 100 (GELU (erf)), layer norm with epsilon 1e-5, learned \
                    positions, tied head";
        assert_eq!(gpt2.to_string(), said);
    }

    #[test]
    fn every_choice_is_something_that_core_lacks() {
        let gpt2 = Architecture::of_core(&GPT2, true);
        let others = [
            Architecture { norm: llama().norm, ..gpt2.clone() },
            Architecture { positions: llama().positions, ..gpt2.clone() },
            Architecture { spans: llama().spans, ..gpt2.clone() },
            Architecture { mlp: Mlp { gated: true, ..gpt2.mlp }, ..gpt2.clone() },
            Architecture { mlp: Mlp { activation: Activation::Relu, ..gpt2.mlp }, ..gpt2.clone() },
            Architecture { n_kv_head: 1, ..gpt2.clone() },
            Architecture { head_dim: 8, ..gpt2.clone() },
            Architecture { parallel: true, ..gpt2.clone() },
            Architecture { embedding_scale: 2.0, ..gpt2 },
        ];
        let lacks: Vec<&str> = others.iter().map(|other| other.to_core().unwrap_err()).collect();
        assert!((1..lacks.len()).all(|at| !lacks[..at].contains(&lacks[at])), "{lacks:?}");
    }

    #[test]
    fn shapes_follow_the_choices() {
        let llama = llama();
        let of = |slot: LayerSlot| llama.shape(Slot::Layer(1, slot));
        assert_eq!((of(LayerSlot::AttnQkvWeight), of(LayerSlot::AttnProjWeight)), ((56, 60), (60, 40)));
        assert_eq!((of(LayerSlot::FcWeight), of(LayerSlot::MlpProjWeight)), ((200, 60), (60, 100)));
        assert_eq!(llama.parts(Slot::Layer(0, LayerSlot::AttnQkvBias)), [40, 8, 8]);
        assert_eq!(llama.parts(Slot::Layer(0, LayerSlot::FcWeight)), [100, 100]);
        assert_eq!((llama.parts(Slot::Wte), llama.parts(Slot::LmHeadBias)), (vec![97], vec![97]));
        let lacks = |slot: Slot| llama.slots().all(|other| other != slot);
        assert!(lacks(Slot::Wpe) && lacks(Slot::LnFBias) && lacks(Slot::Layer(2, LayerSlot::Ln2Bias)));
        assert_eq!(llama.slots().count(), 4 + 3 * 10);
        assert_eq!([0, 1, 2].map(|layer| llama.span(layer)), [Span::Window(7), Span::All, Span::Window(7)]);
        let said = llama.to_string();
        assert!(said.contains("5 heads of 8 (1 of keys and values), n_ff 100 (gated SiLU), RMS norm"), "{said}");
        assert!(said.contains("rotary positions (4 of 8), windows of 7 in 2 of the layers"), "{said}");
    }

    #[test]
    fn turns_are_less_than_one_a_position() {
        let tau = std::f64::consts::TAU;
        assert_eq!((turns(0.0), turns(tau / 4.0)), (Some(0), Some(1 << 62)));
        assert_eq!((turns(tau), turns(7.0), turns(-1e-3), turns(f64::NAN)), (None, None, None, None));
        assert!(turns(tau * (1.0 - f64::EPSILON)).is_some());
    }
}
