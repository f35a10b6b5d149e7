//! The vocabulary of a blob: its tokenizer, the tokens that begin and end a text, and what is left of a checkpoint's.

use std::collections::HashSet;
use std::path::Path;

use emberlm_core::blob::{NO_TOKEN, PrunedVocabulary, TextTokens};
use emberlm_core::config::TokenId;
use serde::Serialize;

use super::console::Console;
use super::error::Error;
use super::options::prune::RawPrune;
use crate::checkpoint::Checkpoint;
use crate::engine::generation::END_OF_TEXT;
use crate::engine::{Blob, BlobFault};
use crate::ground::kept::Kept;
use crate::ground::shown;
use crate::text::input::{Row, Source};
use crate::text::tokenizer::prune::full_ids::{Vocabulary as Tokens, full_ids};
use crate::text::tokenizer::prune::{Pruned, count, prune};
use crate::text::tokenizer::select::Search;
use crate::text::tokenizer::{BlobTokenizer, SectionParts, Tokenizer, TokenizerError};

/// A checkpoint, and what of its vocabulary a blob is to hold.
#[derive(Debug)]
pub struct Vocabulary {
    /// The model, over the tokens that are left.
    pub checkpoint: Checkpoint,
    /// What the tokeniser section is to hold.
    pub tokenizer: Option<SectionParts>,
    /// The tokens that begin and end a text.
    pub text: TextTokens,
    /// What was cut; none where the vocabulary is whole.
    pub cut: Option<Cut>,
}

/// What was cut of a vocabulary.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cut {
    #[serde(flatten)]
    sizes: PrunedVocabulary,
    /// Tokens that the texts need, with those that always stay.
    needed: u32,
    /// Of these the ones that were left out.
    left_out: u32,
    /// Tokens of the texts, by the whole vocabulary and by what is left of it.
    tokens_of_texts: TokensOfTexts,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct TokensOfTexts {
    whole: usize,
    pruned: usize,
}

impl Cut {
    /// What was cut, for people.
    pub fn text(&self) -> String {
        let Self { sizes, needed, left_out, tokens_of_texts: TokensOfTexts { whole, pruned } } = self;
        match left_out {
            0 => format!("{sizes}: the texts need {needed}, and are the same {whole} tokens as before"),
            _ => format!(
                "{sizes}: the texts need {needed}, of which {left_out} are left out, and are {pruned} tokens long instead of {whole}"
            ),
        }
    }
}

impl Vocabulary {
    /// All of a checkpoint's.
    ///
    /// # Errors
    /// The checkpoint's files name what is no token.
    pub fn whole(
        checkpoint: Checkpoint,
        config: Option<&Path>,
        tokenizer: Option<BlobTokenizer>,
        console: Console,
    ) -> Result<Self, Error> {
        let text = text_tokens(&checkpoint, config, tokenizer.as_ref(), console)?;
        let tokenizer = tokenizer.map(|tokenizer| tokenizer.parts);
        Ok(Self { checkpoint, tokenizer, text, cut: None })
    }

    /// The sizes of a vocabulary that was cut.
    pub fn pruned(&self) -> Option<PrunedVocabulary> {
        Some(self.cut?.sizes)
    }

    /// The tokenizer of a text for the model: of a whole vocabulary its `own`.
    ///
    /// # Errors
    /// There is none.
    pub fn tokenizer_of(&self, own: impl FnOnce() -> Result<Tokenizer, Error>) -> Result<Tokenizer, Error> {
        match (&self.cut, &self.tokenizer) {
            (Some(_), Some(parts)) => Ok(Tokenizer::from_parts(parts.clone(), "the pruned tokenizer")?),
            _ => own(),
        }
    }

