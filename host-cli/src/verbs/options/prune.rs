//! How a vocabulary is cut, where a verb lets people say it.

use std::path::{Path, PathBuf};

use clap::Args;

/// The words that say how it is cut.
#[derive(Args, Clone, Debug, Default)]
pub struct RawPrune {
    /// Leave out of model and tokenizer what these texts have least: --keep says how many tokens stay. All text can still be
    /// encoded, but a loss over fewer tokens is another quantity. Each file is a text of its own; `-` reads standard input
    #[arg(long, value_name = "TEXT", num_args = 1.., requires = "keep", conflicts_with = "no_tokenizer")]
    prune_vocab: Vec<PathBuf>,
    /// Tokens that stay in all: bytes, special tokens, those that begin and end a text, then those that the texts have most,
    /// then those whose merges come first, each with all that it is merged of
    #[arg(long, value_name = "N", requires = "prune_vocab", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
}

impl RawPrune {
    /// The texts, and how many tokens stay; none where nothing is to be cut.
    pub fn wish(&self) -> Option<(&[PathBuf], u32)> {
        Some((self.prune_vocab.as_slice(), self.keep?))
    }

    /// The files that they name.
    pub fn files(&self) -> Vec<&Path> {
        self.prune_vocab.iter().map(PathBuf::as_path).collect()
    }
}
