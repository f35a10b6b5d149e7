//! What a blob says of the model in it.
//!
//! The manifest is one postcard message: [`Head`], then the sequence of [`Descriptor`]s, the [`SelfTest`] and the
//! [`LongSelfTest`]. Head and descriptors have a fixed length, so that any descriptor can be decoded where it lies; the
//! head's fields are read one after another, which takes a small program less code than a message of them.

use crate::config::{
    Activation, Activations, Config, KvType, Layers, Mlp, NormKind, Norms, Positions, Rotary, TokenId, Windows,
};
use crate::format::Format;
use serde::{Deserialize, Serialize};

/// A run of bytes, counted from the blob's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its first byte, a multiple of [`SECTION_ALIGNMENT`](super::SECTION_ALIGNMENT).
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
}

impl Section {
    /// Nothing, at the blob's start.
    pub const NONE: Self = Self { offset: 0, bytes: 0 };
}

/// No token, where there could be one.
pub const NO_TOKEN: TokenId = TokenId::MAX;

/// The tokens that begin and end a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TextTokens {
    /// The one that texts begin with, or [`NO_TOKEN`].
    pub bos: TokenId,
    /// Whether the tokeniser puts it before a text.
    pub adds_bos: bool,
    /// Those that end a text, then [`NO_TOKEN`].
    pub ends: [TokenId; Self::MAX_ENDS],
}

impl TextTokens {
    /// The most tokens that end a text.
    pub const MAX_ENDS: usize = 4;

    /// None.
    pub const NONE: Self = Self { bos: NO_TOKEN, adds_bos: false, ends: [NO_TOKEN; Self::MAX_ENDS] };

    /// Whether the token ends a text.
    pub fn ends_with(&self, token: TokenId) -> bool {
        token != NO_TOKEN && self.ends.contains(&token)
    }

    /// Whether the model has them all.
    pub(crate) fn are_below(&self, n_vocab: u32) -> bool {
        let good = |token: TokenId| token < n_vocab || token == NO_TOKEN;
        good(self.bos) && self.ends.iter().all(|&end| good(end)) && !(self.adds_bos && self.bos == NO_TOKEN)
    }
}

/// The part of the manifest that is kept in memory while a model is open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    /// [`ARITHMETIC`](super::ARITHMETIC) of the writer.
    pub arithmetic: u16,
    /// The model's shape and choices.
    pub config: Config,
    /// What matrix products round their inputs to.
    pub activations: Activations,
    /// The tokens that begin and end a text.
    pub text: TextTokens,
    /// Tokens of the vocabulary that this one was cut from; 0 where it is whole.
    pub pruned_from: u32,
    /// The tensors' bytes.
    pub tensors: Section,
    /// The frequencies' bytes: for each table, for each pair of a head's elements a u64 of turns a position in units of
    /// `2^-64`. None are there where positions are learned.
    pub frequencies: Section,
    /// The tokeniser's bytes; none are there when its length is 0.
    pub tokenizer: Section,
}

impl Head {
    /// Length of an encoded head.
    pub const BYTES: usize = 144;

