//! What is scored, and how: the options that every verb with a loss shares.

use std::path::Path;

use clap::Args;
use emberlm_core::window::Convention;

use super::bos::RawBos;
use super::input::RawInput;
use super::model::Limits;
use super::windowing::RawWindowing;
use crate::ground::files::Inputs;
use crate::score::{Bos, Task};
use crate::text::tokenizer::select::{Found, Search};
use crate::text::tokenizer::{SectionParts, Tokenizer};
use crate::verbs::console::Console;
use crate::verbs::error::Error;

/// The words that say what is scored, and how.
#[derive(Args, Clone, Debug)]
pub struct RawTask {
    #[command(flatten)]
    input: RawInput,
    /// Join the files of --text into one text, byte after byte
    #[arg(long)]
    concat: bool,
    /// `gpt2`, a tokenizer.json, vocab.json, chars.json, tokenizer.bin, or a folder with one of them [default: the model's own]
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<String>,
    #[command(flatten)]
    windowing: RawWindowing,
    #[command(flatten)]
    bos: RawBos,
    /// Score no more than the first N windows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_windows: Option<u32>,
}

impl RawTask {
    /// The files that they name, which are not to be replaced.
    pub fn inputs(&self) -> Inputs {
        let inputs = self.input.files().fold(Inputs::default(), Inputs::with_file);
        self.tokenizer.iter().fold(inputs, |inputs, tokenizer| inputs.with_model(Path::new(tokenizer)))
    }

    /// The tokenizer of a checkpoint, for a text that is not scored.
    ///
    /// # Errors
    /// There is none.
    pub fn tokenizer(&self, limits: Limits, checkpoint: &Path) -> Result<Tokenizer, Error> {
        Ok(self.search(limits, checkpoint).find()?.tokenizer)
    }

    /// Where the tokenizer of a checkpoint is.
    pub fn search<'s>(&'s self, limits: Limits, checkpoint: &'s Path) -> Search<'s> {
        let (named, n_vocab) = (self.tokenizer.as_deref(), Some(limits.n_vocab));
        Search { named, checkpoint: Some(checkpoint), section: None, n_vocab }
    }

    /// The tokenizer of a model, if there is one: beside `checkpoint`, or in a blob's `section`.
    pub fn any_tokenizer(
        &self,
        limits: Limits,
        checkpoint: Option<&Path>,
        section: Option<SectionParts>,
    ) -> Option<Tokenizer> {
        let named = self.tokenizer.as_deref();
        Some(Search { named, checkpoint, section, n_vocab: Some(limits.n_vocab) }.find().ok()?.tokenizer)
    }

    /// Reads the rows for a model, and says which tokenizer is its: that beside `checkpoint`, or in a
    /// blob's `section`.
    ///
    /// # Errors
    /// As [`Self::find_tokenizer`] and [`Self::read`].
    pub fn resolve(
        self,
        limits: Limits,
        checkpoint: Option<&Path>,
        section: Option<SectionParts>,
        console: Console,
    ) -> Result<Task, Error> {
        let found = self.find_tokenizer(limits, checkpoint, section)?;
        found.iter().for_each(|found| note_tokenizer(found, console));
        self.read(limits, found.as_ref().map(|found| &found.tokenizer), console)
    }

    /// Finds the tokenizer for rows of text, or of ids where it only serves to count their bytes: then one that is not
    /// there, or would be assumed, is left out.
    ///
    /// # Errors
    /// There is no tokenizer for text, or the one that is named is broken.
    pub fn find_tokenizer(
        &self,
        limits: Limits,
        checkpoint: Option<&Path>,
        section: Option<SectionParts>,
    ) -> Result<Option<Found>, Error> {
        let named = self.tokenizer.as_deref();
        let optional = !self.input.is_text() && named.is_none();
        match (Search { named, checkpoint, section, n_vocab: Some(limits.n_vocab) }).find() {
            Ok(Found { assumed: true, .. }) | Err(_) if optional => Ok(None),
            found => Ok(Some(found?)),
        }
    }

    /// Reads the rows for a model and its tokenizer.
    ///
    /// # Errors
    /// The input cannot be read or is not of the model, or the windows make no sense.
    pub fn read(self, limits: Limits, tokenizer: Option<&Tokenizer>, console: Console) -> Result<Task, Error> {
        let mut windowing = self.windowing.resolve(limits.n_ctx)?;
        let source = self.input.source(self.concat)?;
        let mut input = source.read(tokenizer, limits.n_vocab, console.max_input)?;
        input.notes().iter().for_each(|note| console.note(note));
        if !source.is_text() && !self.windowing.is_named() {
            input.check_one_window(windowing.n_ctx)?;
        }
        let (bos, token) = self.bos.resolve(limits.bos, tokenizer, source.is_text())?;
        if bos == Bos::Window && windowing.convention != Convention::Disjoint {
            let why = "--bos window goes with --convention disjoint: the windows of others share their tokens";
            return Err(Error::Usage(why.into()));
        }
        windowing.bos = bos;
        windowing.begin(&mut input, token);
        if let Some(n_windows) = self.max_windows {
            windowing.keep_first(&mut input, n_windows as usize);
        }
        let window_bytes = tokenizer.and_then(|tokenizer| windowing.scored_bytes(&input, tokenizer));
        Ok(Task { input, windowing, window_bytes })
    }
}

/// Says which tokenizer it is, and what its files ask for and is not done.
pub fn note_tokenizer(found: &Found, console: Console) {
    let why = if found.assumed { ", assumed because n_vocab is 50257" } else { "" };
    console.note(format!("tokenizer {}{why}", found.tokenizer.origin()));
    found.notes.iter().for_each(|note| console.note(note));
}
