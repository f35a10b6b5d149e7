//! What is scored, where a verb lets people name it.

use std::path::PathBuf;

use clap::Args;

use crate::text::input::Source;

/// The words that name what is scored.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct RawInput {
    /// Text files, each a row of its own; `-` reads standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    text: Vec<PathBuf>,
    /// A JSON file of token ids: an array, or an array of arrays, each a row of its own; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// A text to score
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
}

impl RawInput {
    /// Whether the rows are of text, which a tokenizer is needed for.
    pub const fn is_text(&self) -> bool {
        self.tokens.is_none()
    }

    /// Where the rows come from.
    pub fn source(self) -> Source {
        match (self.tokens, self.prompt) {
            (Some(path), _) => Source::Tokens(path),
            (_, Some(prompt)) => Source::Prompt(prompt),
            _ => Source::Text(self.text),
        }
    }
}
