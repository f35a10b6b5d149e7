//! What is scored, where a verb lets people name it.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::text::input::Source;
use crate::verbs::error::Error;

/// The words that name what is scored.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct RawInput {
    /// Text files, each a text of its own, in the order given; `-` reads standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    text: Vec<PathBuf>,
    /// A JSON file of token ids: an array, or an array of arrays, each a row of its own; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// A text to score
    #[arg(short, long, value_name = "TEXT")]
    prompt: Option<String>,
}

impl RawInput {
    /// Whether the rows are of text, which a tokenizer is needed for.
    pub const fn is_text(&self) -> bool {
        self.tokens.is_none()
    }

    /// The files that they name.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.text.iter().chain(&self.tokens).map(PathBuf::as_path)
    }

    /// Where the rows come from: text files are one text together if `concat`.
    ///
    /// # Errors
    /// `concat` of what is no text files.
    pub fn source(self, concat: bool) -> Result<Source, Error> {
        match (self.tokens, self.prompt) {
            (None, None) if concat => Ok(Source::Joined(self.text)),
            _ if concat => Err(Error::Usage("--concat joins text files: it goes with --text".into())),
            (Some(path), _) => Ok(Source::Tokens(path)),
            (_, Some(prompt)) => Ok(Source::Prompt(prompt)),
            _ => Ok(Source::Text(self.text)),
        }
    }
}
