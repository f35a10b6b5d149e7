//! A checkpoint, blobs that were made from it, and the text that all of them score: `verify` and `report` begin with them.

use std::path::PathBuf;

use clap::Args;
use emberlm_core::blob::PrunedVocabulary;

use super::console::Console;
use super::error::Error;
use super::options::model::{Limits, RawCheckpoint};
use super::options::task::{RawTask, note_tokenizer};
use super::vocabulary::Vocabulary;
use crate::checkpoint::Checkpoint;
use crate::engine::Blob;
use crate::ground::files::Inputs;
use crate::ground::shown;
use crate::score::Task;
use crate::text::tokenizer::select::Search;
use crate::text::tokenizer::{SectionParts, Tokenizer};

/// The words that name them.
#[derive(Args, Debug)]
pub struct RawAgainst {
    /// The checkpoint: a folder, a .safetensors file, what PyTorch saved, an index of shards, or a file of llama2.c
    pub checkpoint: PathBuf,
    /// Blobs that were made from it
    #[arg(required = true)]
    blobs: Vec<PathBuf>,
    #[command(flatten)]
    task: RawTask,
    #[command(flatten)]
    layout: RawCheckpoint,
}

/// A checkpoint over the tokens that its blobs have, and what all of them score.
pub struct Against {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Its blobs, at least one, all of its shape.
    pub blobs: Vec<Blob>,
    /// What the blobs' vocabulary was cut from.
    pub pruned: Option<PrunedVocabulary>,
    /// What is scored.
    pub task: Task,
    /// The tokenizer, where there is one.
    pub tokenizer: Option<Tokenizer>,
}

impl RawAgainst {
    /// The files that they name, which are not to be replaced.
    pub fn inputs(&self) -> Inputs {
        let files = self.layout.files().into_iter().chain(self.blobs.iter().map(PathBuf::as_path));
        files.fold(self.task.inputs().with_model(&self.checkpoint), Inputs::with_file)
    }

    /// Opens and reads what they name.
    ///
    /// # Errors
    /// Models, tokenizer or input cannot be had, or do not belong together.
    pub fn open(&self, console: Console) -> Result<Against, Error> {
        let checkpoint = self.layout.open(&self.checkpoint, console)?;
        let blobs = self.blobs.iter().map(|path| Blob::open(path)).collect::<Result<Vec<_>, _>>()?;
        let pruned = blobs.iter().find_map(|blob| blob.pruned().transpose()).transpose()?;
        let (checkpoint, left) = self.with_tokens_of(&blobs, pruned, checkpoint, console)?;
        let config = *checkpoint.config();
        for blob in &blobs {
            if *blob.model()?.config() != config {
                return Err(Error::Usage(format!("{} is a blob of another model's shape", shown::path(&blob.path))));
            }
        }
        let (limits, found) = match left {
            Some(section) => {
                (Limits::of_blob(&blobs[0])?, Some(Search { section: Some(section), ..Search::default() }.find()?))
            }
            None => {
                let limits = Limits::of_checkpoint(&checkpoint);
                (limits, self.task.find_tokenizer(limits, Some(&self.checkpoint), blobs[0].section()?)?)
            }
        };
        found.iter().for_each(|found| note_tokenizer(found, console));
        let tokenizer = found.map(|found| found.tokenizer);
        let task = self.task.clone().read(limits, tokenizer.as_ref(), console)?;
        Ok(Against { checkpoint, blobs, pruned, task, tokenizer })
    }

    /// The checkpoint over the tokens that the blobs have, and where their vocabulary was cut what their tokenizer is.
    fn with_tokens_of(
        &self,
        blobs: &[Blob],
        pruned: Option<PrunedVocabulary>,
        checkpoint: Checkpoint,
        console: Console,
    ) -> Result<(Checkpoint, Option<SectionParts>), Error> {
        if pruned.is_none() {
            return Ok((checkpoint, None));
        }
        let found = self.task.search(Limits::of_checkpoint(&checkpoint), &self.checkpoint).find()?;
        let (tokenizer, _) = found.tokenizer.for_blob(checkpoint.config().n_vocab)?;
        let config = self.layout.options().config;
        let whole = Vocabulary::whole(checkpoint, config.as_deref(), Some(tokenizer), console)?;
        let Vocabulary { checkpoint, tokenizer, .. } = whole.as_in(blobs)?;
        Ok((checkpoint, tokenizer))
    }
}
