//! What a file is, told by what it holds, and what to do with it where something else is needed.

mod content;

pub use content::is_of_adapter;

use std::fs;
use std::path::Path;

use super::{Fault, FileError, read};

/// What a file or folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A blob of any version.
    Blob,
    /// A safetensors file, perhaps cut short.
    Safetensors,
    /// An index of safetensors shards.
    ShardIndex,
    /// A folder through which a safetensors checkpoint is opened.
    CheckpointFolder,
    /// PEFT's small matrices, or the folder or config of such.
    Adapter,
    /// What `torch.save` writes, or the folder of it.
    Torch,
    /// GGUF, or one of its forerunners, or the folder of it.
    Gguf,
    /// A model or arrays in a format of another framework.
    OtherModel(&'static str),
    /// What Git keeps in the place of a large file.
    LfsPointer,
    /// A packed file.
    Archive(&'static str),
    /// A web page, or a server's answer in XML.
    WebPage,
    /// A program or object file.
    Elf,
    /// A model's configuration.
    Config,
    /// A tokenizer in any of Hugging Face's forms, or a folder of one.
    Tokenizer,
    /// A list of characters.
    Chars,
    /// Token ids, or rows of such.
    Tokens,
    /// A name map.
    NameMap,
    /// Other JSON.
    Json,
    /// Text in an encoding that is not UTF-8.
    OtherText(&'static str),
    /// Text.
    Text,
    /// Nothing.
    Empty,
    /// Bytes of no known kind.
    Unknown,
    /// A folder without anything that is known.
    Folder,
    /// A pipe, a socket or a device.
    Special(&'static str),
}

/// What is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wanted {
    /// A checkpoint to be read.
    Checkpoint,
    /// A blob.
    Blob,
    /// Either.
    Model,
    /// Text.
    Text,
    /// Token ids.
    Tokens,
    /// A tokenizer's file, or the folder of one.
    Tokenizer,
    /// A model's configuration.
    Config,
    /// A name map.
    NameMap,
    /// A board's program.
    Firmware,
}

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

    /// What it is called, with its article.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blob => "a blob",
            Self::Safetensors => "a safetensors file",
            Self::ShardIndex => "an index of safetensors shards",
            Self::CheckpointFolder => "the folder of a checkpoint",
            Self::Adapter => "a LoRA adapter without its base model",
            Self::Torch => "a PyTorch checkpoint (a pickle)",
            Self::Gguf => "a GGUF model",
            Self::LfsPointer => "a Git LFS pointer",
            Self::OtherModel(name) | Self::Archive(name) | Self::Special(name) => name,
            Self::WebPage => "a web page or a server's message",
            Self::Elf => "an ELF file",
            Self::Config => "a model's config.json",
            Self::Tokenizer => "a tokenizer",
            Self::Chars => "a list of characters",
            Self::Tokens => "a list of token ids",
            Self::NameMap => "a name map",
            Self::Json => "JSON of no known kind",
            Self::OtherText(_) => "text that is not UTF-8",
            Self::Text => "plain text",
            Self::Empty => "empty",
            Self::Unknown => "a file of no known kind",
            Self::Folder => "a folder without a model",
        }
    }

    /// Whether it serves where `wanted` is needed, or may: what cannot be told is for the reader to refuse.
    pub const fn serves(self, wanted: Wanted) -> bool {
        use Kind::*;
        match wanted {
            Wanted::Checkpoint => matches!(self, Safetensors | ShardIndex | CheckpointFolder),
            Wanted::Blob => matches!(self, Blob),
            Wanted::Model => matches!(self, Blob | Safetensors | ShardIndex | CheckpointFolder),
            // Any UTF-8 may be a text to score, a pointer's excepted: nobody wants that.
            Wanted::Text => matches!(
                self,
                Text | Json | Config | Tokenizer | Chars | Tokens | NameMap | ShardIndex | WebPage | Empty
            ),
            Wanted::Tokens => matches!(self, Tokens | Json),
            Wanted::Tokenizer => matches!(self, Tokenizer | Chars | Json | Text | CheckpointFolder),
            Wanted::Config => matches!(self, Config | Json),
            Wanted::NameMap => matches!(self, NameMap | Json),
            Wanted::Firmware => matches!(self, Elf),
        }
    }
}

