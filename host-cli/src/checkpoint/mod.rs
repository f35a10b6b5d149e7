//! Checkpoints in: a checkpoint in any of the known layouts, as an architecture and one set of canonical tensors.
//!
//! [`Checkpoint::open`] maps the file or its shards (`archive`), tells the layout (`layout`, [`name_map`]), works
//! out the [`architecture`] (`family`, `keys`, `derive`), and finds every tensor's slot (`bind`). What it cannot
//! represent exactly in meaning it refuses with one line that names the tensor or key. [`Checkpoint::tensor`] then gives
//! any slot's tensor in f32 and canonical form (`tensor`, `fold`), [`Checkpoint::keep_tokens`] the same model over fewer
//! tokens (`vocabulary`). [`init`] writes checkpoints.

pub mod architecture;
mod archive;
mod bind;
mod derive;
mod ends;
mod entry;
mod error;
mod family;
mod fold;
mod heads;
pub mod init;
mod keys;
mod layout;
mod llama2c;
pub mod name_map;
mod patterns;
mod rotary_base;
mod shapes;
mod stored;
mod template;
mod tensor;
#[cfg(test)]
pub(crate) mod tests;
mod torch;
mod trained;
mod vocabulary;
mod wrappers;

pub use ends::EndTokens;
pub use error::CheckpointError;
pub use layout::{DetectedLayout, Layout};
pub use name_map::Orientation;
pub use template::{NOT_FOUND, Template, template};

use crate::ground::files::read;
use crate::ground::kept::Kept;
use crate::ground::shown;
use architecture::Architecture;
use archive::Archive;
use bind::Bindings;
use emberlm_core::blob::{LayerSlot, Slot};
use emberlm_core::config::{Config, TokenId};
use fold::{Folding, Rows};
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
    architecture: Architecture,
    folding: Folding,
    layout: DetectedLayout,
    bindings: Bindings,
    bos: Option<TokenId>,
    /// The tokens that end a text wherever the file is of a format that has its own.
    format_ends: Option<[TokenId; 2]>,
    /// The tokens that the model is read over, where that is not all of them.
    kept: Option<Kept>,
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

/// The tensors at `path`, the folder that they lie in, and their configuration.
fn files(path: &Path, options: &Options) -> Result<(Archive, PathBuf, Option<ConfigFile>), CheckpointError> {
    if let Some(path) = llama2c::find(path)? {
        if options.config.is_some() {
            let why = "its header says its configuration, and a config.json has no say".to_owned();
            return Err(CheckpointError::Llama2c { path, why });
        }
        let (archive, config) = llama2c::open(&path)?;
        return Ok((archive, path.parent().map(Path::to_owned).unwrap_or_default(), Some(config)));
    }
    let (mut archive, folder) = Archive::open(path)?;
    let beside = || Some(folder.join("config.json")).filter(|path| read::is_there(path));
    let file = match (&options.config, archive.take_config()) {
        (Some(named), _) => Some(ConfigFile::read(named)?),
        (None, Some(within)) => Some(within),
        (None, None) => beside().map(|path| ConfigFile::read(&path)).transpose()?,
    };
    Ok((archive, folder, file))
}

impl Checkpoint {
    /// Opens a `.safetensors` file, a file that `torch.save` wrote, an index of shards of either
    /// (`model.safetensors.index.json`), or a folder that holds one of these; or a file of llama2.c, which needs no
    /// `config.json`, or a folder that holds one and no safetensors.
    ///
    /// Reads every weight once, to refuse those that are not finite.
    ///
    /// # Errors
    /// Whatever cannot be read, or cannot be represented exactly in meaning.
    pub fn open(path: &Path, options: &Options) -> Result<Self, CheckpointError> {
        let (mut archive, folder, file) = files(path, options)?;
        // A family that is not read has names of its own too, and no map would make it another.
        file.as_ref().map_or(Ok(None), ConfigFile::family)?;
        let mut notes = Vec::new();
        if let Some(wrappers) = archive.wrappers() {
            notes.push(format!("names are read without what training wrapped around modules: {wrappers}"));
        }
        let (layout, names) = layout::detect(&archive, options.layout.as_ref())?;
        bind::find_aliases(&mut archive, &names);
        if let Some(head) = bind::find_embedding(&mut archive, &names, file.as_ref())? {
            notes.push(format!("the token embedding is stored as {} alone, which is tied to it", shown::value(&head)));
        }
        let (mut architecture, folding) =
            derive::architecture(&archive, &names, &layout, file.as_ref(), options.n_head, &mut notes)?;
        let bound = bind::bind(&archive, &names, &architecture);
        let mut bindings = bound.map_err(|error| layout::explain(error, &archive, &layout.layout, &[&names]))?;
        architecture.tied = bind::settle_head(&archive, &names, &layout.layout, file.as_ref(), &mut bindings)?;
        let format_ends = llama2c::find(path)?.map(|_| trained::ENDS).or(archive.ends());
        let bos = file.and_then(|file| file.bos()).filter(|&bos| bos < architecture.n_vocab);
        let kept = None;
        let checkpoint =
            Self { archive, folder, architecture, folding, layout, bindings, bos, format_ends, kept, notes };
        checkpoint.check_folded()?;
        Ok(checkpoint)
    }

