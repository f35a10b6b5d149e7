//! What a model computes: core's shape and choices, and what beside the weights a checkpoint says of them.
//!
//! Which family a model comes from only the reader of its checkpoint knows, and what is no choice (a family's own scale of
//! attention, the order in which its pairs rotate) that reader folds into the weights.

use emberlm_core::blob::{LayerSlot, Presence, Slot};
use emberlm_core::config::{Config, GATE_RUN, NormKind, Positions};
use std::fmt;
use std::ops::Deref;

/// A model's shape and choices.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// In core's words.
    pub config: Config,
    /// Where positions rotate, tables of the frequencies of a head's pairs, in radians a position, each less than a whole
    /// turn: as many tables as the config says.
    pub frequencies: Vec<Vec<f64>>,
    /// Whether the head shares the token embedding.
    pub tied: bool,
}

impl Deref for Architecture {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

/// A frequency in radians a position as turns of 2^-64 a position; none of a turn a position or more.
pub fn turns(frequency: f64) -> Option<u64> {
    const TURN: f64 = std::f64::consts::TAU;
    const WHOLE: f64 = 2.0 * (1u64 << 63) as f64;
    let turns = (frequency / TURN * WHOLE).round();
    (0.0..WHOLE).contains(&turns).then_some(turns as u64)
}

impl Architecture {
    /// The frequencies by which a layer's pairs rotate; none where positions are learned.
    pub fn table(&self, layer: u32) -> &[f64] {
        match self.positions {
            Positions::Learned => &[],
            Positions::Rotary(rotary) => &self.frequencies[rotary.table(layer)],
        }
    }

    /// The same as a blob has them: tables one after another, in turns of 2^-64 a position.
    pub fn turns(&self) -> impl Iterator<Item = u64> {
        let turns = |&frequency: &f64| turns(frequency).expect("frequencies of less than a turn");
        self.frequencies.iter().flatten().map(turns)
    }

    /// Rows of the query, the key and the value projection.
    pub fn qkv_rows(&self) -> [usize; 3] {
        [self.query_width(), self.kv_width(), self.kv_width()]
    }

    /// Rows of the matrices, or elements of the vectors, that a tensor is made of where they are stored apart: queries,
    /// keys and values; gate and hidden layer; else itself.
    pub fn parts(&self, slot: Slot) -> Vec<usize> {
        match slot {
            Slot::Layer(_, LayerSlot::AttnQkvWeight | LayerSlot::AttnQkvBias) => self.qkv_rows().to_vec(),
            slot if self.is_gated(slot) => vec![self.n_ff as usize; 2],
            slot => {
                let (rows, cols) = self.shape(slot);
                vec![if slot.is_matrix() { rows } else { cols }]
            }
        }
    }

    /// Whether a tensor has rows of a gate and of the hidden layer, in runs of both.
    pub fn is_gated(&self, slot: Slot) -> bool {
        self.mlp.gated && matches!(slot, Slot::Layer(_, LayerSlot::FcWeight | LayerSlot::FcBias))
    }

    /// Every tensor that the model may have, biases and an untied head included.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        let config = self.config;
        Slot::all(&config).filter(move |slot| slot.presence(&config) != Presence::Never)
    }

    /// Rows and columns of a tensor in canonical form, `[out, in]`; vectors have one row.
    pub fn shape(&self, slot: Slot) -> (usize, usize) {
        let (rows, cols) = slot.shape(&self.config);
        (rows as usize, cols as usize)
    }
}

/// Whether a checkpoint may lack a tensor: biases, and a head that is tied. A norm without a scale is none that it may lack.
pub const fn is_optional(slot: Slot) -> bool {
    use LayerSlot::{AttnProjBias, AttnQkvBias, FcBias, Ln1Bias, Ln2Bias, LnAttnBias, LnMlpBias, MlpProjBias};
    matches!(
        slot,
        Slot::LnFBias
            | Slot::LnEBias
            | Slot::LmHead
            | Slot::LmHeadBias
            | Slot::Layer(
                _,
                Ln1Bias | AttnQkvBias | AttnProjBias | Ln2Bias | FcBias | MlpProjBias | LnAttnBias | LnMlpBias
            )
    )
}

/// Whether a tensor is a norm's scale.
pub const fn is_norm_weight(slot: Slot) -> bool {
    use LayerSlot::{KNormWeight, Ln1Weight, Ln2Weight, LnAttnWeight, LnMlpWeight, QNormWeight};
    matches!(
        slot,
        Slot::LnFWeight
            | Slot::LnEWeight
            | Slot::Layer(_, Ln1Weight | Ln2Weight | LnAttnWeight | LnMlpWeight | QNormWeight | KNormWeight)
    )
}