    /// What the words leave of it.
    ///
    /// # Errors
    /// There is no tokenizer, a text cannot be read, or fewer tokens are to stay than always do.
    pub fn cut(self, words: &RawPrune, console: Console) -> Result<Self, Error> {
        let Some((texts, keep)) = words.wish() else { return Ok(self) };
        let Some(parts) = &self.tokenizer else {
            let why = "--prune-vocab cuts the vocabulary of a tokenizer, and there is none: --tokenizer names one";
            return Err(Error::Usage(why.into()));
        };
        let n_vocab = self.checkpoint.config().n_vocab;
        let tokenizer = Tokenizer::from_parts(parts.clone(), "the tokenizer")?;
        let input = Source::Text(texts.to_vec()).read(Some(&tokenizer), n_vocab, console.max_input)?;
        input.notes().iter().for_each(|note| console.note(note));
        let counts = count(input.rows().iter().map(|row| row.tokens.as_slice()), n_vocab);
        let pruned = prune(parts, n_vocab, &named(&self.text), &counts, keep);
        let Pruned { parts, kept, needed } = pruned.map_err(|error| Error::Usage(error.to_string()))?;
        if kept.is_whole() {
            console.note(format!("--keep {keep} keeps the whole vocabulary of {n_vocab} tokens"));
            return Ok(self);
        }
        let short = Tokenizer::from_parts(parts.clone(), "the tokenizer")?;
        let again = |row: &Row| Ok(short.encode(&tokenizer.decode(&row.tokens)?)?.len());
        let lengths = input.rows().iter().map(again).collect::<Result<Vec<_>, Error>>()?;
        let cut = Cut {
            sizes: PrunedVocabulary { from: n_vocab, to: kept.count() },
            needed,
            left_out: needed.saturating_sub(keep),
            tokens_of_texts: TokensOfTexts { whole: input.n_tokens(), pruned: lengths.iter().sum() },
        };
        let text = moved(&self.text, &kept);
        Ok(Self { checkpoint: self.checkpoint.keep_tokens(kept), tokenizer: Some(parts), text, cut: Some(cut) })
    }

    /// Leaves of all of it what is left in `blobs`, which were cut alike: their tokens are found in the checkpoint's
    /// tokenizer. Nothing where these are whole.
    ///
    /// # Errors
    /// They were cut differently, or from another vocabulary.
    pub fn as_in(self, blobs: &[Blob]) -> Result<Self, Error> {
        let Some((first, others)) = blobs.split_first() else { return Ok(self) };
        let (pruned, section) = (first.pruned()?, first.section()?);
        for other in others {
            let is_same = other.pruned()? == pruned && (pruned.is_none() || other.section()? == section);
            if !is_same {
                let names = (shown::path(&first.path), shown::path(&other.path));
                let why = format!("{} and {} have different vocabularies: compare each on its own", names.0, names.1);
                return Err(Error::Usage(why));
            }
        }
        let Some(PrunedVocabulary { from, to }) = pruned else { return Ok(self) };
        let (n_vocab, name) = (self.checkpoint.config().n_vocab, shown::path(&first.path));
        if from != n_vocab {
            let why = format!("{name} was pruned from {from} tokens, and the checkpoint has {n_vocab}");
            return Err(Error::Usage(why));
        }
        let Some(left) = section else {
            return Err(Error::Usage(format!(
                "{name} is pruned and has no tokenizer, by which its tokens could be told"
            )));
        };
        let Some(full) = &self.tokenizer else {
            return Err(Error::Usage(format!(
                "{name} is pruned, and without the checkpoint's tokenizer its tokens are not known"
            )));
        };
        let mut model = first.model()?;
        let text = model.text_tokens().map_err(|error| first.fault(BlobFault::Open(error.into())))?;
        let roles: Vec<(TokenId, TokenId)> = ids(&text).zip(ids(&self.text)).collect();
        let (left, full) = (Tokens { parts: &left, n_vocab: to }, Tokens { parts: full, n_vocab });
        let kept = full_ids(left, full, &roles).map_err(|error| Error::Usage(format!("{name}: {error}")))?;
        let text = moved(&self.text, &kept);
        Ok(Self { checkpoint: self.checkpoint.keep_tokens(kept), tokenizer: Some(left.parts.clone()), text, cut: None })
    }
}

/// The ids that begin and end a text, those that are none included.
fn ids(text: &TextTokens) -> impl Iterator<Item = TokenId> {
    [text.bos].into_iter().chain(text.ends)
}

/// The tokens that begin and end a text.
fn named(text: &TextTokens) -> Vec<TokenId> {
    ids(text).filter(|&id| id != NO_TOKEN).collect()
}

