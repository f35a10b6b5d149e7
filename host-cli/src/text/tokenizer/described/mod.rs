//! A BPE by ranks as a `tokenizer.json` describes it: `steps` are what texts and tokens go through, `vocabulary` the tokens.
//!
//! Whatever a blob's section cannot say is an error that names it.

mod steps;
mod vocabulary;

use super::bpe_model::Model;
use super::document::Document;
use super::ranked_tokens::RankedTokens;
use vocabulary::Vocabulary;

/// The BPE by ranks of a document.
///
/// # Errors
/// What a section cannot say.
pub fn ranked(document: &Document) -> Result<RankedTokens, String> {
    let model = Model::read(document.part("model"))?;
    let texts = steps::Texts::read(document)?;
    let decoding = steps::Decoding::read(document, &texts, model.byte_fallback)?;
    Vocabulary::new(document, &model, &texts)?.assemble(&decoding)
}
