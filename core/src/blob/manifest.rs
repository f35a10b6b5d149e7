//! What a blob says of the model in it.
//!
//! The manifest is one postcard message: [`Head`], [`TextTokens`] and [`LongSelfTest`], then the sequence of
//! [`Descriptor`]s, and the [`SelfTest`]. All but the last have a fixed length, so that any descriptor can be decoded where
//! it lies; the first three are read field by field, which takes a small program less code than a message of them.

use super::pruned::PrunedVocabulary;
use crate::config::{
    Activation, Activations, Choice, Config, KvType, Layers, Mlp, NormKind, Norms, Positions, Rotary, TokenId, Windows,
};
use crate::features::GPT2_ONLY;
use crate::format::Format;
use crate::part::part_mut;
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

/// The part of the manifest that is kept in memory while a model is open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    /// [`ARITHMETIC`](super::ARITHMETIC) of the writer.
    pub arithmetic: u16,
    /// The model's shape and choices.
    pub config: Config,
    /// What matrix products round their inputs to.
    pub activations: Activations,
    /// The tensors' bytes.
    pub tensors: Section,
    /// The frequencies' bytes: for each table, for each pair of a head's elements a u64 of turns a position in units of
    /// `2^-64`. None are there where positions are learned.
    pub frequencies: Section,
    /// The tokeniser's bytes; none are there when its length is 0.
    pub tokenizer: Section,
}

/// The choices beside sizes, activation and epsilon, as a blob has them.
type Choices = [u8; 31];

impl Head {
    /// Length of an encoded head, without the [`TextTokens`] that follow it.
    pub const BYTES: usize = 2 + 8 * 4 + 4 + size_of::<Choices>() + 2 + 3 * 16;

    /// Reads a head.
    ///
    /// # Errors
    /// A choice has a value that none has, or, where it is said, one that this build leaves out.
    #[inline(never)] // What it takes of the stack is free again when the rest is checked.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, Option<Choice>> {
        let mut fields = Fields(bytes);
        let read = (|| {
            let arithmetic = u16::from_le_bytes(fields.take()?);
            let [n_vocab, n_ctx, n_embd, n_layer] = fields.counts()?;
            let [n_head, n_kv_head, head_dim, n_ff] = fields.counts()?;
            let [epsilon] = fields.counts()?;
            let (choices, [activation, activations]) = (fields.take()?, fields.take()?);
            let activation = *Activation::ALL.get(usize::from(activation))?;
            let activations = match activations {
                0 => Activations::I16,
                1 => Activations::F32,
                2 => Activations::I8,
                _ => return None,
            };
            let sizes = Config { n_vocab, n_ctx, n_embd, n_layer, n_head, n_kv_head, head_dim, n_ff, ..Config::GPT2 };
            let (epsilon, sections) =
                (f32::from_bits(epsilon), [fields.section()?, fields.section()?, fields.section()?]);
            Some((arithmetic, sizes, epsilon, choices, activation, activations, sections))
        })();
        let (arithmetic, sizes, epsilon, choices, activation, activations, sections) = read.ok_or(None)?;
        let mut config = with_choices(sizes, &choices)?;
        (config.norms.epsilon, config.mlp.activation) = (epsilon, activation);
        let [tensors, frequencies, tokenizer] = sections;
        Ok(Self { arithmetic, config, activations, tensors, frequencies, tokenizer })
    }

    /// The bytes that [`Head::from_bytes`] reads.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let Config { n_vocab, n_ctx, n_embd, n_layer, n_head, n_kv_head, head_dim, n_ff, .. } = self.config;
        let activation = Activation::ALL.iter().take_while(|&&other| other != self.config.mlp.activation).count() as u8;
        let activations = match self.activations {
            Activations::I16 => 0,
            Activations::F32 => 1,
            Activations::I8 => 2,
        };
        let counts = [n_vocab, n_ctx, n_embd, n_layer, n_head, n_kv_head, head_dim, n_ff];
        let sections = [self.tensors, self.frequencies, self.tokenizer];
        let mut bytes = [0; Self::BYTES];
        let mut fields = Written { bytes: &mut bytes, at: 0 };
        fields.put(&self.arithmetic.to_le_bytes());
        counts.iter().for_each(|count| fields.put(&count.to_le_bytes()));
        fields.put(&self.config.norms.epsilon.to_le_bytes());
        fields.put(&choices(&self.config));
        fields.put(&[activation, activations]);
        let sections = sections.iter().flat_map(|section| [section.offset, section.bytes]);
        sections.for_each(|count| fields.put(&count.to_le_bytes()));
        bytes
    }
}

