//! Which tensor is which: a fixed order of slots, so that a tensor is found by arithmetic and never by search.

use super::manifest::Descriptor;
use crate::config::{Config, NormKind, Positions};
use crate::features::{GATED_MLP, GPT2_ONLY};
use core::fmt;

/// A tensor outside the transformer blocks, or one of a block's.
///
/// Matrices are `[out, in]`, row-major. The tensor table holds one descriptor a slot: the eight global slots, then
/// eighteen for each layer, whatever of them a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Slot {
    /// Token embedding, `[n_vocab, n_embd]`.
    Wte,
    /// Position embedding, `[n_ctx, n_embd]`, of learned positions.
    Wpe,
    /// Final norm's scale, `[1, n_embd]`; optional.
    LnFWeight,
    /// Final norm's shift, `[1, n_embd]`; optional.
    LnFBias,
    /// Output head, `[n_vocab, n_embd]`; absent where it is tied to `wte`.
    LmHead,
    /// Output head's bias, `[1, n_vocab]`; optional.
    LmHeadBias,
    /// The embedding's norm's scale, `[1, n_embd]`; optional.
    LnEWeight,
    /// The embedding's norm's shift, `[1, n_embd]`; optional.
    LnEBias,
    /// A tensor of one transformer block, counted from 0.
    Layer(u32, LayerSlot),
}

/// A tensor of a transformer block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LayerSlot {
    /// Scale of the norm before attention, `[1, n_embd]`; optional, as every norm's scale and shift.
    Ln1Weight,
    /// Its shift, `[1, n_embd]`.
    Ln1Bias,
    /// Query, key and value projections above one another, `[query_width + 2 kv_width, n_embd]`.
    AttnQkvWeight,
    /// `[1, query_width + 2 kv_width]`; optional.
    AttnQkvBias,
    /// Attention's output projection, `[n_embd, query_width]`.
    AttnProjWeight,
    /// `[1, n_embd]`; optional.
    AttnProjBias,
    /// Scale of the norm before the MLP, `[1, n_embd]`.
    Ln2Weight,
    /// Its shift, `[1, n_embd]`.
    Ln2Bias,
    /// MLP's first matrix, `[n_ff, n_embd]`; with a gate `[2 n_ff, n_embd]`, in runs of
    /// [`GATE_RUN`](crate::config::GATE_RUN) rows of either.
    FcWeight,
    /// A number for each of those rows; optional.
    FcBias,
    /// MLP's second matrix, `[n_embd, n_ff]`.
    MlpProjWeight,
    /// `[1, n_embd]`; optional.
    MlpProjBias,
    /// Scale of the norm of each head's queries, `[1, head_dim]`.
    QNormWeight,
    /// Scale of the norm of each head's keys, `[1, head_dim]`.
    KNormWeight,
    /// Scale of the norm behind attention, `[1, n_embd]`.
    LnAttnWeight,
    /// Its shift, `[1, n_embd]`.
    LnAttnBias,
    /// Scale of the norm behind the MLP, `[1, n_embd]`.
    LnMlpWeight,
    /// Its shift, `[1, n_embd]`.
    LnMlpBias,
}

impl LayerSlot {
    /// Every tensor of a block, in the table's order.
    pub const ALL: [Self; 18] = [
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
        Self::QNormWeight,
        Self::KNormWeight,
        Self::LnAttnWeight,
        Self::LnAttnBias,
        Self::LnMlpWeight,
        Self::LnMlpBias,
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
            Self::QNormWeight => "attn.q_norm.weight",
            Self::KNormWeight => "attn.k_norm.weight",
            Self::LnAttnWeight => "ln_attn.weight",
            Self::LnAttnBias => "ln_attn.bias",
            Self::LnMlpWeight => "ln_mlp.weight",
            Self::LnMlpBias => "ln_mlp.bias",
        }
    }
}

/// Slots outside the transformer blocks, in the table's order.
const GLOBAL: [Slot; 8] = [
    Slot::Wte,
    Slot::Wpe,
    Slot::LnFWeight,
    Slot::LnFBias,
    Slot::LmHead,
    Slot::LmHeadBias,
    Slot::LnEWeight,
    Slot::LnEBias,
];

/// Whether models of a config have a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// All of them.
    Required,
    /// Some of them.
    Optional,
    /// None of them.
    Never,
}

impl Slot {
    /// The number of slots of a model.
    pub const fn count(config: &Config) -> usize {
        GLOBAL.len() + LayerSlot::ALL.len() * config.n_layer as usize
    }

