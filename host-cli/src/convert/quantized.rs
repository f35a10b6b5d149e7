//! A checkpoint whose matrices have been rounded, in memory.

use std::borrow::Cow;
use std::sync::Arc;

use emberlm_core::blob::Slot;
use emberlm_core::config::Config;
use emberlm_core::format::{Format, Packing};
use rayon::prelude::*;

use super::change::Change;
use super::formats::Formats;
use super::pack::{RoundingError, append_floats, append_integers, stored_float};
use super::round::{SHARE, in_shares};
use super::row::RoundedRow;
use super::unpack::{decode_floats, decode_row};
use crate::checkpoint::{Checkpoint, Orientation, StoredMatrix};
use crate::ground::memory::MemoryError;

/// Why a model was not rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantizeError {
    /// Activations on the calibration text overflow.
    #[error("the inputs of {slot} are not finite on the calibration text; `--calibrate none` needs none")]
    NotFinite {
        /// The matrix that they meet.
        slot: Slot,
    },
    /// The text and what is learned from it need more memory than there is.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// The bytes of a tensor's rows, and what rounding did to its weights.
#[derive(Clone, Debug, Default)]
pub struct StoredTensor<'a> {
    /// Row after row, as the tensor's format lays them out.
    pub bytes: Cow<'a, [u8]>,
    /// Against the checkpoint's weights.
    pub error: RoundingError,
    /// What became of them.
    pub change: Change,
}

/// A checkpoint's tensors as a blob stores them.
#[derive(Debug)]
pub struct QuantizedModel<'c> {
    checkpoint: &'c Checkpoint,
    formats: Formats,
    changed: Quantized,
}

/// What differs from the checkpoint: matrices of integers, and biases that were fitted to them. By slot.
#[derive(Debug)]
pub(super) struct Quantized(Vec<Option<Arc<StoredTensor<'static>>>>);

/// Whether a blob of the checkpoint has the tensor: a tied head is stored once.
pub(super) fn is_stored(checkpoint: &Checkpoint, slot: Slot) -> bool {
    checkpoint.has(slot) && !(slot == Slot::LmHead && checkpoint.is_tied())
}

/// The matrices that a blob of the checkpoint has.
pub fn matrices(checkpoint: &Checkpoint) -> impl Iterator<Item = Slot> {
    Slot::all(checkpoint.config()).filter(|&slot| slot.is_matrix() && is_stored(checkpoint, slot))
}

/// Weights of those matrices.
pub fn n_weights(checkpoint: &Checkpoint) -> u64 {
    matrices(checkpoint).map(|slot| n_weights_of(slot, checkpoint.config())).sum()
}

/// Weights of one matrix.
pub fn n_weights_of(slot: Slot, config: &Config) -> u64 {
    let (rows, cols) = slot.shape(config);
    u64::from(rows) * u64::from(cols)
}

impl<'c> QuantizedModel<'c> {
    /// Of which `changed` is what was rounded.
    pub(super) const fn new(checkpoint: &'c Checkpoint, formats: Formats, changed: Quantized) -> Self {
        Self { checkpoint, formats, changed }
    }

    /// Of which no matrix is rounded yet.
    pub(super) fn unrounded(checkpoint: &'c Checkpoint, formats: Formats) -> Self {
        Self::new(checkpoint, formats, Quantized::none(checkpoint.config()))
    }

    /// Where the tensors are from.
    pub const fn checkpoint(&self) -> &'c Checkpoint {
        self.checkpoint
    }

    /// How a tensor is stored; `None` for one that the model lacks.
    pub fn format(&self, slot: Slot) -> Option<Format> {
        is_stored(self.checkpoint, slot).then(|| self.formats.get(slot))
    }

    /// The weights that a tensor stands for; `None` for one that the model lacks.
    pub(crate) fn stored(&self, slot: Slot) -> Option<StoredMatrix<'_>> {
        let format = self.format(slot)?;
        let (rows, cols) = slot.shape(self.checkpoint.config());
        let data: Vec<f32> = match (&self.changed.0[slot.index()], format.packing()) {
            (Some(stored), Some(packing)) => {
                let rows = stored.bytes.chunks_exact(format.row_stride(cols as usize));
                rows.flat_map(|row| decode_row(row, packing, cols as usize)).map(|weight| weight as f32).collect()
            }
            (Some(stored), None) => decode_floats(&stored.bytes, format, rows as usize * cols as usize),
            (None, _) => {
                let stored = self.checkpoint.stored(slot)?;
                if format == Format::F32 {
                    return Some(stored);
                }
                let data = stored.data.iter().map(|&weight| stored_float(weight, format)).collect();
                return Some(StoredMatrix { data: Cow::Owned(data), ..stored });
            }
        };
        Some(StoredMatrix { orientation: Orientation::OutIn, data: Cow::Owned(data) })
    }

    /// A tensor's bytes; those of floats are made anew by each call. Nothing for a tensor that the model lacks.
    pub fn tensor(&self, slot: Slot) -> StoredTensor<'_> {
        if let Some(tensor) = &self.changed.0[slot.index()] {
            let StoredTensor { ref bytes, error, change } = **tensor;
            return StoredTensor { bytes: Cow::Borrowed(bytes), error, change };
        }
        let mut stored = StoredTensor::default();
        let tensor = self.format(slot).and_then(|format| Some((format, self.checkpoint.tensor(slot)?)));
        if let Some((format, tensor)) = tensor {
            let mut bytes = Vec::with_capacity(tensor.rows * format.row_stride(tensor.cols));
            for row in tensor.data.chunks_exact(tensor.cols) {
                append_floats(&mut bytes, row, format, &mut stored.error);
            }
            stored.bytes = Cow::Owned(bytes);
            stored.change = rounded(&stored.error);
        }
        stored
    }
}

