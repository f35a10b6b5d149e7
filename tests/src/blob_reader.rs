//! Reads a blob's weights back into the oracle: what the device multiplies by, to the last bit.
//!
//! Where a tensor lies and what the model does is the core's to say; what bytes mean is decoded here.

use std::f64::consts::TAU;

use emberlm_core::blob::{LayerSlot, Slot};
use emberlm_core::config::{self, Config, Gelu, NormKind, Positions};
use emberlm_core::model::Model;
use emberlm_core::source::Mapped;

use crate::oracle::{self, Activation, Block, Choices, Linear, Matrix, Norm, OtherNorms};
use crate::quantised::Storage;

/// Hidden values whose gates lie together.
const RUN: usize = 8;

/// The model whose weights are exactly those that `blob` stores, dequantised.
///
/// # Panics
/// If the blob does not open, or its model lacks a tensor that every model has or does what the oracle does not.
pub fn read(blob: &[u8]) -> oracle::Model {
    let model = Model::open(Mapped::new(blob).expect("an aligned blob")).expect("a sound blob");
    let config = *model.config();
    let mut reader = Reader { model, blob };
    let positions = match config.positions {
        Positions::Learned => reader.need_matrix(Slot::Wpe),
        Positions::Rotary(_) => Vec::new(),
    };
    oracle::Model {
        n_ctx: config.n_ctx as usize,
        n_head: config.n_head as usize,
        epsilon: f64::from(config.norms.epsilon),
        activation: activation(config.mlp.activation),
        wte: reader.need_matrix(Slot::Wte),
        wpe: positions,
        blocks: (0..config.n_layer).map(|layer| reader.block(layer, config.mlp.gated)).collect(),
        ln_f: reader.norm(Slot::LnFWeight, Slot::LnFBias),
        lm_head: reader.matrix(Slot::LmHead),
        lm_head_bias: reader.vector(Slot::LmHeadBias),
        choices: reader.choices(&config),
    }
}

const fn activation(activation: config::Activation) -> Activation {
    match activation {
        config::Activation::Gelu(Gelu::Tanh) => Activation::GeluTanh,
        config::Activation::Gelu(Gelu::Erf) => Activation::GeluErf,
        config::Activation::Relu => Activation::Relu,
        config::Activation::ReluSquared => Activation::ReluSquared,
        config::Activation::Silu => Activation::Silu,
    }
}

struct Reader<'a> {
    model: Model<Mapped<'a>>,
    blob: &'a [u8],
}

