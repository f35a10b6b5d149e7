//! What is in a blob.

use emberlm_core::blob::{FORMAT_VERSION, NO_TOKEN, PrunedVocabulary, Section, Slot, TextTokens};
use emberlm_core::config::{KvType, TokenId};
use emberlm_core::model::Tensor;
use serde::Serialize;

use super::architecture::ArchitectureContents;
use crate::engine::{Blob, BlobError, BlobFault};
use crate::text::tokenizer::section;

/// Everything that a blob's manifest says, and what follows from it.
#[derive(Clone, Debug, Serialize)]
pub struct Contents {
    /// Its path.
    pub blob: String,
    /// Its length.
    pub bytes: u64,
    /// Version of the layout of bytes.
    pub format_version: u16,
    /// Version of the arithmetic.
    pub arithmetic: u16,
    /// What matrix products round their inputs to.
    pub activations: &'static str,
    /// The CRC-32 that tells blobs apart, in 8 hex digits.
    pub model_crc32: String,
    /// What the model computes.
    pub config: ArchitectureContents,
    /// Whether the head is the token embedding.
    pub tied_head: bool,
    /// What the vocabulary was cut from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned: Option<PrunedVocabulary>,
    /// The tokens that begin and end a text.
    pub text: TextContents,
    /// Weights in all tensors.
    pub parameters: u64,
    /// Stored bits a weight over all matrices and embeddings, scales and padding included.
    pub bits_per_weight: f64,
    /// Where the sections lie.
    pub sections: Sections,
    /// The tokenizer, where the blob has one.
    pub tokenizer: Option<TokenizerContents>,
    /// Tokens whose loss the blob knows.
    pub self_test: SelfTestContents,
    /// The tensors, in the order of the table.
    pub tensors: Vec<TensorContents>,
}

/// Where the sections lie.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sections {
    /// The weights.
    pub tensors: SectionContents,
    /// The frequencies of rotary positions.
    pub frequencies: SectionContents,
    /// The tokenizer.
    pub tokenizer: SectionContents,
}

/// Where a section lies.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SectionContents {
    /// Its first byte, counted from the blob's first.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
}

/// The tokenizer in a blob.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TokenizerContents {
    /// How text becomes tokens.
    pub kind: &'static str,
    /// Tokens that stand for text.
    pub n_tokens: u32,
    /// Merges.
    pub n_merges: usize,
    /// Unicode's normal form that a text has to have before the device encodes it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normal_form: Option<&'static str>,
}

/// The tokens that begin and end a text.
#[derive(Clone, Debug, Serialize)]
pub struct TextContents {
    /// The one that texts begin with.
    pub bos: Option<TokenId>,
    /// Whether the tokenizer puts it before a text.
    pub adds_bos: bool,
    /// Those that end a text.
    pub ends: Vec<TokenId>,
}

/// Tokens whose loss a blob knows.
#[derive(Clone, Debug, Serialize)]
pub struct SelfTestContents {
    /// The tokens: one window, the first one context only.
    pub tokens: Vec<TokenId>,
    /// The sums.
    pub known: Vec<KnownContents>,
    /// Tokens of the self-test that is run where it is asked for; 0 where there is none.
    pub long_tokens: u32,
    /// Its sums.
    pub long_known: Vec<KnownContents>,
}

/// A sum that a blob knows.
#[derive(Clone, Debug, Serialize)]
pub struct KnownContents {
    /// The KV cache's type.
    pub kv: &'static str,
    /// The bits of the f64 sum of the losses, in 16 hex digits.
    pub nll_bits: String,
}

/// A tensor of a blob.
#[derive(Clone, Debug, Serialize)]
pub struct TensorContents {
    /// Its name.
    pub name: String,
    /// How its rows are stored.
    pub format: &'static str,
    /// Rows.
    pub rows: usize,
    /// Weights a row.
    pub cols: usize,
    /// Its first byte, counted from the blob's first.
    pub offset: usize,
    /// Its length.
    pub bytes: u64,
    #[serde(skip)]
    is_matrix: bool,
}

impl From<TextTokens> for TextContents {
    fn from(TextTokens { bos, adds_bos, ends, .. }: TextTokens) -> Self {
        let ends = ends.into_iter().filter(|&end| end != NO_TOKEN).collect();
        Self { bos: Some(bos).filter(|&bos| bos != NO_TOKEN), adds_bos, ends }
    }
}

impl From<Section> for SectionContents {
    fn from(Section { offset, bytes }: Section) -> Self {
        Self { offset, bytes }
    }
}

