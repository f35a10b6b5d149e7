//! Why there is nothing to score.

use super::tokenizer::TokenizerError;
use crate::ground::files::FileError;
use crate::ground::shown;

/// Why there is nothing to score.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// A file could not be read, or is something else.
    #[error(transparent)]
    File(#[from] FileError),
    /// Standard input could not be read, or is no text.
    #[error("standard input: {0}")]
    StandardInput(String),
    /// More than is read of a text or of ids.
    #[error(
        "{} has more than {most} bytes, the most that are read of it: --max-input raises that",
        shown::message(name)
    )]
    TooLong {
        /// The file.
        name: String,
        /// The limit.
        most: u64,
    },
    /// The text cannot be represented.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// There is text, and no tokenizer for it.
    #[error("text needs a tokenizer")]
    NoTokenizer,
    /// A file of ids that is not one.
    #[error("{} holds no token ids: {}", shown::message(name), shown::message(why))]
    NotTokens {
        /// The file.
        name: String,
        /// What is wrong, and where.
        why: String,
    },
    /// A text that begins with a byte order mark, under a tokenizer that cannot represent it.
    #[error(
        "{} begins with a byte order mark, U+FEFF, for which the tokenizer has no token: save it without",
        shown::message(name)
    )]
    Mark {
        /// The file.
        name: String,
    },
    /// No tokens at all.
    #[error("{} is empty", shown::message(name))]
    Empty {
        /// The file or row.
        name: String,
    },
    /// An id that the model does not have.
    #[error(
        "token {id}{} at index {index} of {} is out of range: n_vocab is {n_vocab}",
        text.as_ref().map_or_else(String::new, |text| format!(" ({})", shown::quoted(text))), shown::message(row)
    )]
    TokenOutOfRange {
        /// The id.
        id: u64,
        /// The token's text, where the row was text.
        text: Option<String>,
        /// The row's name.
        row: String,
        /// Position in the row, from 0.
        index: usize,
        /// The model's vocabulary.
        n_vocab: u32,
    },
    /// A row of ids that needs more than one window.
    #[error(
        "{} has {len} tokens, more than the {} of one window of n_ctx {n_ctx}: name the windows with --convention",
        shown::message(row), n_ctx + 1
    )]
    RowTooLong {
        /// The row's name.
        row: String,
        /// Its tokens.
        len: usize,
        /// The context.
        n_ctx: usize,
    },
}

impl InputError {
    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::StandardInput(_) => "io",
            Self::TooLong { .. } => "too_large",
            Self::Tokenizer(error) => error.kind(),
            Self::NoTokenizer => "usage",
            Self::Mark { .. } => "unrepresentable_text",
            Self::TokenOutOfRange { .. } => "token_out_of_range",
            _ => "input",
        }
    }
}