impl Reader<'_> {
    /// How the model differs from a GPT-2; what it says of itself and GPT-2 has too is no difference.
    fn choices(&mut self, config: &Config) -> Choices {
        let layers = 0..config.n_layer;
        let windows = layers.clone().map(|layer| config.windows.of(layer).map(|window| window as usize));
        Choices {
            norms: self.other_norms(config),
            rms_norm: config.norms.kind == NormKind::Rms,
            n_kv_head: (config.n_kv_head != config.n_head).then_some(config.n_kv_head as usize),
            head_dim: (config.head_dim * config.n_head != config.n_embd).then_some(config.head_dim as usize),
            turns: match config.positions {
                Positions::Learned => Vec::new(),
                Positions::Rotary(rotary) => {
                    layers.map(|layer| self.turns(rotary.dim as usize / 2, rotary.table(layer))).collect()
                }
            },
            windows: if config.windows.len == 0 { Vec::new() } else { windows.collect() },
            scales: Vec::new(),
            gated: config.mlp.gated,
            parallel: config.parallel,
            embedding_scale: f64::from(config.embedding_scale),
        }
    }

    fn other_norms(&mut self, config: &Config) -> OtherNorms {
        use LayerSlot::{KNormWeight, LnAttnBias, LnAttnWeight, LnMlpBias, LnMlpWeight, QNormWeight};
        let (norms, layers) = (config.norms, 0..config.n_layer);
        let heads = layers.clone().filter(|_| norms.heads).map(|layer| {
            let of = |weight| Norm { weight: self.vector(Slot::Layer(layer, weight)), bias: None };
            [QNormWeight, KNormWeight].map(of)
        });
        let heads = heads.collect();
        let after = layers.filter(|_| norms.after).map(|layer| {
            let of = |(weight, bias)| self.norm(Slot::Layer(layer, weight), Slot::Layer(layer, bias));
            [(LnAttnWeight, LnAttnBias), (LnMlpWeight, LnMlpBias)].map(of)
        });
        let after = after.collect();
        OtherNorms {
            none_before: !norms.before,
            none_last: !norms.last,
            embedding: norms.embedding.then(|| self.norm(Slot::LnEWeight, Slot::LnEBias)),
            heads,
            after,
        }
    }

    /// A table of so many frequencies, in radians a position.
    fn turns(&self, n: usize, table: usize) -> Vec<f64> {
        let section = self.model.head().frequencies;
        let bytes = &self.blob[section.offset as usize..][..section.bytes as usize];
        let turns = bytes.as_chunks().0[table * n..][..n].iter().map(|&turns| u64::from_le_bytes(turns));
        turns.map(|turns| turns as f64 / 2f64.powi(64) * TAU).collect()
    }

    fn matrix(&mut self, slot: Slot) -> Option<Matrix> {
        let tensor = self.model.tensor(slot).expect("memory can be read")?;
        let bytes = &self.blob[tensor.offset..][..tensor.rows * tensor.stride];
        let storage = Storage::from_code(tensor.format.code());
        Some(storage.decode(bytes, tensor.rows, tensor.cols))
    }

    fn need_matrix(&mut self, slot: Slot) -> Matrix {
        self.matrix(slot).unwrap_or_else(|| panic!("no {slot}"))
    }

    fn vector(&mut self, slot: Slot) -> Option<Vec<f64>> {
        self.matrix(slot).map(|rows| rows.concat())
    }

    fn norm(&mut self, weight: Slot, bias: Slot) -> Norm {
        Norm { weight: self.vector(weight), bias: self.vector(bias) }
    }

    fn linear(&mut self, weight: Slot, bias: Slot) -> Linear {
        Linear { weight: self.need_matrix(weight), bias: self.vector(bias) }
    }

    fn block(&mut self, layer: u32, gated: bool) -> Block {
        let at = |slot| Slot::Layer(layer, slot);
        let mut c_fc = self.linear(at(LayerSlot::FcWeight), at(LayerSlot::FcBias));
        if gated {
            c_fc.weight = gate_above(&c_fc.weight);
            c_fc.bias = c_fc.bias.map(|bias| gate_above(&bias));
        }
        Block {
            ln_1: self.norm(at(LayerSlot::Ln1Weight), at(LayerSlot::Ln1Bias)),
            c_attn: self.linear(at(LayerSlot::AttnQkvWeight), at(LayerSlot::AttnQkvBias)),
            attn_proj: self.linear(at(LayerSlot::AttnProjWeight), at(LayerSlot::AttnProjBias)),
            ln_2: self.norm(at(LayerSlot::Ln2Weight), at(LayerSlot::Ln2Bias)),
            c_fc,
            mlp_proj: self.linear(at(LayerSlot::MlpProjWeight), at(LayerSlot::MlpProjBias)),
        }
    }
}

/// What came in runs of the gate and of the hidden layer, all of the gate first.
fn gate_above<T: Clone>(rows: &[T]) -> Vec<T> {
    let (mut gate, mut hidden) = (Vec::new(), Vec::new());
    for runs in rows.chunks(2 * RUN) {
        let (of_gate, of_hidden) = runs.split_at(runs.len() / 2);
        gate.extend_from_slice(of_gate);
        hidden.extend_from_slice(of_hidden);
    }
    [gate, hidden].concat()
}
