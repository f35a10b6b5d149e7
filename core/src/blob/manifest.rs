//! What a blob says of the model in it.
//!
//! The manifest is one postcard message: [`Head`], then the sequence of [`Descriptor`]s, then the [`SelfTest`]. All
//! but the last have a fixed length, so that any descriptor can be decoded where it lies.

use crate::config::{Activations, Config, KvType, TokenId};
use crate::format::Format;
use serde::{Deserialize, Serialize};

/// A run of bytes, counted from the blob's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Its first byte, a multiple of [`SECTION_ALIGNMENT`](super::SECTION_ALIGNMENT).
    #[serde(with = "postcard::fixint::le")]
    pub offset: u64,
    /// Its length.
    #[serde(with = "postcard::fixint::le")]
    pub bytes: u64,
}

/// The part of the manifest that is kept in memory while a model is open.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// [`ARITHMETIC`](super::ARITHMETIC) of the writer.
    #[serde(with = "postcard::fixint::le")]
    pub arithmetic: u16,
    /// The model's shape.
    pub config: Config,
    /// What matrix products round their inputs to.
    pub activations: Activations,
    /// The tensors' bytes.
    pub tensors: Section,
    /// The tokeniser's bytes; none are there when its length is 0.
    pub tokenizer: Section,
}

impl Head {
    /// Length of an encoded head.
    pub const BYTES: usize = 2 + 29 + 1 + 16 + 16;
}

/// Where a tensor lies and how its rows are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// [`Format::code`], or 0 for a tensor that the model lacks.
    pub format: u8,
    /// Number of rows; 0 when absent.
    #[serde(with = "postcard::fixint::le")]
    pub rows: u32,
    /// Weights a row; 0 when absent.
    #[serde(with = "postcard::fixint::le")]
    pub cols: u32,
    /// First byte of the first row, counted from the blob's first; 0 when absent.
    #[serde(with = "postcard::fixint::le")]
    pub offset: u64,
}

impl Descriptor {
    /// Length of an encoded descriptor.
    pub const BYTES: usize = 17;

    /// Of a tensor that the model lacks.
    pub const ABSENT: Self = Self { format: 0, rows: 0, cols: 0, offset: 0 };

    /// Bytes that the tensor's rows take; `None` for an unknown format or on overflow.
    pub fn byte_len(&self) -> Option<u64> {
        let stride = Format::from_code(self.format)?.row_stride(self.cols as usize) as u64;
        stride.checked_mul(u64::from(self.rows))
    }
}

/// The longest token sequence of a self-test.
pub const MAX_SELF_TEST_TOKENS: usize = 32;

/// Tokens whose summed nll is known to the bit, so that a device can tell a bad build, memory or kernel from a bad
/// prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// At most `n_ctx + 1` token ids, at least two: one window, every target scored.
    pub tokens: heapless::Vec<TokenId, MAX_SELF_TEST_TOKENS>,
    /// The sum for each KV cache type.
    pub known: heapless::Vec<KnownNll, 4>,
}

/// What the self-test's tokens come to with one type of KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownNll {
    /// How keys and values are stored.
    pub kv_type: KvType,
    /// The bits of the f64 sum of the f32 nlls.
    #[serde(with = "postcard::fixint::le")]
    pub nll_bits: u64,
}

impl SelfTest {
    /// No encoded self-test is longer.
    pub const MAX_BYTES: usize = 1 + 5 * MAX_SELF_TEST_TOKENS + 1 + 4 * 9;

    /// The bits of the sum with `kv_type`, where the blob records them.
    pub fn nll_bits(&self, kv_type: KvType) -> Option<u64> {
        self.known.iter().find(|known| known.kv_type == kv_type).map(|known| known.nll_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Gelu;

    #[test]
    fn fixed_lengths_hold() {
        let config = Config {
            n_vocab: u32::MAX,
            n_ctx: 1,
            n_embd: 2,
            n_head: 3,
            n_layer: 4,
            n_ff: 5,
            layer_norm_epsilon: 1e-5,
            gelu: Gelu::Erf,
        };
        let section = Section { offset: u64::MAX, bytes: 0 };
        let head = Head { arithmetic: 7, config, activations: Activations::I16, tensors: section, tokenizer: section };
        let mut bytes = [0; 256];
        assert_eq!(postcard::to_slice(&head, &mut bytes).unwrap().len(), Head::BYTES);
        let descriptor = Descriptor { format: 2, rows: u32::MAX, cols: 1, offset: u64::MAX };
        assert_eq!(postcard::to_slice(&descriptor, &mut bytes).unwrap().len(), Descriptor::BYTES);
        let full = SelfTest {
            tokens: (0..MAX_SELF_TEST_TOKENS).map(|_| u32::MAX).collect(),
            known: (0..4).map(|_| KnownNll { kv_type: KvType::F32, nll_bits: u64::MAX }).collect(),
        };
        assert!(postcard::to_slice(&full, &mut bytes).unwrap().len() <= SelfTest::MAX_BYTES);
    }
}
