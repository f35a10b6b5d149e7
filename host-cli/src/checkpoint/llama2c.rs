//! llama2.c's files: a header of a few integers, then tensors in a fixed order, without names.
//!
//! | version | header | tensors |
//! |---|---|---|
//! | 0 | seven i32; a negative vocabulary says that the head is its own | f32, with tables of the positions' cosines and sines |
//! | 1 | `ak42`, the version, seven i32, a byte for a tied head; 256 bytes | f32 |
//! | 2 | as 1, and an i32 for the length of a group | norms in f32; each matrix in i8, behind it an f32 for each group |
//!
//! No epsilon is stored: llama2.c's own, 1e-5, holds. The rotary base is the one that gives the tables, and 10000 where
//! there are none. Tensors are named as Llama's authors name them, and the header becomes a configuration.

use super::archive::Archive;
use super::entry::{Entry, Storage};
use super::error::CheckpointError;
use super::keys::ConfigFile;
use super::rotary_base;
use super::trained::{ENDS, EPSILON};
use crate::ground::files::llama2c::{HEADER, Header, Version};
use crate::ground::files::{FileError, Kind, mapped};
use safetensors::Dtype;
use serde_json::{Value, json};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of an f32.
const F32: usize = size_of::<f32>();

/// Tensors in the order of the file, one behind another.
struct Layout {
    entries: Vec<Entry>,
    end: usize,
}

impl Layout {
    /// The next bytes; none of more than an address space.
    fn take(&mut self, bytes: usize) -> Option<Range<usize>> {
        let start = self.end;
        self.end = start.checked_add(bytes)?;
        Some(start..self.end)
    }

    /// The next tensor, in f32, or in groups.
    fn put(&mut self, name: String, shape: &[usize], group: Option<usize>) -> Option<()> {
        let elements = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))?;
        let (bytes, storage) = match group {
            None => (elements.checked_mul(F32)?, Storage::Plain(Dtype::F32)),
            Some(group) if elements.is_multiple_of(group) => {
                (elements.checked_add((elements / group).checked_mul(F32)?)?, Storage::Grouped(group))
            }
            Some(_) => return None,
        };
        let bytes = self.take(bytes)?;
        self.entries.push(Entry { name, shape: shape.to_vec(), storage, bytes });
        Some(())
    }

    /// The next tensor of every layer.
    fn put_layers(&mut self, header: &Header, name: &str, shape: &[usize], group: Option<usize>) -> Option<()> {
        (0..header.n_layer).try_for_each(|layer| self.put(format!("layers.{layer}.{name}.weight"), shape, group))
    }
}

/// The file of this format at `path`: itself, or the only one in a folder without safetensors.
///
/// # Errors
/// Nothing is there, it cannot be read, or a folder holds several.
pub fn find(path: &Path) -> Result<Option<PathBuf>, CheckpointError> {
    match Kind::of(path)? {
        Kind::Llama2c => return Ok(Some(path.to_owned())),
        // What has files of this ending and no safetensors.
        Kind::Torch if path.is_dir() => {}
        _ => return Ok(None),
    }
    let io = |error| FileError::io(path, &error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        if file.extension().is_some_and(|extension| extension == "bin") && Kind::of(&file)? == Kind::Llama2c {
            found.push(file);
        }
    }
    if found.len() > 1 {
        let why = format!("holds {} llama2.c files: name one", found.len());
        return Err(CheckpointError::NoCheckpoint { path: path.to_owned(), why });
    }
    Ok(found.pop())
}

/// Opens a file, its tensors by name, and what its header says as a configuration.
///
/// # Errors
/// The file cannot be read, is longer or shorter than its header says, or its tables are of no rotary base.
pub fn open(path: &Path) -> Result<(Archive, ConfigFile), CheckpointError> {
    let faulty = |why: String| CheckpointError::Llama2c { path: path.to_owned(), why };
    let map = mapped::map(path)?;
    let header = Header::read(&map).map_err(faulty)?;
    let too_large =
        || faulty(format!("its header asks for more than can be addressed, or groups do not fit: {header}"));
    let (layout, tables) = layout(&header, map.len()).ok_or_else(too_large)?;
    if layout.end != map.len() {
        return Err(faulty(format!("need {} bytes by its header ({header}), have {}", layout.end, map.len())));
    }
    let theta = match tables {
        Some([cosines, sines]) => {
            let pairs = header.head_dim() / 2;
            let floats = |range: Range<usize>| map[range].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            let (cosines, sines): (Vec<f32>, Vec<f32>) = (floats(cosines).collect(), floats(sines).collect());
            rotary_base::find(&cosines, &sines, pairs)
                .ok_or_else(|| faulty("its tables of cosines and sines are those of no rotary base".to_owned()))?
        }
        None => rotary_base::DEFAULT,
    };
    let config = config(&header, theta);
    Ok((Archive::of(map, layout.entries), config))
}