/// The same sizes with other choices.
fn with_choices(sizes: Config, bytes: &Choices) -> Result<Config, Option<Choice>> {
    if GPT2_ONLY {
        const GPT2: Choices = choices(&Config::GPT2);
        // One by one, which takes less code than the library's comparison.
        let equal = bytes.iter().zip(&GPT2).all(|(a, b)| a == b);
        return if equal { Ok(sizes) } else { Err(Some(Choice::OtherThanGpt2)) };
    }
    read_choices(sizes, bytes).ok_or(None)
}

fn read_choices(sizes: Config, bytes: &Choices) -> Option<Config> {
    let mut fields = Fields(bytes);
    let [scale, window, rotary] = fields.counts()?;
    let [windowed, second] = [Layers::from_bits(fields.long()?)?, Layers::from_bits(fields.long()?)?];
    let [kind, places, block] = fields.take()?;
    if places >= 1 << 5 || block >= 1 << 2 {
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
        before: place(0),
        after: place(1),
        embedding: place(2),
        heads: place(3),
        last: place(4),
        ..sizes.norms
    };
    let positions = match rotary {
        0 if second.bits() == Layers::NONE.bits() => Positions::Learned,
        0 => return None,
        dim => Positions::Rotary(Rotary { dim, second }),
    };
    let mlp = Mlp { gated: block & 1 != 0, ..sizes.mlp };
    let windows = Windows { layers: windowed, len: window };
    let parallel = block & 2 != 0;
    Some(Config { norms, positions, windows, mlp, parallel, embedding_scale: f32::from_bits(scale), ..sizes })
}

const fn choices(config: &Config) -> Choices {
    let Config { norms, positions, windows, mlp, parallel, embedding_scale, .. } = *config;
    let (dim, second) = match positions {
        Positions::Learned => (0, Layers::NONE),
        Positions::Rotary(Rotary { dim, second }) => (dim, second),
    };
    let mut places = norms.before as u8 | (norms.after as u8) << 1 | (norms.embedding as u8) << 2;
    places |= (norms.heads as u8) << 3 | (norms.last as u8) << 4;
    let kind = matches!(norms.kind, NormKind::Rms) as u8;
    let [a, b, c, d] = embedding_scale.to_le_bytes();
    let [e, f, g, h] = windows.len.to_le_bytes();
    let [i, j, k, l] = dim.to_le_bytes();
    let [w0, w1, w2, w3, w4, w5, w6, w7] = windows.layers.bits().to_le_bytes();
    let [s0, s1, s2, s3, s4, s5, s6, s7] = second.bits().to_le_bytes();
    let block = mlp.gated as u8 | (parallel as u8) << 1;
    [
        a, b, c, d, e, f, g, h, i, j, k, l, w0, w1, w2, w3, w4, w5, w6, w7, s0, s1, s2, s3, s4, s5, s6, s7, kind,
        places, block,
    ]
}

/// No token, where there could be one.
pub const NO_TOKEN: TokenId = TokenId::MAX;

/// The tokens that begin and end a text, and what the vocabulary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TextTokens {
    /// The one that texts begin with, or [`NO_TOKEN`].
    pub bos: TokenId,
    /// Whether the tokeniser puts it before a text.
    pub adds_bos: bool,
    /// Those that end a text, then [`NO_TOKEN`].
    pub ends: [TokenId; Self::MAX_ENDS],
    /// Tokens of the vocabulary that this one was cut from; 0 where it is whole.
    pub pruned_from: u32,
}

impl TextTokens {
    /// The most tokens that end a text.
    pub const MAX_ENDS: usize = 4;

    /// Length when encoded, behind a [`Head`].
    pub const BYTES: usize = 4 + 1 + 4 * Self::MAX_ENDS + 4;

    /// None, of a whole vocabulary.
    pub const NONE: Self = Self { bos: NO_TOKEN, adds_bos: false, ends: [NO_TOKEN; Self::MAX_ENDS], pruned_from: 0 };

    /// Whether the token ends a text.
    pub fn ends_with(&self, token: TokenId) -> bool {
        token != NO_TOKEN && self.ends.contains(&token)
    }

    /// What the vocabulary of `n_vocab` tokens was cut from; none where it is whole.
    pub fn pruned(&self, n_vocab: u32) -> Option<PrunedVocabulary> {
        (self.pruned_from != 0).then_some(PrunedVocabulary { from: self.pruned_from, to: n_vocab })
    }

    /// Reads them.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut fields = Fields(bytes);
        let mut read = || {
            let ([bos], [adds_bos]) = (fields.counts()?, fields.take()?);
            let (ends, [pruned_from]) = (fields.counts()?, fields.counts()?);
            Some(Self { bos, adds_bos: adds_bos != 0 && bos != NO_TOKEN, ends, pruned_from })
        };
        read().unwrap_or(Self::NONE)
    }

    /// The bytes that [`TextTokens::from_bytes`] reads.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let mut fields = Written { bytes: &mut bytes, at: 0 };
        fields.put(&self.bos.to_le_bytes());
        fields.put(&[u8::from(self.adds_bos)]);
        self.ends.iter().chain([&self.pruned_from]).for_each(|count| fields.put(&count.to_le_bytes()));
        bytes
    }
}