impl Quantized {
    /// Nothing yet, for a model of this shape.
    pub fn none(config: &Config) -> Self {
        Self(Slot::all(config).map(|_| None).collect())
    }

    /// A matrix whose weights go to the nearest integers; `None` for one that the checkpoint lacks, or of floats.
    pub fn nearest(checkpoint: &Checkpoint, slot: Slot, format: Format) -> Option<StoredTensor<'static>> {
        let (packing, tensor) = format.packing().zip(checkpoint.tensor(slot))?;
        let round = |row: &[f32]| {
            let row: Vec<f64> = row.iter().map(|weight| f64::from(*weight)).collect();
            RoundedRow::nearest(packing, &row)
        };
        let rows = in_shares(tensor.rows, |range| {
            tensor.data[range.start * tensor.cols..range.end * tensor.cols].chunks(tensor.cols).map(round).collect()
        });
        Some(stored_matrix(format, packing, &rows, &tensor.data))
    }

    /// Keeps a tensor.
    pub fn put(&mut self, slot: Slot, tensor: Arc<StoredTensor<'static>>) {
        self.0[slot.index()] = Some(tensor);
    }

    /// The weights that a matrix's row stands for.
    pub fn row(&self, checkpoint: &Checkpoint, formats: &Formats, slot: Slot, index: usize) -> Vec<f64> {
        let (_, n_in) = slot.shape(checkpoint.config());
        let (n_in, format) = (n_in as usize, formats.get(slot));
        match (&self.0[slot.index()], format.packing()) {
            (Some(stored), Some(packing)) => {
                let stride = format.row_stride(n_in);
                decode_row(&stored.bytes[index * stride..][..stride], packing, n_in)
            }
            _ => {
                let tensor = checkpoint.stored(slot).expect("a model has embeddings");
                let row = &tensor.data[index * n_in..][..n_in];
                row.iter().map(|&weight| f64::from(stored_float(weight, format))).collect()
            }
        }
    }
}

/// A matrix of integers that stands for `weights`.
pub(super) fn stored_matrix(
    format: Format,
    packing: Packing,
    rows: &[RoundedRow],
    weights: &[f32],
) -> StoredTensor<'static> {
    let n_in = weights.len() / rows.len();
    let share = |(rows, weights): (&[RoundedRow], &[f32])| {
        let (mut bytes, mut error) = (Vec::new(), RoundingError::default());
        for (row, weights) in rows.iter().zip(weights.chunks(n_in)) {
            append_integers(&mut bytes, &row.integers, &row.grid, format, packing);
            row.weights(packing.group).zip(weights).for_each(|(stored, &weight)| error.push(weight, stored.into()));
        }
        (bytes, error)
    };
    let shares = rows.par_chunks(SHARE).zip(weights.par_chunks(SHARE * n_in)).map(share).collect::<Vec<_>>();
    let (mut all, mut error) = (Vec::with_capacity(rows.len() * format.row_stride(n_in)), RoundingError::default());
    for (bytes, of_share) in shares {
        all.extend(bytes);
        error.merge(&of_share);
    }
    StoredTensor { bytes: all.into(), error, change: rounded(&error) }
}

/// Of a tensor of which every number went to the nearest that there is.
fn rounded(error: &RoundingError) -> Change {
    if error.max() == 0.0 { Change::Kept } else { Change::Rounded }
}

/// A vector of floats that stands for `weights`.
pub(super) fn stored_vector(format: Format, vector: &[f32], weights: &[f32]) -> StoredTensor<'static> {
    let (mut bytes, mut error) = (Vec::new(), RoundingError::default());
    append_floats(&mut bytes, vector, format, &mut RoundingError::default());
    let stored = || vector.iter().map(|&x| stored_float(x, format));
    stored().zip(weights).for_each(|(stored, &weight)| error.push(weight, stored.into()));
    StoredTensor { bytes: bytes.into(), error, change: Change::of(format, weights, stored()) }
}