/// The same tokens among those that are kept.
fn moved(text: &TextTokens, kept: &Kept) -> TextTokens {
    let place = |id: TokenId| kept.place(id).unwrap_or(NO_TOKEN);
    TextTokens { bos: place(text.bos), ends: text.ends.map(place), pruned_from: kept.of(), ..*text }
}

/// What the blob's tokeniser section is to hold.
pub(super) fn tokenizer_for_blob(search: Search<'_>, console: Console) -> Result<Option<BlobTokenizer>, Error> {
    let (is_named, n_vocab) = (search.named.is_some(), search.n_vocab.unwrap_or(u32::MAX));
    let found = match search.find() {
        Err(TokenizerError::Missing(_)) if !is_named => {
            console.note("no tokenizer beside the checkpoint: the blob has none");
            return Ok(None);
        }
        Ok(found) if found.assumed => {
            console.note("no tokenizer beside the checkpoint: the blob has none (`--tokenizer gpt2` adds GPT-2's)");
            return Ok(None);
        }
        found => found?,
    };
    let tokenizer = found.tokenizer;
    found.notes.iter().for_each(|note| console.note(note));
    match tokenizer.for_blob(n_vocab) {
        Ok((of_blob, left_out)) => {
            console.note(format!("tokenizer {}", tokenizer.origin()));
            if let Some(note) = note_left_out(&tokenizer, &left_out, n_vocab) {
                console.note(note);
            }
            if let Some(form) = tokenizer.normal_form() {
                let who = "what gives it text brings it there";
                console.note(format!("the device takes text that is in the normal form {form} already: {who}"));
            }
            Ok(Some(of_blob))
        }
        Err(error) => Err(Error::Usage(format!("{error}; --no-tokenizer leaves it out of the blob"))),
    }
}

/// The tokens that begin and end a text: what the checkpoint's files say, and the `<|endoftext|>` of the blob's tokenizer.
fn text_tokens(
    checkpoint: &Checkpoint,
    config: Option<&Path>,
    tokenizer: Option<&BlobTokenizer>,
    console: Console,
) -> Result<TextTokens, Error> {
    let said = checkpoint.ends(config)?;
    said.notes.iter().for_each(|note| console.note(note));
    let n_vocab = checkpoint.config().n_vocab;
    let of_tokenizer = tokenizer.and_then(|tokenizer| {
        (0..n_vocab).rev().find(|&id| tokenizer.parts.token_bytes(id).as_deref() == Some(END_OF_TEXT))
    });
    let mut ids = said.ids;
    ids.extend(of_tokenizer);
    let mut seen = HashSet::new();
    ids.retain(|&id| seen.insert(id));
    if ids.len() > TextTokens::MAX_ENDS {
        let (most, n) = (TextTokens::MAX_ENDS, ids.len());
        let why = format!("a blob keeps {most} tokens that end a text, and eos_token_id names {n}");
        return Err(Error::Usage(why));
    }
    let mut ends = [NO_TOKEN; TextTokens::MAX_ENDS];
    ends.iter_mut().zip(ids).for_each(|(end, id)| *end = id);
    let first = tokenizer.and_then(|tokenizer| tokenizer.first);
    let bos = first.or_else(|| checkpoint.bos()).unwrap_or(NO_TOKEN);
    Ok(TextTokens { bos, adds_bos: first.is_some(), ends, pruned_from: 0 })
}

/// What is said of tokens that a blob's tokenizer does not have because the model lacks them.
fn note_left_out(tokenizer: &Tokenizer, ids: &[TokenId], n_vocab: u32) -> Option<String> {
    /// Tokens that are named, at most.
    const NAMED: usize = 5;
    let named = |&id: &TokenId| format!("{} ({id})", shown::quoted(&tokenizer.token_text(id).unwrap_or_default()));
    let named: Vec<String> = ids.iter().take(NAMED).map(named).collect();
    let more = if ids.len() > NAMED { format!(" and {} more", ids.len() - NAMED) } else { String::new() };
    let why = format!("the model's n_vocab is {n_vocab}: a text with them is read as ordinary text");
    (!ids.is_empty()).then(|| format!("left out of the blob's tokenizer: {}{more}; {why}", named.join(", ")))
}
