//! Named tensors of one file, or of several through a shard index.

use super::entry::{Entry, Storage};
use super::error::CheckpointError;
use super::keys::ConfigFile;
use super::torch;
use super::wrappers::{unwrapped, wrappers};
use crate::ground::files::read::{self, MOST_OF_TOKENIZER};
use crate::ground::files::{Fault, FileError, Kind, Wanted, is_of_adapter, json, mapped};
use crate::ground::shown;
use emberlm_core::config::TokenId;
use memmap2::Mmap;
use safetensors::SafeTensors;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Files that a checkpoint's folder is opened through, whole ones and indexes of shards, the first that is there.
const FILES: [&str; 4] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// What else files are named that hold one checkpoint, those that are read by choice first.
const ENDINGS: [&[&str]; 2] = [&["safetensors"], &["pt", "pth", "ckpt", "bin"]];

/// Every tensor of a checkpoint by its name in the file: memory-mapped, or in memory where PyTorch wrote it.
///
/// A name is found with and without the wrappers that training leaves in it (`wrappers`); those that are listed are
/// without.
#[derive(Debug, Default)]
pub struct Archive {
    maps: Vec<Mmap>,
    tensors: BTreeMap<String, Stored>,
    aliases: BTreeMap<String, String>,
    config: Option<ConfigFile>,
    ends: Option<[TokenId; 2]>,
}

/// Where a tensor lies and how its elements are stored.
#[derive(Debug)]
struct Stored {
    /// As the file spells it.
    name: String,
    map: usize,
    bytes: Range<usize>,
    storage: Storage,
    shape: Vec<usize>,
}

