//! Reads a blob's weights back into the oracle: what the device multiplies by, to the last bit.
//!
//! Where a tensor lies is the core's to say; what its bytes mean is decoded here.

use emberlm_core::blob::{LayerSlot, Slot};
use emberlm_core::config::{self, Gelu};
use emberlm_core::model::Model;
use emberlm_core::source::Mapped;

use crate::oracle::{Activation, Block, Choices, Gpt2, LayerNorm, Linear, Matrix};
use crate::quantised::Storage;

/// The model whose weights are exactly those that `blob` stores, dequantised.
///
/// # Panics
/// If the blob does not open, or its model lacks a tensor that every model has.
pub fn read(blob: &[u8]) -> Gpt2 {
    let model = Model::open(Mapped::new(blob).expect("an aligned blob")).expect("a sound blob");
    let config = *model.config();
    let mut reader = Reader { model, blob };
    Gpt2 {
        n_head: config.n_head as usize,
        layer_norm_epsilon: f64::from(config.norms.epsilon),
        activation: match config.mlp.activation {
            config::Activation::Gelu(Gelu::Tanh) => Activation::GeluTanh,
            config::Activation::Gelu(Gelu::Erf) => Activation::GeluErf,
            _ => todo!(),
        },
        wte: reader.need_matrix(Slot::Wte),
        wpe: reader.need_matrix(Slot::Wpe),
        blocks: (0..config.n_layer).map(|layer| reader.block(layer)).collect(),
        ln_f: reader.norm(Slot::LnFWeight, Slot::LnFBias),
        lm_head: reader.matrix(Slot::LmHead),
        lm_head_bias: reader.vector(Slot::LmHeadBias),
        choices: Choices::GPT2,
    }
}

struct Reader<'a> {
    model: Model<Mapped<'a>>,
    blob: &'a [u8],
}

impl Reader<'_> {
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

    fn norm(&mut self, weight: Slot, bias: Slot) -> LayerNorm {
        LayerNorm { weight: self.need_matrix(weight).concat(), bias: self.vector(bias) }
    }

    fn linear(&mut self, weight: Slot, bias: Slot) -> Linear {
        Linear { weight: self.need_matrix(weight), bias: self.vector(bias) }
    }

    fn block(&mut self, layer: u32) -> Block {
        let at = |slot| Slot::Layer(layer, slot);
        Block {
            ln_1: self.norm(at(LayerSlot::Ln1Weight), at(LayerSlot::Ln1Bias)),
            c_attn: self.linear(at(LayerSlot::AttnQkvWeight), at(LayerSlot::AttnQkvBias)),
            attn_proj: self.linear(at(LayerSlot::AttnProjWeight), at(LayerSlot::AttnProjBias)),
            ln_2: self.norm(at(LayerSlot::Ln2Weight), at(LayerSlot::Ln2Bias)),
            c_fc: self.linear(at(LayerSlot::FcWeight), at(LayerSlot::FcBias)),
            mlp_proj: self.linear(at(LayerSlot::MlpProjWeight), at(LayerSlot::MlpProjBias)),
        }
    }
}
