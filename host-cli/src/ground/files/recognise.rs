//! Telling what a file is by what it holds, and refusing it where something else is needed.

use std::fs;
use std::path::Path;

use super::content;
use super::error::{Fault, FileError};
use super::kind::{Kind, Wanted};
use super::read;

/// What is read of a file to tell what it is.
const HEAD: u64 = 64 << 10;

/// What is read of a file of JSON to tell what it describes.
const MOST_OF_JSON: u64 = 64 << 20;

impl Kind {
    /// What lies at `path`. Nothing that could wait is opened.
    ///
    /// # Errors
    /// Nothing is there, or it cannot be read.
    pub fn of(path: &Path) -> Result<Self, FileError> {
        let io = |error| FileError::io(path, &error);
        if let Ok(metadata) = fs::metadata(path) {
            if metadata.is_dir() {
                return Ok(Self::of_names(&names_in(path).map_err(io)?));
            }
            if let Some(what) = read::special(metadata.file_type()) {
                return Ok(Self::Special(what));
            }
        }
        let file = read::open(path)?;
        let most = file.metadata().map_err(io)?.len().min(MOST_OF_JSON);
        let head = read::limited(std::io::Read::take(&file, HEAD), HEAD).map_err(io)?.unwrap_or_default();
        let kind = Self::of_bytes(&head, path);
        if kind != Self::Json || most <= head.len() as u64 {
            return Ok(kind);
        }
        let whole = read::bytes(path, MOST_OF_JSON);
        Ok(whole.map_or(kind, |bytes| Self::of_bytes(&bytes, path)))
    }

    /// What begins with `bytes`, or consists of them. Some kinds are told by the file's name too.
    pub fn of_bytes(bytes: &[u8], path: &Path) -> Self {
        content::kind(bytes, path)
    }

    /// What a folder is that holds files of these names.
    fn of_names(names: &[String]) -> Self {
        let ends = |endings: &[&str]| names.iter().any(|name| endings.iter().any(|ending| name.ends_with(ending)));
        let is = |known: &[&str]| names.iter().any(|name| known.contains(&name.as_str()));
        let is_adapter = is(&["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"]);
        if is(&["model.safetensors", "model.safetensors.index.json"]) {
            Self::CheckpointFolder
        } else if is_adapter {
            Self::Adapter
        } else if ends(&[".safetensors"]) {
            Self::CheckpointFolder
        } else if ends(&[".bin", ".pt", ".pth", ".ckpt"]) {
            Self::Torch
        } else if ends(&[".gguf"]) {
            Self::Gguf
        } else if ends(&[".h5", ".msgpack", ".onnx", ".tflite", ".npz"]) {
            Self::OtherModel("a model of another framework")
        } else if is(&["tokenizer.json", "vocab.json", "merges.txt", "chars.json", "tokenizer.model"]) {
            Self::Tokenizer
        } else {
            Self::Folder
        }
    }
}

impl Wanted {
    /// Refuses the file at `path` where it is known to be something else.
    ///
    /// # Errors
    /// What it is, and what to do with it.
    pub fn check(self, path: &Path) -> Result<(), FileError> {
        self.check_kind(path, Kind::of(path)?)
    }

    /// Refuses `found`, which lies at `path`, where it is known to be something else.
    ///
    /// # Errors
    /// What it is, and what to do with it.
    pub fn check_kind(self, path: &Path, found: Kind) -> Result<(), FileError> {
        match found {
            Kind::Unknown => Ok(()),
            Kind::Special(what) if self == Self::Text || self == Self::Tokens => {
                Err(FileError::new(path, Fault::SpecialText(what)))
            }
            Kind::Special(what) => Err(FileError::new(path, Fault::Special(what))),
            Kind::OtherText(encoding) if self.is_written() => Err(FileError::new(path, Fault::Encoding(encoding))),
            // The bytes of anything else may look like it.
            Kind::OtherText(_) => Ok(()),
            found if found.serves(self) => Ok(()),
            found => Err(FileError::new(path, Fault::Kind { found, wanted: self })),
        }
    }

    /// The better of two explanations why the file at `path` is of no use: that it is something else, or `error`.
    pub fn explain<E: From<FileError>>(self, path: &Path, error: E) -> E {
        match self.check(path) {
            Err(other) if matches!(other.fault, Fault::Kind { .. } | Fault::Encoding(_)) => other.into(),
            _ => error,
        }
    }
}

/// The names in a folder.
fn names_in(folder: &Path) -> std::io::Result<Vec<String>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: [Wanted; 11] = [
        Wanted::Checkpoint,
        Wanted::Blob,
        Wanted::Model,
        Wanted::Text,
        Wanted::Tokens,
        Wanted::Tokenizer,
        Wanted::Config,
        Wanted::NameMap,
        Wanted::Firmware,
        Wanted::Packable,
        Wanted::Records,
    ];

    #[test]
    fn folders_are_told_by_the_names_in_them() {
        let of = |names: &[&str]| Kind::of_names(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["config.json", "model.safetensors", "adapter_config.json"]), Kind::CheckpointFolder);
        assert_eq!(of(&["adapter_config.json", "adapter_model.safetensors", "tokenizer.json"]), Kind::Adapter);
        assert_eq!(of(&["config.json", "shakespeare.safetensors"]), Kind::CheckpointFolder);
        assert_eq!(of(&["config.json", "pytorch_model.bin", "tokenizer.json"]), Kind::Torch);
        assert_eq!(of(&["model.Q4_0.gguf"]), Kind::Gguf);
        assert_eq!(of(&["vocab.json", "merges.txt"]), Kind::Tokenizer);
        assert_eq!(of(&["notes"]), Kind::Folder);
    }

    #[test]
    fn what_is_needed_is_never_refused_and_what_is_unknown_is_left_to_its_reader() {
        let path = Path::new("x");
        for wanted in WANTED {
            assert_eq!(wanted.check_kind(path, Kind::Unknown), Ok(()));
            let refused = wanted.check_kind(path, Kind::LfsPointer).unwrap_err().to_string();
            assert!(
                refused.starts_with("x: it is a Git LFS pointer, and ") && refused.contains("git lfs pull"),
                "{refused}"
            );
        }
        assert_eq!(Wanted::Blob.check_kind(path, Kind::Blob), Ok(()));
        let refused = Wanted::Checkpoint.check_kind(path, Kind::Adapter).unwrap_err();
        assert!(refused.to_string().contains("merge it into its base model"), "{refused}");
    }
}
