//! Why text does not become ids, or ids no text.

use emberlm_core::config::TokenId;

use crate::ground::files::FileError;
use crate::ground::shown;

/// The place of a character in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Characters from the line's start, from 1.
    pub column: usize,
    /// Bytes from the text's start, from 0.
    pub offset: usize,
}

/// Why text does not become ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The vocabulary has nothing for a character.
    #[error(
        "the tokenizer has no token for {c:?} (U+{code:04X}) at line {line}, column {column} (byte {offset}){text}",
        code = u32::from(*.c), line = .position.line, column = .position.column, offset = .position.offset,
        text = .text.as_ref().map_or_else(String::new, |name| format!(" of {}", shown::message(name)))
    )]
    Unrepresentable {
        /// The character.
        c: char,
        /// Where it stands.
        position: Position,
        /// The name of the text, where it has one.
        text: Option<String>,
    },
    /// An id without a token.
    #[error("id {id} has no token: the vocabulary of {origin} ends at {len}")]
    UnknownId {
        /// The id.
        id: TokenId,
        /// Where the vocabulary is from.
        origin: String,
        /// One more than the highest id.
        len: usize,
    },
    /// A file or section that is no tokenizer.
    #[error("{origin} is no tokenizer that can be used: {}", shown::message(why))]
    Broken {
        /// The file or section.
        origin: String,
        /// What is wrong.
        why: String,
    },
    /// A file could not be read, or is something else.
    #[error(transparent)]
    File(#[from] FileError),
    /// No tokenizer was named and none was found.
    #[error("no tokenizer: {0}")]
    Missing(String),
    /// A blob's tokeniser section cannot hold this tokenizer.
    #[error("{origin} cannot live in a blob: {}", shown::message(why))]
    NotPortable {
        /// Where the tokenizer is from.
        origin: String,
        /// What differs from what a section holds.
        why: String,
    },
    /// The `tokenizers` crate failed.
    #[error("the tokenizer failed: {}", shown::message(.0))]
    Failed(String),
}

impl TokenizerError {
    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unrepresentable { .. } => "unrepresentable_text",
            Self::UnknownId { .. } => "token_out_of_range",
            Self::Missing(_) => "no_tokenizer",
            Self::File(error) => error.kind(),
            _ => "tokenizer",
        }
    }

    /// The same error, of the text called `name`.
    pub fn in_text(self, name: &str) -> Self {
        match self {
            Self::Unrepresentable { c, position, .. } => {
                Self::Unrepresentable { c, position, text: Some(name.to_owned()) }
            }
            other => other,
        }
    }

    /// The character at byte `offset` of `text` has no token.
    pub(super) fn unrepresentable(text: &str, offset: usize) -> Self {
        let c = text[offset..].chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
        Self::Unrepresentable { c, position: Position::of(text, offset), text: None }
    }
}

impl Position {
    /// The place of the character at byte `offset` of `text`.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: 1 + before.bytes().filter(|&byte| byte == b'\n').count(),
            column: 1 + before[line_start..].chars().count(),
            offset,
        }
    }
}