/// Fields that are not read yet.
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

/// Fields that are written one after another.
struct Written<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Written<'_> {
    fn put(&mut self, field: &[u8]) {
        part_mut(self.bytes, self.at..self.at + field.len()).copy_from_slice(field);
        self.at += field.len();
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongSelfTest {
    /// At most `n_ctx + 1`, at least two; or 0 where the blob has no such test.
    pub n_tokens: u32,
    /// The bits of the f64 sum of the f32 nlls with each KV cache type, in the order of [`KvType::ALL`]: of one window,
    /// every target scored.
    pub nll_bits: [u64; 3],
}

impl LongSelfTest {
    /// Length when encoded, behind [`TextTokens`].
    pub const BYTES: usize = 4 + 3 * 8;

    /// No test.
    pub const NONE: Self = Self { n_tokens: 0, nll_bits: [0; 3] };

    /// The bits of the sum with `kv_type`.
    pub const fn nll_bits(&self, kv_type: KvType) -> u64 {
        let [f32_bits, f16_bits, i8_bits] = self.nll_bits;
        match kv_type {
            KvType::F32 => f32_bits,
            KvType::F16 => f16_bits,
            KvType::I8 => i8_bits,
        }
    }

    /// Reads it.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut fields = Fields(bytes);
        let mut read = || {
            let [n_tokens] = fields.counts()?;
            Some(Self { n_tokens, nll_bits: [fields.long()?, fields.long()?, fields.long()?] })
        };
        read().unwrap_or(Self::NONE)
    }

    /// The bytes that [`LongSelfTest::from_bytes`] reads.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let mut fields = Written { bytes: &mut bytes, at: 0 };
        fields.put(&self.n_tokens.to_le_bytes());
        self.nll_bits.iter().for_each(|bits| fields.put(&bits.to_le_bytes()));
        bytes
    }

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
        let section = |offset| Section { offset, bytes: u64::MAX };
        let [tensors, frequencies, tokenizer] = [section(16), section(32), section(48)];
        Head { arithmetic: 7, config, activations: Activations::I8, tensors, frequencies, tokenizer }
    }

    #[test]
    fn heads_come_back_from_their_bytes() {
        let gpt2 = Head { config: Config::GPT2, activations: Activations::F32, ..head() };
        for head in [head(), gpt2] {
            assert_eq!(Head::from_bytes(&head.to_bytes()), Ok(head));
        }
        let text = TextTokens { bos: 1, adds_bos: true, ends: [2, 3, NO_TOKEN, NO_TOKEN], pruned_from: 50_257 };
        for text in [text, TextTokens::NONE] {
            assert_eq!(TextTokens::from_bytes(&text.to_bytes()), text);
        }
        let long = LongSelfTest { n_tokens: 300, nll_bits: [1, u64::MAX, 3] };
        assert_eq!(LongSelfTest::from_bytes(&long.to_bytes()), long);
        assert_eq!(KvType::ALL.map(|kv_type| long.nll_bits(kv_type)), long.nll_bits);
        assert_eq!(text.pruned(9), Some(PrunedVocabulary { from: 50_257, to: 9 }));
        assert_eq!(TextTokens::NONE.pruned(9), None);
        assert!(text.ends_with(3) && !text.ends_with(1) && !text.ends_with(NO_TOKEN));
    }

    #[test]
    fn choices_that_there_are_not_are_refused() {
        let good = head().to_bytes();
        let bad =
            [(50..58, 0), (58..66, 0), (66..67, 2), (67..68, 32), (68..69, 4), (69..70, 5), (70..71, 3), (46..50, 0)];
        for (field, value) in bad {
            let mut bytes = good;
            bytes[field.clone()].fill(value);
            assert_eq!(Head::from_bytes(&bytes), Err(None), "{field:?}");
        }
    }

    #[test]
    fn fixed_lengths_hold() {
        let mut bytes = [0; 256];
        let descriptor = Descriptor { format: 2, rows: u32::MAX, cols: 1, offset: u64::MAX };
        assert_eq!(postcard::to_slice(&descriptor, &mut bytes).unwrap().len(), Descriptor::BYTES);
        let known = (0..4).map(|_| KnownNll { kv_type: KvType::F32, nll_bits: u64::MAX }).collect();
        let full = SelfTest { tokens: (0..MAX_SELF_TEST_TOKENS).map(|_| u32::MAX).collect(), known };
        assert!(postcard::to_slice(&full, &mut bytes).unwrap().len() <= SelfTest::MAX_BYTES);
    }
}
