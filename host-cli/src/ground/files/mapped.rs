//! Memory-mapped files: the one unsafe step of reading checkpoints and blobs.

use std::path::Path;

use memmap2::Mmap;

use super::{FileError, read};

/// Maps a whole file for reading.
///
/// # Errors
/// It is no regular file, or cannot be opened or mapped.
#[allow(unsafe_code)]
pub fn map(path: &Path) -> Result<Mmap, FileError> {
    let file = read::open(path)?;
    // SAFETY: the map is read-only and private to this process. Whoever shortens or rewrites the file while it is
    // mapped breaks the promise that memmap2 asks for; every tool that maps a model file rests on the same promise,
    // and the tools that write checkpoints write a new file and rename it.
    unsafe { Mmap::map(&file) }.map_err(|error| FileError::io(path, &error))
}