    /// Refuses weights that are not finite any more once something is folded into them.
    fn check_folded(&self) -> Result<(), CheckpointError> {
        use LayerSlot::{AttnQkvBias, AttnQkvWeight, QNormWeight};
        let grows = |layer: u32| self.folding.query_scale(layer, self.architecture.head_dim).is_some_and(|x| x > 1.0);
        let is_folded = |slot: &Slot| match *slot {
            Slot::Layer(layer, AttnQkvWeight | AttnQkvBias) if !self.folding.head_norms => grows(layer),
            Slot::Layer(layer, QNormWeight) if grows(layer) => true,
            slot => self.folding.norm_offset != 0.0 && architecture::is_norm_weight(slot),
        };
        for slot in self.architecture.slots().filter(is_folded) {
            let Some(StoredMatrix { data, .. }) = self.stored(slot) else { continue };
            if let Some(index) = data.iter().position(|weight| !weight.is_finite()) {
                let tensor =
                    self.bindings[slot.index()].as_ref().map_or_else(String::new, |place| place.names[0].clone());
                return Err(CheckpointError::NotFinite { tensor, index, value: data[index] });
            }
        }
        Ok(())
    }

    /// The same model over these of its tokens alone, whose ids become their places among them: what it then gives is the
    /// softmax of the whole, renormalised over what is left. A token that it names and that is left out, it names no more.
    ///
    /// # Panics
    /// They are not of this vocabulary.
    #[must_use]
    pub fn keep_tokens(mut self, kept: Kept) -> Self {
        assert_eq!(kept.of(), self.architecture.n_vocab, "the tokens are of this vocabulary");
        self.architecture.config.n_vocab = kept.count();
        self.bos = self.bos.and_then(|bos| kept.place(bos));
        self.kept = Some(kept);
        self
    }

    /// What the model computes.
    pub const fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The model's shape and choices in core's words.
    pub const fn config(&self) -> &Config {
        &self.architecture.config
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
        self.architecture.tied
    }

    /// The token that texts begin with, where the config names one that the model has.
    pub const fn bos(&self) -> Option<TokenId> {
        self.bos
    }

    /// The tokens that end a text: as `generation_config.json` beside it says, else its configuration.
    ///
    /// # Errors
    /// A file cannot be read, or says what is no token.
    pub fn ends(&self, config: Option<&Path>) -> Result<EndTokens, CheckpointError> {
        let n_vocab = self.kept.as_ref().map_or(self.architecture.n_vocab, Kept::of);
        let mut ends = match self.format_ends {
            Some(ids) => EndTokens { ids: ids.to_vec(), notes: Vec::new() },
            None => EndTokens::read(&self.folder, config, n_vocab)?,
        };
        if let Some(kept) = &self.kept {
            ends.ids = ends.ids.into_iter().filter_map(|id| kept.place(id)).collect();
        }
        Ok(ends)
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
        let (rows, cols) = self.architecture.shape(slot);
        let transposed = slot.is_matrix() && orientation == Orientation::InOut;
        let data = if transposed { Cow::Owned(tensor::transpose(&data, rows, cols)) } else { data };
        Some(Tensor { rows, cols, data })
    }

