//! Checkpoints in: a safetensors checkpoint in any of the known layouts, as one set of canonical tensors.
//!
//! [`Checkpoint::open`] maps the file or its shards (`archive`), tells the layout (`layout`, [`name_map`]), works
//! out the configuration (`keys`, `derive`), and finds every tensor's slot (`bind`). What it cannot represent
//! exactly in meaning it refuses with one line that names the tensor or key. [`Checkpoint::tensor`] then gives any
//! slot's tensor in f32 and canonical form (`tensor`). [`init`] writes checkpoints.

mod archive;
mod bind;
mod derive;
mod ends;
mod error;
pub mod init;
mod keys;
mod layout;
pub mod name_map;
mod patterns;
mod tensor;
#[cfg(test)]
pub(crate) mod tests;
mod wrappers;

pub use ends::EndTokens;
pub use error::CheckpointError;
pub use layout::{DetectedLayout, Layout};
pub use name_map::Orientation;

use crate::ground::files::read;
use crate::ground::shown;
use archive::Archive;
use bind::Bindings;
use emberlm_core::blob::Slot;
use emberlm_core::config::{Config, TokenId};
pub(crate) use keys::ConfigFile;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// What a caller says of a checkpoint beyond its files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Overrules the detected layout.
    pub layout: Option<Layout>,
    /// Read instead of the `config.json` beside the tensors.
    pub config: Option<PathBuf>,
    /// Number of heads, for checkpoints whose config does not say it.
    pub n_head: Option<u32>,
}

/// A checkpoint that is open: memory-mapped, checked, and complete.
///
/// Holds no weights in memory of its own.
#[derive(Debug)]
pub struct Checkpoint {
    archive: Archive,
    folder: PathBuf,
    config: Config,
    layout: DetectedLayout,
    bindings: Bindings,
    tied: bool,
    bos: Option<TokenId>,
    notes: Vec<String>,
}

/// A canonical tensor: f32, row-major.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// Rows; 1 for a vector.
    pub rows: usize,
    /// Elements a row.
    pub cols: usize,
    /// `rows * cols` elements.
    pub data: Cow<'a, [f32]>,
}

/// A matrix or vector as the file orients it.
#[derive(Clone, Debug)]
pub(crate) struct StoredMatrix<'a> {
    pub orientation: Orientation,
    pub data: Cow<'a, [f32]>,
}

impl Checkpoint {
    /// Opens a `.safetensors` file, a shard index (`model.safetensors.index.json`), or a folder that holds either.
    ///
    /// Reads every weight once, to refuse those that are not finite.
    ///
    /// # Errors
    /// Whatever cannot be read, or cannot be represented exactly in meaning.
    pub fn open(path: &Path, options: &Options) -> Result<Self, CheckpointError> {
        let (mut archive, folder) = Archive::open(path)?;
        let beside = Some(folder.join("config.json")).filter(|path| read::is_there(path));
        let file = options.config.clone().or(beside).map(|path| ConfigFile::read(&path)).transpose()?;
        let mut notes = Vec::new();
        if let Some(wrappers) = archive.wrappers() {
            notes.push(format!("names are read without what training wrapped around modules: {wrappers}"));
        }
        let (layout, names) = layout::detect(&archive, options.layout.as_ref())?;
        if let Some(head) = bind::find_embedding(&mut archive, &names, file.as_ref())? {
            notes.push(format!("the token embedding is stored as {} alone, which is tied to it", shown::value(&head)));
        }
        let config = derive::config(&archive, &names, &layout, file.as_ref(), options.n_head, &mut notes)?;
        let bound = bind::bind(&archive, &names, &config);
        let mut bindings = bound.map_err(|error| layout::explain(error, &archive, &layout.layout, &[&names]))?;
        let tied = bind::settle_head(&archive, &names, &layout.layout, file.as_ref(), &mut bindings)?;
        let bos = file.and_then(|file| file.bos()).filter(|&bos| bos < config.n_vocab);
        Ok(Self { archive, folder, config, layout, bindings, tied, bos, notes })
    }

    /// The model's shape.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The layout that the checkpoint was read in, and what told it.
    pub const fn layout(&self) -> &DetectedLayout {
        &self.layout
    }

    /// Defaults that were assumed and keys that were ignored, a line each, to be shown.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The folder that its files lie in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the head shares the token embedding, by absence or because its weights are the same bits.
    pub const fn is_tied(&self) -> bool {
        self.tied
    }

    /// The token that texts begin with, where the config names one that the model has.
    pub const fn bos(&self) -> Option<TokenId> {
        self.bos
    }

    /// Whether the checkpoint has a slot's tensor: an optional one may be absent, and a tied head is.
    pub fn has(&self, slot: Slot) -> bool {
        self.bindings.get(slot.index()).is_some_and(Option::is_some)
    }

    /// A slot's tensor; `None` for one that the model lacks (a bias, a tied head) and for blocks it does not have.
    ///
    /// Borrowed from the mapped file where that holds f32 in canonical form, else made anew by each call: at most one
    /// f32 copy of this one tensor.
    pub fn tensor(&self, slot: Slot) -> Option<Tensor<'_>> {
        let StoredMatrix { orientation, data } = self.stored(slot)?;
        let (rows, cols) = slot.shape(&self.config);
        let (rows, cols) = (rows as usize, cols as usize);
        let transposed = slot.is_matrix() && orientation == Orientation::InOut;
        let data = if transposed { Cow::Owned(tensor::transpose(&data, rows, cols)) } else { data };
        Some(Tensor { rows, cols, data })
    }

    /// A slot's elements, query, key and value fused, oriented as in the file.
    pub(crate) fn stored(&self, slot: Slot) -> Option<StoredMatrix<'_>> {
        let place = self.bindings.get(slot.index())?.as_ref()?;
        let decode = |name: &String| {
            let raw = self.archive.get(name).expect("bound tensors exist");
            tensor::decode(name, raw).expect("bound tensors have known types")
        };
        let [query, key, value] = place.names.as_slice() else {
            let (orientation, data) = (place.orientation, decode(&place.names[0]));
            return Some(StoredMatrix { orientation, data });
        };
        let (rows, cols) = slot.shape(&self.config);
        let (rows, cols) = (rows as usize, cols as usize);
        let mut fused = Vec::with_capacity(rows * cols);
        for name in [query, key, value] {
            let part = decode(name);
            if slot.is_matrix() && place.orientation == Orientation::InOut {
                fused.extend(tensor::transpose(&part, rows / 3, cols));
            } else {
                fused.extend_from_slice(&part);
            }
        }
        Some(StoredMatrix { orientation: Orientation::OutIn, data: Cow::Owned(fused) })
    }
}
