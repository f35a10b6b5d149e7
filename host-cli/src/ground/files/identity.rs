//! Which file it is, whatever it is called.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// A file itself: the same through links, hard links, `..`, and every spelling of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileId(#[cfg(unix)] (u64, u64), #[cfg(not(unix))] PathBuf);

impl FileId {
    /// The file at `path`, through links.
    ///
    /// # Errors
    /// Nothing is there, or it cannot be reached.
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::with_metadata(path, &fs::metadata(path)?)
    }

    /// The file at `path`, whose metadata are known.
    ///
    /// # Errors
    /// Where the system numbers no files, its path cannot be resolved.
    #[cfg(unix)]
    pub fn with_metadata(_: &Path, metadata: &Metadata) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        Ok(Self((metadata.dev(), metadata.ino())))
    }

    /// The file at `path`, whose metadata are known.
    ///
    /// # Errors
    /// Its path cannot be resolved.
    #[cfg(not(unix))]
    pub fn with_metadata(path: &Path, _: &Metadata) -> io::Result<Self> {
        fs::canonicalize(path).map(Self)
    }
}

/// The files that a verb reads, none of which it may replace.
#[derive(Clone, Debug, Default)]
pub struct Inputs(Vec<(FileId, PathBuf)>);

impl Inputs {
    /// Adds a file, if it is there.
    #[must_use]
    pub fn with_file(mut self, path: &Path) -> Self {
        if let Ok(id) = FileId::of(path) {
            self.0.push((id, path.to_owned()));
        }
        self
    }

    /// Adds a checkpoint or a tokenizer: the file, and all that may belong to it in its folder, or in the folder that it is.
    #[must_use]
    pub fn with_model(self, path: &Path) -> Self {
        let folder = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => path,
            Ok(_) => folder_of(path),
            Err(_) => return self,
        };
        // A folder that cannot be listed is not read either.
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| belongs_to_model(path)).fold(self.with_file(path), |all, path| all.with_file(&path))
    }

    /// What an input that is this file is called.
    pub fn name_of(&self, file: &FileId) -> Option<&Path> {
        self.0.iter().find(|(id, _)| id == file).map(|(_, path)| path.as_path())
    }
}

/// Whether a file beside a checkpoint may be part of it, by its name.
fn belongs_to_model(path: &Path) -> bool {
    let ends = |endings: &[&str]| endings.iter().any(|ending| path.extension() == Some(ending.as_ref()));
    let named = |names: &[&str]| names.iter().any(|name| path.file_name() == Some(name.as_ref()));
    ends(&["json", "safetensors", "model"]) || named(&["merges.txt", "vocab.txt"])
}

/// The folder of a file.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.safetensors", "config.json", "merges.txt", "notes.md"] {
            fs::write(at(name), name).unwrap();
        }
        fs::hard_link(at("config.json"), at("hard")).unwrap();
        std::os::unix::fs::symlink(at("merges.txt"), at("soft")).unwrap();
        fs::create_dir(at("sub")).unwrap();
        let is_input = |inputs: &Inputs, name: &str| inputs.name_of(&FileId::of(&at(name)).unwrap()).is_some();
        for model in [at("a.safetensors"), at("."), at("sub/..")] {
            let inputs = Inputs::default().with_model(&model);
            for name in ["a.safetensors", "config.json", "hard", "soft", "sub/../config.json"] {
                assert!(is_input(&inputs, name), "{name}");
            }
            assert!(!is_input(&inputs, "notes.md"));
        }
        assert!(is_input(&Inputs::default().with_file(&at("soft")), "merges.txt"));
        assert!(!is_input(&Inputs::default().with_file(&at("soft")), "config.json"));
    }
}