impl Wanted {
    /// What it is called, with its article.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "a safetensors checkpoint",
            Self::Blob => "a blob",
            Self::Model => "a blob or a safetensors checkpoint",
            Self::Text => "a text in UTF-8",
            Self::Tokens => "a JSON list of token ids",
            Self::Tokenizer => "a tokenizer",
            Self::Config => "a model's config.json",
            Self::NameMap => "a name map",
            Self::Firmware => "a program for the board, an ELF file,",
        }
    }

    /// Whether it is text, of whatever meaning.
    const fn is_written(self) -> bool {
        matches!(self, Self::Text | Self::Tokens | Self::Tokenizer | Self::Config | Self::NameMap)
    }

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

/// What to do with a file of one kind where another is needed: the one table of it.
pub const fn advice(found: Kind, wanted: Wanted) -> &'static str {
    use Kind::*;
    match (found, wanted) {
        (LfsPointer, _) => "the file itself was not downloaded, `git lfs pull` in its repository fetches it",
        (WebPage, _) => "something went wrong with the download, fetch the file itself",
        (Empty, _) => "its download or copy did not end, fetch it again",
        (Archive(_), _) => "unpack it first",
        (Adapter, _) => {
            "merge it into its base model first (in Python, PEFT's `merge_and_unload()` and `save_pretrained()`)"
        }
        (Torch, Wanted::Checkpoint | Wanted::Model | Wanted::Blob) => {
            "save the model from Python as safetensors (`save_pretrained()`, or `safetensors.torch.save_model()`)"
        }
        (Gguf | OtherModel(_), Wanted::Checkpoint | Wanted::Model | Wanted::Blob) => {
            "name the safetensors checkpoint that it was made from"
        }
        (Blob, Wanted::Checkpoint) => "name the checkpoint that it was made from, it cannot be turned back",
        (Blob, Wanted::Tokenizer) => "leave the option out, a blob's own tokenizer is used with it",
        (Blob | Safetensors | ShardIndex | CheckpointFolder | Torch | Gguf | OtherModel(_), Wanted::Text) => {
            "name a file of plain text, the model is named without an option"
        }
        (Safetensors | ShardIndex | CheckpointFolder, Wanted::Blob) => "`emberlm convert` makes a blob of it",
        (Safetensors | ShardIndex | CheckpointFolder, Wanted::Config) => "name the config.json beside it",
        (Safetensors | ShardIndex, Wanted::Tokenizer) => "name the folder with its tokenizer",
        (Config | Tokenizer | Chars, Wanted::Checkpoint | Wanted::Model) => {
            "name the folder that it lies in, or the .safetensors file beside it"
        }
        (Tokens, Wanted::Checkpoint | Wanted::Model | Wanted::Blob) => "`--tokens` takes it",
        (Text, Wanted::Checkpoint | Wanted::Model | Wanted::Blob) => "`--text` takes it",
        (Text, Wanted::Tokens) => "`--text` takes it",
        (NameMap, Wanted::Checkpoint | Wanted::Model | Wanted::Blob | Wanted::Config) => "`--layout` takes it",
        (Folder | Tokenizer, Wanted::Text) => "name the files in it",
        (Folder, Wanted::Checkpoint | Wanted::Model) => "name a folder with a model.safetensors",
        (Elf, Wanted::Checkpoint | Wanted::Model | Wanted::Blob) => "`--firmware` takes it",
        (_, Wanted::Firmware) => "leave `--firmware` out, and the program is built",
        (_, Wanted::Checkpoint) => "name a folder with a model.safetensors, or the file itself",
        (_, Wanted::Blob) => "`emberlm convert` makes one of a checkpoint",
        (_, Wanted::Model) => "name a blob, or a folder with a model.safetensors",
        (_, Wanted::Text) => "name a file of plain text",
        (_, Wanted::Tokens) => "`emberlm tokenize --json` makes one of a text",
        (_, Wanted::Tokenizer) => "name a tokenizer.json, a vocab.json beside its merges.txt, or a chars.json",
        (_, Wanted::Config) => "name the model's config.json",
        (_, Wanted::NameMap) => "it says where each tensor lies, in JSON",
    }
}

/// The names in a folder.
fn names_in(folder: &Path) -> std::io::Result<Vec<String>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: [Wanted; 9] = [
        Wanted::Checkpoint,
        Wanted::Blob,
        Wanted::Model,
        Wanted::Text,
        Wanted::Tokens,
        Wanted::Tokenizer,
        Wanted::Config,
        Wanted::NameMap,
        Wanted::Firmware,
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
