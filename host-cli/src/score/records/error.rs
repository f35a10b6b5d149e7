//! Why records are not taken.

use std::io;
use std::path::{Path, PathBuf};

use super::header::VERSION;
use crate::ground::files::{FileError, OutputError};
use crate::ground::shown;
use crate::score::Shard;

/// Why records are not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// A file cannot be read, or is something else.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file may not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// What is wrong with a file's records.
    #[error("{}: {}", shown::path(path), shown::message(fault))]
    Records {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: RecordsFault,
    },
}

/// What is wrong with a file's records.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsFault {
    /// They are of another layout.
    #[error("its records are of version {0}, and {VERSION} is needed: score its shard with this program")]
    Version(u64),
    /// The header is no header.
    #[error("its header is damaged, {0}: score its shard again")]
    Header(String),
    /// Bytes are missing.
    #[error("it is cut off after {have} of {need} bytes: score shard {shard} again")]
    CutOff {
        /// Its length.
        have: u64,
        /// What its header asks for.
        need: u64,
        /// Which shard it is.
        shard: Shard,
    },
    /// There are too many bytes.
    #[error("{0} bytes follow its records: score shard {1} again")]
    Trailing(u64, Shard),
    /// Some byte is not what was written.
    #[error("it is damaged, its CRC-32 is {found:08x} and {stated:08x} is stated: score its shard again")]
    Crc {
        /// That of the bytes.
        found: u32,
        /// That at their end.
        stated: u32,
    },
    /// It is of another run.
    #[error("its {field} is {own}, and that of {} is {others}: only shards of one run are merged", shown::path(other))]
    Disagrees {
        /// What differs.
        field: String,
        /// What it is here.
        own: String,
        /// The file that it is compared with.
        other: PathBuf,
        /// What it is there.
        others: String,
    },
    /// Another file holds the same windows.
    #[error("it holds shard {shard}, as does {}: name one of them", shown::path(other))]
    Overlap {
        /// Which shard it is.
        shard: Shard,
        /// The other file.
        other: PathBuf,
    },
    /// Some windows are in no file.
    #[error("it holds one of {of} shards, and {missing} missing: score what is missing, and name all files")]
    Missing {
        /// Which ones, with a verb.
        missing: String,
        /// How many there are.
        of: u32,
    },
    /// The system does not let it be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl RecordsError {
    /// What is wrong with the records in the file at `path`.
    pub fn new(path: &Path, fault: impl Into<RecordsFault>) -> Self {
        Self::Records { path: path.to_owned(), fault: fault.into() }
    }

    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Output(error) => error.kind(),
            Self::Records { fault: RecordsFault::Io(_), .. } => "io",
            Self::Records { .. } => "records",
        }
    }
}
