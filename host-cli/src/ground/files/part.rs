//! Files under way: `.NAME.emberlm-part` beside NAME, locked as long as its writer lives.
//!
//! What a writer leaves behind that was killed is not locked, and the next one to the same name takes it away.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::ground::shown;

use super::identity::{FileId, folder_of};

/// Why a file cannot be begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// Another process writes it.
    #[error("another process is writing it, to {}", shown::path(.0))]
    Busy(PathBuf),
    /// Something has the name that is needed until it is whole.
    #[error("{} is in the way: remove it", shown::path(.0))]
    InTheWay(PathBuf),
    /// The system does not let it be written.
    #[error("cannot write it: {0}")]
    Io(#[from] io::Error),
}

/// The longest name that every usual file system takes.
pub(super) const LONGEST_NAME: usize = 255;

/// The temporary name beside that of the file at `path`.
pub fn path_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(".emberlm-part");
    if temporary.len() > LONGEST_NAME {
        temporary = format!(".{:08x}.emberlm-part", crc32fast::hash(name.as_encoded_bytes())).into();
    }
    folder_of(path).join(temporary)
}

/// Creates and locks the file at `path`, after taking away what a writer left there that was killed. Others may read it
/// only where it replaces nothing.
///
/// # Errors
/// Another process writes it, something else has the name, or the system does not let it be created.
pub fn create(path: &Path, is_new: bool) -> Result<File, PartError> {
    /// Other processes that come and go in between; more of them do nothing else.
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, if is_new { 0o666 } else { 0o600 });
        match options.open(path) {
            Ok(file) => match file.try_lock() {
                // Somebody may have taken it for a leftover before it was locked.
                Ok(()) if is_at(&file, path) => return Ok(file),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                // A file system without locks.
                Err(TryLockError::Error(_)) => return Ok(file),
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => take_away(path)?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(PartError::Busy(path.to_owned()))
}

/// Takes away a temporary file that nobody writes any longer.
fn take_away(path: &Path) -> Result<(), PartError> {
    let in_the_way = || PartError::InTheWay(path.to_owned());
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(in_the_way()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        _ => {}
    }
    let file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(|_| in_the_way())?,
    };
    match file.try_lock() {
        Ok(()) if is_at(&file, path) => Ok(fs::remove_file(path)?),
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(PartError::Busy(path.to_owned())),
        Err(TryLockError::Error(_)) => Err(in_the_way()),
    }
}

/// Whether `file` is what lies at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |metadata: io::Result<Metadata>| FileId::with_metadata(path, &metadata.ok()?).ok();
    let opened = id(file.metadata());
    opened.is_some() && opened == id(fs::symlink_metadata(path))
}
