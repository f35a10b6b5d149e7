//! What a file may be, what may be needed, and what to do with the one where the other is needed.

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
    /// llama2.c's own format.
    Llama2c,
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
    /// Bytes for a flash, packed for a boot loader: a blob's, or others.
    Uf2 {
        /// Whether they are a blob's.
        of_blob: bool,
    },
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
    /// Losses, target by target.
    Records,
    /// A report of this program's as a page.
    Page,
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
    /// A blob, or a board's program.
    Packable,
    /// Losses, target by target.
    Records,
}

impl Kind {
    /// What it is called, with its article.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blob => "a blob",
            Self::Safetensors => "a safetensors file",
            Self::ShardIndex => "an index of safetensors shards",
            Self::Llama2c => "a llama2.c checkpoint",
            Self::CheckpointFolder => "the folder of a checkpoint",
            Self::Adapter => "a LoRA adapter without its base model",
            Self::Torch => "a PyTorch checkpoint",
            Self::Gguf => "a GGUF model",
            Self::LfsPointer => "a Git LFS pointer",
            Self::OtherModel(name) | Self::Archive(name) | Self::Special(name) => name,
            Self::WebPage => "a web page or a server's message",
            Self::Elf => "an ELF file",
            Self::Uf2 { of_blob: true } => "a blob packed as UF2",
            Self::Uf2 { of_blob: false } => "a UF2 file",
            Self::Config => "a model's config.json",
            Self::Tokenizer => "a tokenizer",
            Self::Chars => "a list of characters",
            Self::Tokens => "a list of token ids",
            Self::NameMap => "a name map",
            Self::Records => "a file of records",
            Self::Page => "a report as a page",
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
            Wanted::Checkpoint => matches!(self, Safetensors | ShardIndex | Llama2c | Torch | CheckpointFolder),
            Wanted::Blob => matches!(self, Blob),
            Wanted::Model => matches!(self, Blob | Safetensors | ShardIndex | Llama2c | Torch | CheckpointFolder),
            // Any UTF-8 may be a text to score, a pointer's excepted: nobody wants that.
            Wanted::Text => matches!(
                self,
                Text | Json | Config | Tokenizer | Chars | Tokens | NameMap | ShardIndex | WebPage | Page | Empty
            ),
            Wanted::Tokens => matches!(self, Tokens | Json),
            Wanted::Tokenizer => matches!(self, Tokenizer | Chars | Json | Text | CheckpointFolder),
            Wanted::Config => matches!(self, Config | Json),
            Wanted::NameMap => matches!(self, NameMap | Json),
            Wanted::Firmware => matches!(self, Elf),
            Wanted::Packable => matches!(self, Blob | Elf),
            Wanted::Records => matches!(self, Records),
        }
    }
}

impl Wanted {
    /// What it is called, with its article.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "a checkpoint",
            Self::Blob => "a blob",
            Self::Model => "a blob or a checkpoint",
            Self::Text => "a text in UTF-8",
            Self::Tokens => "a JSON list of token ids",
            Self::Tokenizer => "a tokenizer",
            Self::Config => "a model's config.json",
            Self::NameMap => "a name map",
            Self::Firmware => "a program for the board, an ELF file,",
            Self::Packable => "a blob, or a program for the board, an ELF file,",
            Self::Records => "a file of records",
        }
    }

    /// Whether it is text, of whatever meaning.
    pub(super) const fn is_written(self) -> bool {
        matches!(self, Self::Text | Self::Tokens | Self::Tokenizer | Self::Config | Self::NameMap)
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
        (Gguf | OtherModel(_), Wanted::Checkpoint | Wanted::Model | Wanted::Blob) => {
            "name the safetensors checkpoint that it was made from"
        }
        (Blob, Wanted::Checkpoint) => "name the checkpoint that it was made from, it cannot be turned back",
        (Blob, Wanted::Tokenizer) => "leave the option out, a blob's own tokenizer is used with it",
        (Blob | Safetensors | ShardIndex | Llama2c | CheckpointFolder | Torch | Gguf | OtherModel(_), Wanted::Text) => {
            "name a file of plain text, the model is named without an option"
        }
        (Safetensors | ShardIndex | Llama2c | Torch | CheckpointFolder, Wanted::Blob) => {
            "`emberlm convert` makes a blob of it"
        }
        (Safetensors | ShardIndex | Torch | CheckpointFolder, Wanted::Config) => "name the config.json beside it",
        (Llama2c, Wanted::Config) => "a llama2.c file says its configuration itself, leave the option out",
        (Safetensors | ShardIndex | Torch, Wanted::Tokenizer) => "name the folder with its tokenizer",
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
        (_, Wanted::Records) => "`emberlm eval --records` writes one",
        (Records, _) => "`emberlm merge` takes it",
        (Uf2 { .. }, _) => "copy it to the board's drive",
        (Safetensors | ShardIndex | Llama2c | CheckpointFolder, Wanted::Packable) => {
            "`emberlm convert` makes a blob of it"
        }
        (_, Wanted::Packable) => "`emberlm convert` makes a blob of a checkpoint, and Cargo builds the program",
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