    /// Reads a head; `None` where a choice has no such value.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let arithmetic = u16::from_le_bytes(fields.take()?);
        let [n_vocab, n_ctx, n_embd, n_layer] = fields.counts()?;
        let [n_head, n_kv_head, head_dim, n_ff] = fields.counts()?;
        let [epsilon, embedding_scale] = fields.counts()?.map(f32::from_bits);
        let [window, rotary] = fields.counts()?;
        let [windowed, second] = [Layers::from_bits(fields.long()?)?, Layers::from_bits(fields.long()?)?];
        let [kind, places, activation, block, activations, adds_bos] = fields.take()?;
        if places >= 1 << 5 || block >= 1 << 2 || adds_bos > 1 {
            return None;
        }
        let place = |bit: u32| places >> bit & 1 != 0;
        let kind = match kind {
            0 => NormKind::Layer,
            1 => NormKind::Rms,
            _ => return None,
        };
        let norms = Norms {
            kind,
            epsilon,
            before: place(0),
            after: place(1),
            embedding: place(2),
            heads: place(3),
            last: place(4),
        };
        let positions = match rotary {
            0 if second == Layers::NONE => Positions::Learned,
            0 => return None,
            dim => Positions::Rotary(Rotary { dim, second }),
        };
        let mlp = Mlp { activation: *Activation::ALL.get(usize::from(activation))?, gated: block & 1 != 0 };
        let windows = Windows { layers: windowed, len: window };
        let parallel = block & 2 != 0;
        let config = Config {
            n_vocab,
            n_ctx,
            n_embd,
            n_layer,
            n_head,
            n_kv_head,
            head_dim,
            n_ff,
            norms,
            positions,
            windows,
            mlp,
            parallel,
            embedding_scale,
        };
        let activations = match activations {
            0 => Activations::I16,
            1 => Activations::F32,
            2 => Activations::I8,
            _ => return None,
        };
        let [bos, pruned_from] = fields.counts()?;
        let text = TextTokens { bos, adds_bos: adds_bos == 1, ends: fields.counts()? };
        let [tensors, frequencies, tokenizer] = [fields.section()?, fields.section()?, fields.section()?];
        Some(Self { arithmetic, config, activations, text, pruned_from, tensors, frequencies, tokenizer })
    }

    /// The bytes that [`Head::from_bytes`] reads.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let Config { n_vocab, n_ctx, n_embd, n_layer, n_head, n_kv_head, head_dim, n_ff, .. } = self.config;
        let Config { norms, positions, windows, mlp, parallel, embedding_scale, .. } = self.config;
        let (dim, second) = match positions {
            Positions::Learned => (0, Layers::NONE),
            Positions::Rotary(Rotary { dim, second }) => (dim, second),
        };
        let places = [norms.before, norms.after, norms.embedding, norms.heads, norms.last];
        let places = places.iter().rev().fold(0, |bits, &place| bits << 1 | u8::from(place));
        let activation = Activation::ALL.iter().take_while(|&&other| other != mlp.activation).count() as u8;
        let activations = match self.activations {
            Activations::I16 => 0,
            Activations::F32 => 1,
            Activations::I8 => 2,
        };
        let kind = u8::from(norms.kind == NormKind::Rms);
        let block = u8::from(mlp.gated) | u8::from(parallel) << 1;
        let [e0, e1, e2, e3] = self.text.ends;
        let counts = [n_vocab, n_ctx, n_embd, n_layer, n_head, n_kv_head, head_dim, n_ff];
        let floats = [norms.epsilon, embedding_scale].map(f32::to_bits);
        let tail = [self.text.bos, self.pruned_from, e0, e1, e2, e3];
        let sections = [self.tensors, self.frequencies, self.tokenizer];
        let mut bytes = [0; Self::BYTES];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        put(&self.arithmetic.to_le_bytes());
        counts.iter().chain(&floats).chain(&[windows.len, dim]).for_each(|count| put(&count.to_le_bytes()));
        [windows.layers, second].iter().for_each(|layers| put(&layers.bits().to_le_bytes()));
        put(&[kind, places, activation, block, activations, u8::from(self.text.adds_bos)]);
        tail.iter().for_each(|count| put(&count.to_le_bytes()));
        sections.iter().flat_map(|section| [section.offset, section.bytes]).for_each(|count| put(&count.to_le_bytes()));
        bytes
    }
}

/// The fields of a head that are not read yet.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    #[inline(always)]
    fn counts<const N: usize>(&mut self) -> Option<[u32; N]> {
        let mut counts = [0; N];
        for count in &mut counts {
            *count = u32::from_le_bytes(self.take()?);
        }
        Some(counts)
    }

    #[inline(always)]
    fn long(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take()?))
    }

    #[inline(always)]
    fn section(&mut self) -> Option<Section> {
        Some(Section { offset: self.long()?, bytes: self.long()? })
    }
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

