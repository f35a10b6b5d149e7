//! Memory-mapped files: the one unsafe step of reading checkpoints and blobs.

use memmap2::Mmap;
use std::fs::File;
use std::path::Path;

/// Maps a whole file for reading.
///
/// # Errors
/// The file cannot be opened or mapped.
#[allow(unsafe_code)]
pub fn map(path: &Path) -> std::io::Result<Mmap> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    // SAFETY: the map is read-only and private to this process. Whoever shortens or rewrites the file while it is
    // mapped breaks the promise that memmap2 asks for; every tool that maps a model file rests on the same promise,
    // and the tools that write checkpoints write a new file and rename it.
    unsafe { Mmap::map(&file) }
}
