//! The bundled models, inside the program: for one that is in no checkout.

use std::fs;
use std::io;

use crate::ground::files::temporary::TemporaryFolder;

/// Files by their paths in the folder of the bundled models.
macro_rules! files {
    ($($path:literal)*) => {
        &[$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/bundled/", $path)))),*]
    };
}

const FILES: &[(&str, &[u8])] = files! {
    "as-you-like-it.txt"
    "shakespeare-char/chars.json"
    "shakespeare-char/config.json"
    "shakespeare-char/model.safetensors"
    "stories260K/stories260K.bin"
    "stories260K/story.txt"
    "stories260K/tok512.bin"
};

/// A folder with the bundled models, gone when it is dropped.
///
/// # Errors
/// The files cannot be written.
pub fn unpack() -> io::Result<TemporaryFolder> {
    let folder = TemporaryFolder::new()?;
    for (path, bytes) in FILES {
        let path = folder.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    Ok(folder)
}
