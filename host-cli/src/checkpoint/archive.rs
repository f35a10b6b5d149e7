//! Named tensors of one safetensors file, or of several through a shard index.

use super::error::CheckpointError;
use crate::mapped;
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// File that a sharded checkpoint's folder is opened through.
const INDEX: &str = "model.safetensors.index.json";

/// File that an unsharded checkpoint's folder is opened through.
const SINGLE: &str = "model.safetensors";

/// Every tensor of a checkpoint by its name in the file, memory-mapped.
#[derive(Debug)]
pub struct Archive {
    maps: Vec<Mmap>,
    tensors: BTreeMap<String, Stored>,
    aliases: BTreeMap<String, String>,
}

/// Where a tensor lies and how its elements are stored.
#[derive(Debug)]
struct Stored {
    map: usize,
    bytes: Range<usize>,
    dtype: Dtype,
    shape: Vec<usize>,
}

/// A tensor as the file stores it.
#[derive(Clone, Copy, Debug)]
pub struct RawTensor<'a> {
    /// Element type.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: &'a [usize],
    /// Little-endian elements, row-major.
    pub bytes: &'a [u8],
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Archive {
    /// Opens a `.safetensors` file, a shard index, or a folder that holds either.
    ///
    /// Returns the archive and the folder in which its `config.json` belongs.
    ///
    /// # Errors
    /// Nothing readable is there, a header or index is damaged, or a name occurs in two shards.
    pub fn open(path: &Path) -> Result<(Self, PathBuf), CheckpointError> {
        let io = |source| CheckpointError::Io { path: path.to_owned(), source };
        let file = if std::fs::metadata(path).map_err(io)?.is_dir() { find_in_folder(path)? } else { path.to_owned() };
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        let mut archive = Self { maps: Vec::new(), tensors: BTreeMap::new(), aliases: BTreeMap::new() };
        if file.extension().is_some_and(|extension| extension == "json") {
            archive.add_index(&file, &folder)?;
        } else {
            archive.add_file(&file)?;
        }
        Ok((archive, folder))
    }

    fn add_index(&mut self, path: &Path, folder: &Path) -> Result<(), CheckpointError> {
        let text = std::fs::read(path).map_err(|source| CheckpointError::Io { path: path.to_owned(), source })?;
        let damaged = |why: String| CheckpointError::Index { path: path.to_owned(), why };
        let index: Index = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let mut files: Vec<&String> = index.weight_map.values().collect();
        files.sort();
        files.dedup();
        let mut shards = BTreeMap::new();
        for file in files {
            shards.insert(file, self.maps.len());
            self.add_file(&folder.join(file))?;
        }
        for (name, file) in &index.weight_map {
            if self.tensors.get(name).is_none_or(|stored| stored.map != shards[file]) {
                return Err(damaged(format!("tensor `{name}` is not in {file}")));
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path) -> Result<(), CheckpointError> {
        let map = mapped::map(path).map_err(|source| CheckpointError::Io { path: path.to_owned(), source })?;
        let (header, metadata) = SafeTensors::read_metadata(&map)
            .map_err(|source| CheckpointError::Header { path: path.to_owned(), source })?;
        let data = size_of::<u64>() + header;
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let stored = Stored {
                map: self.maps.len(),
                bytes: data + start..data + end,
                dtype: info.dtype,
                shape: info.shape.clone(),
            };
            if self.tensors.insert(name.clone(), stored).is_some() {
                return Err(CheckpointError::Index {
                    path: path.to_owned(),
                    why: format!("tensor `{name}` is in two shards"),
                });
            }
        }
        self.aliases.extend(metadata.metadata().iter().flatten().map(|(name, of)| (name.clone(), of.clone())));
        self.maps.push(map);
        Ok(())
    }

    /// The tensor of a name.
    ///
    /// `safetensors.torch.save_model` keeps one of several names that share memory and records the others in the
    /// header's metadata (`"lm_head.weight": "transformer.wte.weight"`); such a name finds the tensor that was kept.
    pub fn get(&self, name: &str) -> Option<RawTensor<'_>> {
        let stored = self.tensors.get(name).or_else(|| self.tensors.get(self.aliases.get(name)?))?;
        Some(RawTensor {
            dtype: stored.dtype,
            shape: &stored.shape,
            bytes: &self.maps[stored.map][stored.bytes.clone()],
        })
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

/// The file through which a folder's checkpoint is opened.
fn find_in_folder(folder: &Path) -> Result<PathBuf, CheckpointError> {
    for name in [SINGLE, INDEX] {
        let file = folder.join(name);
        if file.is_file() {
            return Ok(file);
        }
    }
    let io = |source| CheckpointError::Io { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let file = entry.map_err(io)?.path();
        if file.extension().is_some_and(|extension| extension == "safetensors") {
            found.push(file);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(CheckpointError::NoCheckpoint {
            path: folder.to_owned(),
            why: format!("holds neither {SINGLE} nor {INDEX}"),
        }),
        n => Err(CheckpointError::NoCheckpoint {
            path: folder.to_owned(),
            why: format!("holds {n} .safetensors files and neither {SINGLE} nor {INDEX}: name one"),
        }),
    }
}