    /// A slot's elements, what is stored apart fused, oriented as in the file where it is not, and with what is folded into
    /// the weights.
    pub(crate) fn stored(&self, slot: Slot) -> Option<StoredMatrix<'_>> {
        let place = self.bindings.get(slot.index())?.as_ref()?;
        let decode = |name: &String| {
            let raw = self.archive.get(name).expect("bound tensors exist");
            tensor::decode(name, raw).expect("bound tensors have known types")
        };
        let mut stored = match place.names.as_slice() {
            [name] => StoredMatrix { orientation: place.orientation, data: decode(name) },
            names => {
                let (rows, cols) = self.architecture.shape(slot);
                let mut fused = Vec::with_capacity(rows * cols);
                for (name, part) in names.iter().zip(self.architecture.parts(slot)) {
                    let data = decode(name);
                    if slot.is_matrix() && place.orientation == Orientation::InOut {
                        fused.extend(tensor::transpose(&data, part, cols));
                    } else {
                        fused.extend_from_slice(&data);
                    }
                }
                StoredMatrix { orientation: Orientation::OutIn, data: Cow::Owned(fused) }
            }
        };
        if let Some(kept) = &self.kept {
            let n_embd = self.architecture.n_embd as usize;
            if let Some(rows) = vocabulary::rows(kept, slot, &stored.data, stored.orientation, n_embd) {
                stored = StoredMatrix { orientation: Orientation::OutIn, data: Cow::Owned(rows) };
            }
        }
        match slot {
            Slot::Layer(layer, LayerSlot::AttnQkvWeight | LayerSlot::AttnQkvBias) => {
                self.fold(layer, slot, &mut stored);
            }
            Slot::Wpe => self.drop_first_positions(&mut stored),
            slot if architecture::is_norm_weight(slot) => self.fold_norm(slot, &mut stored),
            _ => {}
        }
        if self.architecture.is_gated(slot) {
            let (rows, cols) = self.architecture.shape(slot);
            let cols = if slot.is_matrix() { cols } else { 1 };
            if stored.orientation == Orientation::InOut && slot.is_matrix() {
                stored.data = Cow::Owned(tensor::transpose(&stored.data, rows, cols));
            }
            let data = Cow::Owned(architecture::in_runs(&stored.data, cols));
            stored = StoredMatrix { orientation: Orientation::OutIn, data };
        }
        Some(stored)
    }

    /// Folds what is no choice of the architecture into a layer's queries and keys.
    fn fold(&self, layer: u32, slot: Slot, stored: &mut StoredMatrix<'_>) {
        let [query, key, value] = self.architecture.qkv_rows();
        let n_out = query + key + value;
        let head_dim = self.architecture.head_dim as usize;
        if self.folding.moves_rows() {
            let cols = if slot.is_matrix() { self.architecture.n_embd as usize } else { 1 };
            if stored.orientation == Orientation::InOut && slot.is_matrix() {
                let data = Cow::Owned(tensor::transpose(&stored.data, n_out, cols));
                *stored = StoredMatrix { orientation: Orientation::OutIn, data };
            }
            let rows = Rows { head_dim, cols };
            if self.folding.stacks_rows() {
                stored.data = Cow::Owned(Folding::stack_rows(&stored.data, rows));
            }
            if self.folding.pairs_rows() {
                self.folding.move_rows(&mut stored.data.to_mut()[..(query + key) * cols], rows);
            }
        }
        if self.folding.head_norms {
            return;
        }
        if let Some(scale) = self.folding.query_scale(layer, self.architecture.head_dim) {
            let orientation = if slot.is_matrix() { stored.orientation } else { Orientation::OutIn };
            fold::scale_first(stored.data.to_mut(), orientation, query, n_out, scale);
        }
    }

    /// Takes the rows of positions from the first one's on.
    fn drop_first_positions(&self, stored: &mut StoredMatrix<'_>) {
        let first = self.folding.position_offset;
        if first == 0 {
            return;
        }
        let (rows, cols) = self.architecture.shape(Slot::Wpe);
        if stored.orientation == Orientation::InOut {
            stored.data = Cow::Owned(tensor::transpose(&stored.data, rows + first, cols));
            stored.orientation = Orientation::OutIn;
        }
        match &mut stored.data {
            Cow::Borrowed(data) => *data = &data[first * cols..],
            Cow::Owned(data) => drop(data.drain(..first * cols)),
        }
    }

    /// Adds what a family adds to a norm's weights, and multiplies those of queries by what their scores are.
    fn fold_norm(&self, slot: Slot, stored: &mut StoredMatrix<'_>) {
        let scale = match slot {
            Slot::Layer(layer, LayerSlot::QNormWeight) => {
                self.folding.query_scale(layer, self.architecture.head_dim).unwrap_or(1.0)
            }
            _ => 1.0,
        };
        let offset = self.folding.norm_offset;
        if offset != 0.0 || scale != 1.0 {
            let folded = |x: &mut f32| *x = ((f64::from(*x) + offset) * scale) as f32;
            stored.data.to_mut().iter_mut().for_each(folded);
        }
    }
}