/// Rows of a gate above those of its hidden layer, each of `cols` elements, in runs of both as a blob has them.
pub fn in_runs(rows: &[f32], cols: usize) -> Vec<f32> {
    let (gate, hidden) = rows.split_at(rows.len() / 2);
    let run = GATE_RUN * cols;
    gate.chunks(run).zip(hidden.chunks(run)).flat_map(|(gate, hidden)| gate.iter().chain(hidden)).copied().collect()
}

impl fmt::Display for Architecture {
    /// `3 layers, n_embd 48, 6 heads of 8 (2 of keys and values), n_ff 100 (gated SiLU), …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Config { n_layer, n_embd, n_head, n_kv_head, head_dim, n_ff, norms, mlp, windows, .. } = &self.config;
        write!(f, "{n_layer} layers, n_embd {n_embd}, {n_head} heads of {head_dim}")?;
        if n_kv_head != n_head {
            write!(f, " ({n_kv_head} of keys and values)")?;
        }
        let (gated, kind) =
            (if mlp.gated { "gated " } else { "" }, if norms.kind == NormKind::Rms { "RMS" } else { "layer" });
        write!(f, ", n_ff {n_ff} ({gated}{}), {kind} norm with epsilon {:e}", mlp.activation.name(), norms.epsilon)?;
        let others = [
            (norms.after, "behind attention and MLP"),
            (norms.embedding, "behind the embedding"),
            (norms.heads, "of queries and keys"),
            (!norms.before, "none before attention and MLP"),
            (!norms.last, "none before the head"),
        ];
        let others: Vec<&str> = others.into_iter().filter_map(|(is_so, name)| is_so.then_some(name)).collect();
        if !others.is_empty() {
            write!(f, " ({})", others.join(", "))?;
        }
        match self.positions {
            Positions::Learned => write!(f, ", learned positions")?,
            Positions::Rotary(rotary) => write!(f, ", rotary positions ({} of {head_dim})", rotary.dim)?,
        }
        if windows.len != 0 {
            let n = windows.layers.before(n_layer);
            write!(f, ", windows of {} in {n} of the layers", windows.len)?;
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
    use emberlm_core::config::{Activation, Layers, Mlp, Norms, Rotary, Windows};

    const GPT2: Config =
        Config { n_vocab: 97, n_ctx: 24, n_embd: 60, n_layer: 3, n_ff: 100, ..Config::GPT2 }.with_heads(5);

    /// A Llama with a window in every second layer.
    fn llama() -> Architecture {
        let config = Config {
            n_kv_head: 1,
            head_dim: 8,
            norms: Norms { kind: NormKind::Rms, epsilon: 1e-6, ..GPT2.norms },
            positions: Positions::Rotary(Rotary { dim: 4, second: Layers::NONE }),
            windows: Windows { layers: Layers::repeating(&[true, false]), len: 7 },
            mlp: Mlp { activation: Activation::Silu, gated: true },
            ..GPT2
        };
        Architecture { config, frequencies: vec![vec![1.0, 0.5]], tied: false }
    }

    #[test]
    fn gpt2_is_one_value_of_it() {
        let gpt2 = Architecture { config: GPT2, frequencies: Vec::new(), tied: true };
        let said = "3 layers, n_embd 60, 5 heads of 12, n_ff 100 (GELU (tanh)), layer norm with epsilon 1e-5, learned \
                    positions, tied head";
        assert_eq!((gpt2.to_string().as_str(), gpt2.slots().count(), gpt2.table(1)), (said, 6 + 3 * 12, &[][..]));
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
        let said = llama.to_string();
        assert!(said.contains("5 heads of 8 (1 of keys and values), n_ff 100 (gated SiLU), RMS norm"), "{said}");
        assert!(said.contains("rotary positions (4 of 8), windows of 7 in 2 of the layers"), "{said}");
        let mut other = llama.clone();
        (other.config.norms.heads, other.config.norms.last, other.config.parallel) = (true, false, true);
        let said = other.to_string();
        assert!(said.contains("RMS norm with epsilon 1e-6 (of queries and keys, none before the head), "), "{said}");
        assert!(said.contains(", attention beside the MLP, a head of its own"), "{said}");
    }

    #[test]
    fn gates_and_hidden_values_lie_in_runs() {
        let rows: Vec<f32> = (0..2 * 11 * 3).map(|i| i as f32).collect();
        let in_runs = in_runs(&rows, 3);
        let row = |i: usize| in_runs[3 * i] / 3.0;
        assert_eq!([0, 7, 8, 15, 16, 18, 19, 21].map(row), [0.0, 7.0, 11.0, 18.0, 8.0, 10.0, 19.0, 21.0]);
    }

    #[test]
    fn turns_are_less_than_one_a_position() {
        let tau = std::f64::consts::TAU;
        assert_eq!((turns(0.0), turns(tau / 4.0)), (Some(0), Some(1 << 62)));
        assert_eq!((turns(tau), turns(7.0), turns(-1e-3), turns(f64::NAN)), (None, None, None, None));
        assert!(turns(tau * (1.0 - f64::EPSILON)).is_some());
    }
}
