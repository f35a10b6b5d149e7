//! Which tensor is which: a fixed order of slots, so that a tensor is found by arithmetic and never by search.

use super::manifest::Descriptor;
use crate::config::Config;
use core::fmt;

/// A tensor outside the transformer blocks, or one of a block's.
///
/// Matrices are `[out, in]`, row-major. The tensor table holds one descriptor a slot: the six global slots, then
/// twelve for each layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Slot {
    /// Token embedding, `[n_vocab, n_embd]`.
    Wte,
    /// Position embedding, `[n_ctx, n_embd]`.
    Wpe,
    /// Final layer norm's scale, `[1, n_embd]`.
    LnFWeight,
    /// Final layer norm's shift, `[1, n_embd]`; optional.
    LnFBias,
    /// Output head, `[n_vocab, n_embd]`; absent where it is tied to `wte`.
    LmHead,
    /// Output head's bias, `[1, n_vocab]`; optional.
    LmHeadBias,
    /// A tensor of one transformer block, counted from 0.
    Layer(u32, LayerSlot),
}

/// A tensor of a transformer block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LayerSlot {
    /// First layer norm's scale, `[1, n_embd]`.
    Ln1Weight,
    /// First layer norm's shift, `[1, n_embd]`; optional.
    Ln1Bias,
    /// Query, key and value projections above one another, `[3 n_embd, n_embd]`.
    AttnQkvWeight,
    /// `[1, 3 n_embd]`; optional.
    AttnQkvBias,
    /// Attention's output projection, `[n_embd, n_embd]`.
    AttnProjWeight,
    /// `[1, n_embd]`; optional.
    AttnProjBias,
    /// Second layer norm's scale, `[1, n_embd]`.
    Ln2Weight,
    /// Second layer norm's shift, `[1, n_embd]`; optional.
    Ln2Bias,
    /// MLP's first matrix, `[n_ff, n_embd]`.
    FcWeight,
    /// `[1, n_ff]`; optional.
    FcBias,
    /// MLP's second matrix, `[n_embd, n_ff]`.
    MlpProjWeight,
    /// `[1, n_embd]`; optional.
    MlpProjBias,
}

impl LayerSlot {
    /// Every tensor of a block, in the table's order.
    pub const ALL: [Self; 12] = [
        Self::Ln1Weight,
        Self::Ln1Bias,
        Self::AttnQkvWeight,
        Self::AttnQkvBias,
        Self::AttnProjWeight,
        Self::AttnProjBias,
        Self::Ln2Weight,
        Self::Ln2Bias,
        Self::FcWeight,
        Self::FcBias,
        Self::MlpProjWeight,
        Self::MlpProjBias,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Ln1Weight => "ln_1.weight",
            Self::Ln1Bias => "ln_1.bias",
            Self::AttnQkvWeight => "attn.c_attn.weight",
            Self::AttnQkvBias => "attn.c_attn.bias",
            Self::AttnProjWeight => "attn.c_proj.weight",
            Self::AttnProjBias => "attn.c_proj.bias",
            Self::Ln2Weight => "ln_2.weight",
            Self::Ln2Bias => "ln_2.bias",
            Self::FcWeight => "mlp.c_fc.weight",
            Self::FcBias => "mlp.c_fc.bias",
            Self::MlpProjWeight => "mlp.c_proj.weight",
            Self::MlpProjBias => "mlp.c_proj.bias",
        }
    }
}

/// Slots outside the transformer blocks, in the table's order.
const GLOBAL: [Slot; 6] = [Slot::Wte, Slot::Wpe, Slot::LnFWeight, Slot::LnFBias, Slot::LmHead, Slot::LmHeadBias];

impl Slot {
    /// The number of slots of a model.
    pub const fn count(config: &Config) -> usize {
        GLOBAL.len() + LayerSlot::ALL.len() * config.n_layer as usize
    }

    /// Every slot of a model, in the table's order.
    pub fn all(config: &Config) -> impl Iterator<Item = Self> + use<> {
        let layers = (0..config.n_layer).flat_map(|layer| LayerSlot::ALL.map(|slot| Self::Layer(layer, slot)));
        GLOBAL.into_iter().chain(layers)
    }

    /// The slot's place in the table.
    pub const fn index(self) -> usize {
        match self {
            Self::Wte => 0,
            Self::Wpe => 1,
            Self::LnFWeight => 2,
            Self::LnFBias => 3,
            Self::LmHead => 4,
            Self::LmHeadBias => 5,
            Self::Layer(layer, slot) => GLOBAL.len() + LayerSlot::ALL.len() * layer as usize + slot as usize,
        }
    }

    /// Rows and columns of the tensor; vectors have one row.
    pub const fn shape(self, config: &Config) -> (u32, u32) {
        let Config { n_vocab, n_ctx, n_embd, n_ff, .. } = *config;
        match self {
            Self::Wte | Self::LmHead => (n_vocab, n_embd),
            Self::Wpe => (n_ctx, n_embd),
            Self::LmHeadBias => (1, n_vocab),
            Self::LnFWeight | Self::LnFBias => (1, n_embd),
            Self::Layer(_, slot) => match slot {
                LayerSlot::AttnQkvWeight => (3 * n_embd, n_embd),
                LayerSlot::AttnQkvBias => (1, 3 * n_embd),
                LayerSlot::AttnProjWeight => (n_embd, n_embd),
                LayerSlot::FcWeight => (n_ff, n_embd),
                LayerSlot::FcBias => (1, n_ff),
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

    /// Whether the tensor is a matrix, which may have any format; vectors are f32 or f16.
    pub const fn is_matrix(self) -> bool {
        use LayerSlot::{AttnProjWeight, AttnQkvWeight, FcWeight, MlpProjWeight};
        matches!(
            self,
            Self::Wte
                | Self::Wpe
                | Self::LmHead
                | Self::Layer(_, AttnQkvWeight | AttnProjWeight | FcWeight | MlpProjWeight)
        )
    }

    /// Whether a model may lack the tensor.
    pub const fn is_optional(self) -> bool {
        use LayerSlot::{AttnProjBias, AttnQkvBias, FcBias, Ln1Bias, Ln2Bias, MlpProjBias};
        matches!(
            self,
            Self::LnFBias
                | Self::LmHead
                | Self::LmHeadBias
                | Self::Layer(_, Ln1Bias | AttnQkvBias | AttnProjBias | Ln2Bias | FcBias | MlpProjBias)
        )
    }

    /// Byte offset of the slot's descriptor from the table's first.
    pub(crate) const fn descriptor_offset(self) -> usize {
        self.index() * Descriptor::BYTES
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wte => f.write_str("wte.weight"),
            Self::Wpe => f.write_str("wpe.weight"),
            Self::LnFWeight => f.write_str("ln_f.weight"),
            Self::LnFBias => f.write_str("ln_f.bias"),
            Self::LmHead => f.write_str("lm_head.weight"),
            Self::LmHeadBias => f.write_str("lm_head.bias"),
            Self::Layer(layer, slot) => write!(f, "h.{layer}.{}", slot.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Gelu;

    #[test]
    fn the_table_is_in_the_order_of_the_indices() {
        let config = Config {
            n_vocab: 97,
            n_ctx: 24,
            n_embd: 60,
            n_head: 5,
            n_layer: 3,
            n_ff: 100,
            layer_norm_epsilon: 1e-5,
            gelu: Gelu::Tanh,
        };
        assert_eq!(Slot::all(&config).count(), Slot::count(&config));
        for (index, slot) in Slot::all(&config).enumerate() {
            assert_eq!(slot.index(), index, "{slot}");
        }
    }
}