/// A longer self-test, whose tokens follow from their number: `n_tokens` of them, the last one only a target. Such a test
/// goes past the ring of a layer that sees a window, and is run where it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongSelfTest {
    /// At most `n_ctx + 1`, at least two; or 0 where the blob has no such test.
    pub n_tokens: u32,
    /// The sum for each KV cache type, of one window with every target scored.
    pub known: heapless::Vec<KnownNll, 4>,
}

impl LongSelfTest {
    /// No encoded test is longer.
    pub const MAX_BYTES: usize = 5 + 1 + 4 * 9;

    /// Its tokens, in order: the upper bits of a linear congruential generator (Knuth's), modulo `n_vocab`.
    pub fn tokens(n_vocab: u32) -> impl Iterator<Item = TokenId> {
        let mut state = 0u64;
        core::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as u32).checked_rem(n_vocab).unwrap_or(0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        let rotary = Rotary { dim: 6, second: Layers::repeating(&[false, true, true]) };
        let config = Config {
            n_vocab: u32::MAX,
            n_ctx: 2,
            n_embd: 3,
            n_layer: 4,
            n_head: 5,
            n_kv_head: 6,
            head_dim: 7,
            n_ff: 8,
            norms: Norms { kind: NormKind::Rms, epsilon: 1e-6, embedding: true, last: false, ..Config::GPT2.norms },
            positions: Positions::Rotary(rotary),
            windows: Windows { layers: Layers::ALL, len: 9 },
            mlp: Mlp { activation: Activation::Silu, gated: true },
            parallel: true,
            embedding_scale: 2.5,
        };
        let text = TextTokens { bos: 1, adds_bos: true, ends: [2, 3, NO_TOKEN, NO_TOKEN] };
        let section = |offset| Section { offset, bytes: u64::MAX };
        let [tensors, frequencies, tokenizer] = [section(16), section(32), section(48)];
        let activations = Activations::I8;
        Head { arithmetic: 7, config, activations, text, pruned_from: 50_257, tensors, frequencies, tokenizer }
    }

    #[test]
    fn heads_come_back_from_their_bytes() {
        let gpt2 = Head { config: Config::GPT2, activations: Activations::F32, text: TextTokens::NONE, ..head() };
        for head in [head(), gpt2] {
            assert_eq!(Head::from_bytes(&head.to_bytes()), Some(head));
        }
    }

    #[test]
    fn choices_that_there_are_not_are_refused() {
        let good = head().to_bytes();
        for (field, value) in [(50..58, 0), (58..66, 0), (66..67, 2), (67..68, 32), (68..69, 5), (69..70, 4), (70..71, 3), (71..72, 2)] {
            let mut bytes = good;
            bytes[field.clone()].fill(value);
            assert_eq!(Head::from_bytes(&bytes), None, "{field:?}");
        }
        // Learned positions have no second table.
        let mut bytes = good;
        bytes[46..50].fill(0);
        assert_eq!(Head::from_bytes(&bytes), None);
    }

    #[test]
    fn fixed_lengths_hold() {
        let mut bytes = [0; 256];
        let descriptor = Descriptor { format: 2, rows: u32::MAX, cols: 1, offset: u64::MAX };
        assert_eq!(postcard::to_slice(&descriptor, &mut bytes).unwrap().len(), Descriptor::BYTES);
        let known: heapless::Vec<_, 4> =
            (0..4).map(|_| KnownNll { kv_type: KvType::F32, nll_bits: u64::MAX }).collect();
        let tokens = (0..MAX_SELF_TEST_TOKENS).map(|_| u32::MAX).collect();
        let full = SelfTest { tokens, known: known.clone() };
        assert!(postcard::to_slice(&full, &mut bytes).unwrap().len() <= SelfTest::MAX_BYTES);
        let long = LongSelfTest { n_tokens: u32::MAX, known };
        assert_eq!(postcard::to_slice(&long, &mut bytes).unwrap().len(), LongSelfTest::MAX_BYTES);
    }
}