/// A tensor as the file stores it.
#[derive(Clone, Copy, Debug)]
pub struct RawTensor<'a> {
    /// How its elements are stored.
    pub storage: Storage,
    /// Dimensions, outermost first.
    pub shape: &'a [usize],
    /// Little-endian, row-major.
    pub bytes: &'a [u8],
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Archive {
    /// Opens a `.safetensors` file, one that `torch.save` wrote, a shard index, or a folder that holds one of these.
    ///
    /// Returns the archive and the folder in which its `config.json` belongs.
    ///
    /// # Errors
    /// Nothing readable is there, a header or index is damaged, or a name occurs in two shards.
    pub fn open(path: &Path) -> Result<(Self, PathBuf), CheckpointError> {
        let file = if path.is_dir() { find_in_folder(path)? } else { path.to_owned() };
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        let mut archive = Self::default();
        let is_json = file.extension().is_some_and(|extension| extension == "json");
        match Kind::of(&file)? {
            Kind::ShardIndex => archive.add_index(&file, &folder)?,
            Kind::Json if is_json => archive.add_index(&file, &folder)?,
            kind => archive.add_file(&file, kind)?,
        }
        Ok((archive, folder))
    }

    /// The tensors of one file, whose names differ and whose bytes lie in it.
    pub fn of(map: Mmap, entries: impl IntoIterator<Item = Entry>) -> Self {
        let stored = |Entry { name, shape, storage, bytes }: Entry| {
            (name.clone(), Stored { name, map: 0, bytes, storage, shape })
        };
        let tensors = entries.into_iter().map(stored).collect();
        Self { maps: vec![map], tensors, ..Self::default() }
    }

    fn add_index(&mut self, path: &Path, folder: &Path) -> Result<(), CheckpointError> {
        let damaged = |why: String| CheckpointError::Index { path: path.to_owned(), why };
        let index: Index = read::json(path, MOST_OF_TOKENIZER)
            .map_err(|error| CheckpointError::of_json(error, |path, why| CheckpointError::Index { path, why }))?;
        let mut files: Vec<&String> = index.weight_map.values().collect();
        files.sort();
        files.dedup();
        let mut shards = BTreeMap::new();
        for file in files {
            // A link is the user's own doing, as in Hugging Face's cache; a path is the file's.
            if Path::new(file).file_name() != Some(file.as_ref()) {
                return Err(damaged(format!(
                    "shard `{}` is no plain name: shards lie in the folder of their index",
                    shown::value(file)
                )));
            }
            shards.insert(file, self.maps.len());
            let shard = folder.join(file);
            self.add_file(&shard, Kind::of(&shard)?)?;
        }
        for (name, file) in &index.weight_map {
            if self.stored(name).is_none_or(|stored| stored.name != *name || stored.map != shards[file]) {
                return Err(damaged(format!("tensor `{}` is not in {}", shown::value(name), shown::value(file))));
            }
        }
        Ok(())
    }

    /// Adds the tensors of a file of that kind.
    fn add_file(&mut self, path: &Path, kind: Kind) -> Result<(), CheckpointError> {
        Wanted::Checkpoint.check_kind(path, kind)?;
        match kind {
            Kind::Torch => self.add_torch(path),
            _ => self.add_safetensors(path),
        }
    }

    fn add_torch(&mut self, path: &Path) -> Result<(), CheckpointError> {
        let torch::Contents { map, entries, config, ends } = torch::read(path)?;
        entries.into_iter().try_for_each(|entry| self.add(path, entry))?;
        self.config = self.config.take().or(config);
        self.ends = self.ends.or(ends);
        self.maps.push(map);
        Ok(())
    }

    fn add_safetensors(&mut self, path: &Path) -> Result<(), CheckpointError> {
        let map = mapped::map(path)?;
        let damaged = |why: String| CheckpointError::Header { path: path.to_owned(), why };
        header(&map).map_or(Ok(()), json::check_keys).map_err(damaged)?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|error| damaged(error.to_string()))?;
        let data = LENGTH + header;
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let (storage, bytes) = (Storage::Plain(info.dtype), data + start..data + end);
            self.add(path, Entry { name, shape: info.shape.clone(), storage, bytes })?;
        }
        for (name, of) in metadata.metadata().iter().flatten() {
            self.add_alias(name, of);
        }
        self.maps.push(map);
        Ok(())
    }

    /// Adds a tensor of the file at `path`, whose map is the next.
    fn add(&mut self, path: &Path, Entry { name, shape, storage, bytes }: Entry) -> Result<(), CheckpointError> {
        if is_of_adapter(&name) {
            return Err(FileError::new(path, Fault::Kind { found: Kind::Adapter, wanted: Wanted::Checkpoint }).into());
        }
        let stored = Stored { name: name.clone(), map: self.maps.len(), bytes, storage, shape };
        let Some(first) = self.tensors.insert(unwrapped(&name).into_owned(), stored) else { return Ok(()) };
        let why = match first.name == name {
            true => format!("tensor `{}` is in two shards", shown::value(&name)),
            false => format!(
                "tensors `{}` and `{}` have one name without their wrappers",
                shown::value(&first.name),
                shown::value(&name)
            ),
        };
        Err(CheckpointError::Index { path: path.to_owned(), why })
    }

    /// The tokens that end a text, where the files are of a program that has its own.
    pub const fn ends(&self) -> Option<[TokenId; 2]> {
        self.ends
    }

    /// What the files themselves say of the model.
    pub fn take_config(&mut self) -> Option<ConfigFile> {
        self.config.take()
    }

    /// The tensor of a name.
    ///
    /// `safetensors.torch.save_model` keeps one of several names that share memory and records the others in the
    /// header's metadata (`"lm_head.weight": "transformer.wte.weight"`); such a name finds the tensor that was kept.
    pub fn get(&self, name: &str) -> Option<RawTensor<'_>> {
        let stored = self.stored(name)?;
        Some(RawTensor {
            storage: stored.storage,
            shape: &stored.shape,
            bytes: &self.maps[stored.map][stored.bytes.clone()],
        })
    }

    fn stored(&self, name: &str) -> Option<&Stored> {
        let name = unwrapped(name);
        self.tensors.get(name.as_ref()).or_else(|| self.tensors.get(self.aliases.get(name.as_ref())?))
    }

    /// Lets the tensor `of` be found as `name` too.
    pub fn add_alias(&mut self, name: &str, of: &str) {
        self.aliases.insert(unwrapped(name).into_owned(), unwrapped(of).into_owned());
    }

    /// The stored name of the tensor that a name finds.
    pub fn resolved<'a>(&'a self, name: &'a str) -> &'a str {
        let is_stored = self.tensors.contains_key(name);
        let alias = self.aliases.get(name).filter(|of| !is_stored && self.tensors.contains_key(*of));
        alias.map_or(name, String::as_str)
    }

    /// A stored name as the file spells it.
    pub fn spelled<'a>(&'a self, name: &'a str) -> &'a str {
        self.tensors.get(name).map_or(name, |stored| &stored.name)
    }

    /// The wrappers in names, where there are some.
    pub fn wrappers(&self) -> Option<String> {
        let wrapped = self.tensors.iter().filter(|(name, stored)| **name != stored.name);
        let all: BTreeSet<&str> = wrapped.flat_map(|(_, stored)| wrappers(&stored.name)).collect();
        (!all.is_empty()).then(|| all.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// Whether no tensor is stored.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Every stored name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }
}

/// Bytes of the header's length.
const LENGTH: usize = size_of::<u64>();

/// The header of a file that is long enough for it.
fn header(file: &[u8]) -> Option<&[u8]> {
    let (length, rest) = file.split_first_chunk::<LENGTH>()?;
    rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// The file through which a folder's checkpoint is opened.
fn find_in_folder(folder: &Path) -> Result<PathBuf, CheckpointError> {
    if let Some(file) = FILES.iter().map(|name| folder.join(name)).find(|file| read::is_there(file)) {
        return Ok(file);
    }
    let [whole, index, ..] = FILES;
    let io = |error| FileError::io(folder, &error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        files.push(entry.map_err(io)?.path());
    }
    let of = |endings: &[&str]| {
        let is = |file: &&PathBuf| {
            file.extension().is_some_and(|extension| endings.iter().any(|ending| extension == *ending))
        };
        files.iter().filter(is).cloned().collect::<Vec<_>>()
    };
    let mut found = ENDINGS.into_iter().map(of).find(|found| !found.is_empty()).unwrap_or_default();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => match Kind::of(folder)? {
            Kind::Folder | Kind::Tokenizer => Err(CheckpointError::NoCheckpoint {
                path: folder.to_owned(),
                why: format!("holds neither {whole} nor {index}"),
            }),
            other => Err(FileError::new(folder, Fault::Kind { found: other, wanted: Wanted::Checkpoint }).into()),
        },
        n => Err(CheckpointError::NoCheckpoint {
            path: folder.to_owned(),
            why: format!("holds {n} files that may be its checkpoint, and neither {whole} nor {index}: name one"),
        }),
    }
}