    /// Every slot of a model, in the table's order.
    pub fn all(config: &Config) -> impl Iterator<Item = Self> + use<> {
        (0..Self::count(config)).map(|index| match GLOBAL.get(index) {
            Some(&slot) => slot,
            None => {
                let (index, n) = (index - GLOBAL.len(), LayerSlot::ALL.len());
                Self::Layer((index / n) as u32, LayerSlot::ALL[index % n])
            }
        })
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
            Self::LnEWeight => 6,
            Self::LnEBias => 7,
            Self::Layer(layer, slot) => GLOBAL.len() + LayerSlot::ALL.len() * layer as usize + slot as usize,
        }
    }

    /// Rows and columns of the tensor, `config` being [valid](Config::validate); vectors have one row.
    pub const fn shape(self, config: &Config) -> (u32, u32) {
        let Config { n_vocab, n_ctx, n_embd, n_ff, head_dim, .. } = *config;
        let queries = config.query_width() as u32;
        let qkv = queries + 2 * config.kv_width() as u32;
        let fc = if GATED_MLP && config.mlp.gated { 2 * n_ff } else { n_ff };
        match self {
            Self::Wte | Self::LmHead => (n_vocab, n_embd),
            Self::Wpe => (n_ctx, n_embd),
            Self::LmHeadBias => (1, n_vocab),
            Self::LnFWeight | Self::LnFBias | Self::LnEWeight | Self::LnEBias => (1, n_embd),
            Self::Layer(_, slot) => match slot {
                LayerSlot::AttnQkvWeight => (qkv, n_embd),
                LayerSlot::AttnQkvBias => (1, qkv),
                LayerSlot::AttnProjWeight => (n_embd, queries),
                LayerSlot::FcWeight => (fc, n_embd),
                LayerSlot::FcBias => (1, fc),
                LayerSlot::MlpProjWeight => (n_embd, n_ff),
                LayerSlot::QNormWeight | LayerSlot::KNormWeight => (1, head_dim),
                LayerSlot::Ln1Weight
                | LayerSlot::Ln1Bias
                | LayerSlot::AttnProjBias
                | LayerSlot::Ln2Weight
                | LayerSlot::Ln2Bias
                | LayerSlot::MlpProjBias
                | LayerSlot::LnAttnWeight
                | LayerSlot::LnAttnBias
                | LayerSlot::LnMlpWeight
                | LayerSlot::LnMlpBias => (1, n_embd),
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

    /// Whether models of this config have the tensor.
    pub const fn presence(self, config: &Config) -> Presence {
        use LayerSlot::{
            AttnProjBias, AttnProjWeight, AttnQkvBias, AttnQkvWeight, FcBias, FcWeight, KNormWeight, Ln1Bias,
            Ln1Weight, Ln2Bias, Ln2Weight, LnAttnBias, LnAttnWeight, LnMlpBias, LnMlpWeight, MlpProjBias,
            MlpProjWeight, QNormWeight,
        };
        let norms = if GPT2_ONLY { Config::GPT2.norms } else { config.norms };
        let learned = GPT2_ONLY || matches!(config.positions, Positions::Learned);
        let shifts = matches!(norms.kind, NormKind::Layer);
        let may_be_there = match self {
            Self::Wte | Self::Layer(_, AttnQkvWeight | AttnProjWeight | FcWeight | MlpProjWeight) => {
                return Presence::Required;
            }
            Self::Wpe if learned => return Presence::Required,
            Self::Wpe => false,
            Self::LmHead | Self::LmHeadBias | Self::Layer(_, AttnQkvBias | AttnProjBias | FcBias | MlpProjBias) => true,
            Self::LnFWeight => norms.last,
            Self::LnFBias => norms.last && shifts,
            Self::LnEWeight => norms.embedding,
            Self::LnEBias => norms.embedding && shifts,
            Self::Layer(_, Ln1Weight | Ln2Weight) => norms.before,
            Self::Layer(_, Ln1Bias | Ln2Bias) => norms.before && shifts,
            Self::Layer(_, QNormWeight | KNormWeight) => norms.heads,
            Self::Layer(_, LnAttnWeight | LnMlpWeight) => norms.after,
            Self::Layer(_, LnAttnBias | LnMlpBias) => norms.after && shifts,
        };
        if may_be_there { Presence::Optional } else { Presence::Never }
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
            Self::LnEWeight => f.write_str("ln_e.weight"),
            Self::LnEBias => f.write_str("ln_e.bias"),
            Self::Layer(layer, slot) => write!(f, "h.{layer}.{}", slot.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_indices() {
        let config = Config { n_layer: 3, ..Config::GPT2 };
        assert_eq!(Slot::all(&config).count(), Slot::count(&config));
        for (index, slot) in Slot::all(&config).enumerate() {
            assert_eq!(slot.index(), index, "{slot}");
        }
    }
}