impl TensorContents {
    fn new(slot: Slot, tensor: &Tensor) -> Self {
        let &Tensor { format, rows, cols, offset, stride } = tensor;
        let bytes = rows as u64 * stride as u64;
        let (name, is_matrix) = (slot.to_string(), slot.is_matrix());
        Self { name, format: format.name(), rows, cols, offset, bytes, is_matrix }
    }

    const fn weights(&self) -> u64 {
        self.rows as u64 * self.cols as u64
    }
}

/// The tensors of a blob, in the order of the table.
///
/// # Errors
/// None, for an open blob.
pub fn tensors(blob: &Blob) -> Result<Vec<TensorContents>, BlobError> {
    let mut model = blob.model()?;
    let config = *model.config();
    let read = |slot| {
        let tensor = model.tensor(slot).map_err(|error| blob.fault(BlobFault::Open(error.into())))?;
        Ok(tensor.map(|tensor| TensorContents::new(slot, &tensor)))
    };
    Slot::all(&config).map(read).filter_map(Result::transpose).collect()
}

/// Stored bits a weight over all matrices and embeddings, scales and padding included.
pub fn bits_per_weight(tensors: &[TensorContents]) -> f64 {
    let matrices = tensors.iter().filter(|tensor| tensor.is_matrix);
    let (bytes, weights) = matrices.fold((0, 0), |(bytes, weights), t| (bytes + t.bytes, weights + t.weights()));
    8.0 * bytes as f64 / weights as f64
}

/// The formats of matrices and embeddings, those with most weights first.
pub fn formats(tensors: &[TensorContents]) -> Vec<&'static str> {
    let mut weights: Vec<(&'static str, u64)> = Vec::new();
    for tensor in tensors.iter().filter(|tensor| tensor.is_matrix) {
        match weights.iter_mut().find(|(format, _)| *format == tensor.format) {
            Some((_, n)) => *n += tensor.weights(),
            None => weights.push((tensor.format, tensor.weights())),
        }
    }
    weights.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
    weights.into_iter().map(|(format, _)| format).collect()
}

/// Reads all that `blob` says of itself.
///
/// # Errors
/// Its tokeniser section is damaged.
pub fn contents(blob: &Blob) -> Result<Contents, BlobError> {
    let mut model = blob.model()?;
    let tensors = tensors(blob)?;
    let self_test = model.self_test().map_err(|error| blob.fault(BlobFault::Open(error)))?;
    let tokenizer = model.tokenizer().map_err(|error| section::broken(&error))?;
    let text = model.text_tokens().map_err(|error| blob.fault(BlobFault::Open(error.into())))?;
    let tied = tensors.iter().all(|tensor| tensor.name != Slot::LmHead.to_string());
    let long = model.long_self_test().map_err(|error| blob.fault(BlobFault::Open(error.into())))?;
    let known = |(kv_type, bits): (KvType, u64)| KnownContents { kv: kv_type.name(), nll_bits: format!("{bits:016x}") };
    let short_known = self_test.known.iter().map(|test| known((test.kv_type, test.nll_bits)));
    let long_known = KvType::ALL.into_iter().zip(long.nll_bits).map(known);
    let head = model.head();
    Ok(Contents {
        blob: blob.path.display().to_string(),
        bytes: model.blob_bytes() as u64,
        format_version: FORMAT_VERSION,
        arithmetic: head.arithmetic,
        activations: head.activations.name(),
        model_crc32: blob.crc32()?,
        config: ArchitectureContents::new(&head.config, tied),
        tied_head: tied,
        pruned: text.pruned(head.config.n_vocab),
        text: text.into(),
        parameters: tensors.iter().map(TensorContents::weights).sum(),
        bits_per_weight: bits_per_weight(&tensors),
        sections: Sections {
            tensors: head.tensors.into(),
            frequencies: head.frequencies.into(),
            tokenizer: head.tokenizer.into(),
        },
        tokenizer: tokenizer.map(|tokenizer| TokenizerContents {
            kind: tokenizer.kind().name(),
            n_tokens: tokenizer.n_tokens(),
            n_merges: tokenizer.merges().len(),
            normal_form: tokenizer.ranked().and_then(|ranked| ranked.rules().form.name()),
        }),
        self_test: SelfTestContents {
            tokens: self_test.tokens.to_vec(),
            known: short_known.collect(),
            long_tokens: long.n_tokens,
            long_known: if long.n_tokens > 0 { long_known.collect() } else { Vec::new() },
        },
        tensors,
    })
}
