//! Why a file is refused.

use std::io;
use std::path::{Path, PathBuf};

use super::kind::{Kind, Wanted, advice};
use crate::ground::shown;

/// A file that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}", shown::path(path))]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub fault: Fault,
}

/// Why a file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The system does not let it be read.
    #[error("{why}")]
    Io {
        /// The kind of the system's error.
        kind: io::ErrorKind,
        /// The system's words.
        why: String,
    },
    /// A link to nothing.
    #[error("it is a link to {}, which does not exist", shown::path(.0))]
    Dangling(PathBuf),
    /// A folder where a file is needed.
    #[error("it is a folder, and a file is needed")]
    Folder,
    /// Reading it could wait for ever, or change what it stands for.
    #[error("it is {0}, and only regular files are read here: write what comes out of it to a file")]
    Special(&'static str),
    /// As [`Fault::Special`], where standard input is read for `-`.
    #[error(
        "it is {0}, and only regular files are read by name: `-` reads standard input, as in `command | emberlm … -`"
    )]
    SpecialText(&'static str),
    /// More bytes than are read of its kind.
    #[error("it has more than the {most} bytes that are read of such a file")]
    TooLarge {
        /// The limit.
        most: u64,
    },
    /// Text in an encoding other than UTF-8.
    #[error("it is text in {0}: save it as UTF-8")]
    Encoding(&'static str),
    /// Bytes that are not UTF-8.
    #[error("it is not UTF-8: the byte at offset {offset} is wrong")]
    NotUtf8 {
        /// The first byte that is wrong.
        offset: usize,
    },
    /// JSON that is damaged, or has a key twice.
    #[error("{}", shown::message(.0))]
    Json(String),
    /// Something else than what is needed.
    #[error("it is {}, and {} is needed: {}", .found.name(), .wanted.name(), advice(*.found, *.wanted))]
    Kind {
        /// What it is.
        found: Kind,
        /// What is needed.
        wanted: Wanted,
    },
}

impl FileError {
    /// A fault of the file at `path`.
    pub fn new(path: &Path, fault: Fault) -> Self {
        Self { path: path.to_owned(), fault }
    }

    /// What the system said of the file at `path`.
    pub fn io(path: &Path, error: &io::Error) -> Self {
        Self::new(path, Fault::Io { kind: error.kind(), why: error.to_string() })
    }

    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self.fault {
            Fault::Io { .. } | Fault::Dangling(_) => "io",
            Fault::Folder | Fault::Kind { .. } => "file_kind",
            Fault::Special(_) | Fault::SpecialText(_) => "special_file",
            Fault::TooLarge { .. } => "too_large",
            Fault::Encoding(_) | Fault::NotUtf8 { .. } => "not_utf8",
            Fault::Json(_) => "json",
        }
    }
}