/// The tensors, and where the tables of cosines and sines lie; `None` where sizes overflow or groups do not fit.
fn layout(header: &Header, file: usize) -> Option<(Layout, Option<[Range<usize>; 2]>)> {
    let Header { version, dim, hidden, n_layer, n_vocab, n_ctx, tied, .. } = *header;
    // A layer has more bytes than that, which bounds the number of names before they are made.
    if n_layer > file {
        return None;
    }
    let (start, group) = match version {
        Version::Zero => (HEADER, None),
        Version::One => (Version::PADDED, None),
        Version::Two { group } => (Version::PADDED, Some(group)),
    };
    let mut layout = Layout { entries: Vec::new(), end: start };
    let kv = header.n_kv_head * header.head_dim();
    let vector = [dim];
    let embedding = ("tok_embeddings.weight", [n_vocab, dim]);
    let attention = [("wq", [dim, dim]), ("wk", [kv, dim]), ("wv", [kv, dim]), ("wo", [dim, dim])];
    let mlp = [("w1", [hidden, dim]), ("w2", [dim, hidden]), ("w3", [hidden, dim])];
    let put_attention = |layout: &mut Layout| {
        let mut put = |(name, shape): ([&str; 2], [usize; 2])| layout.put_layers(header, &name.concat(), &shape, group);
        attention.into_iter().try_for_each(|(name, shape)| put((["attention.", name], shape)))
    };
    let put_mlp = |layout: &mut Layout| {
        let mut put = |(name, shape): ([&str; 2], [usize; 2])| layout.put_layers(header, &name.concat(), &shape, group);
        mlp.into_iter().try_for_each(|(name, shape)| put((["feed_forward.", name], shape)))
    };
    let mut tables = None;
    match version {
        Version::Zero => {
            layout.put(embedding.0.to_owned(), &embedding.1, None)?;
            layout.put_layers(header, "attention_norm", &vector, None)?;
            put_attention(&mut layout)?;
            layout.put_layers(header, "ffn_norm", &vector, None)?;
            put_mlp(&mut layout)?;
            layout.put("norm.weight".to_owned(), &vector, None)?;
            let bytes = n_ctx.checked_mul(header.head_dim() / 2)?.checked_mul(F32)?;
            tables = Some([layout.take(bytes)?, layout.take(bytes)?]);
        }
        Version::One | Version::Two { .. } => {
            layout.put_layers(header, "attention_norm", &vector, None)?;
            layout.put_layers(header, "ffn_norm", &vector, None)?;
            layout.put("norm.weight".to_owned(), &vector, None)?;
            layout.put(embedding.0.to_owned(), &embedding.1, group)?;
            put_attention(&mut layout)?;
            put_mlp(&mut layout)?;
        }
    }
    if !tied {
        layout.put("output.weight".to_owned(), &[n_vocab, dim], group)?;
    }
    Some((layout, tables))
}

/// What the header says, in the words of a Llama's `config.json`.
fn config(header: &Header, theta: f64) -> ConfigFile {
    let config = json!({
        "model_type": "llama",
        "vocab_size": header.n_vocab,
        "max_position_embeddings": header.n_ctx,
        "hidden_size": header.dim,
        "intermediate_size": header.hidden,
        "num_hidden_layers": header.n_layer,
        "num_attention_heads": header.n_head,
        "num_key_value_heads": header.n_kv_head,
        "hidden_act": "silu",
        "rms_norm_eps": EPSILON,
        "rope_theta": theta,
        "tie_word_embeddings": header.tied,
        "bos_token_id": 1,
        "eos_token_id": ENDS,
    });
    match config {
        Value::Object(keys) => ConfigFile::of(keys),
        _ => unreachable!("an object was written"),
    }
}
