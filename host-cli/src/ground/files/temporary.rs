//! Folders for what nobody is to find afterwards.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::ground::signals::{self, Guard, Undo};

/// A folder in the system's place for temporary files, gone when this is dropped or a signal ends the program.
#[derive(Debug)]
pub struct TemporaryFolder {
    folder: TempDir,
    _guard: Guard,
}

impl TemporaryFolder {
    /// Makes the folder.
    ///
    /// # Errors
    /// The system does not let it be made.
    pub fn new() -> io::Result<Self> {
        let (folder, _guard) = signals::guarded(|| {
            let folder = TempDir::with_prefix("emberlm-")?;
            let path = folder.path().to_owned();
            let undo: Undo = Box::new(move || {
                // Whoever is ended by a signal has no other way to get rid of it.
                let _ = fs::remove_dir_all(path);
            });
            Ok::<_, io::Error>((folder, undo))
        })?;
        Ok(Self { folder, _guard })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}
