//! What stored rows stand for: a blob's bytes back to weights.

use emberlm_core::blob::Slot;
use emberlm_core::format::{Format, Packing};
use emberlm_core::kernel::{PackedRow, signed_bytes};
use half::f16;

use super::change::Change;
use super::pack::RoundingError;
use crate::checkpoint::Checkpoint;
use crate::engine::{Blob, BlobError, BlobFault};

/// A tensor of a blob beside the checkpoint's.
#[derive(Clone, Copy, Debug)]
pub struct TensorError {
    /// Which.
    pub slot: Slot,
    /// What became of it.
    pub change: Change,
    /// By how much its numbers differ.
    pub error: RoundingError,
}

/// Each tensor that `blob` has beside that of `checkpoint`, in the order of the table.
///
/// # Errors
/// None, for an open blob of the checkpoint's shape.
pub fn compare_tensors(checkpoint: &Checkpoint, blob: &Blob) -> Result<Vec<TensorError>, BlobError> {
    let mut errors = Vec::new();
    for slot in Slot::all(checkpoint.config()) {
        let Some(((format, stored), tensor)) = unpack(blob, slot)?.zip(checkpoint.tensor(slot)) else { continue };
        let mut error = RoundingError::default();
        tensor.data.iter().zip(&stored).for_each(|(&weight, &stored)| error.push(weight, stored.into()));
        errors.push(TensorError { slot, change: Change::of(format, &tensor.data, stored.into_iter()), error });
    }
    Ok(errors)
}

/// The weights that a tensor of `blob` stands for, row after row, and how they are stored; `None` for one that it lacks.
///
/// # Errors
/// None, for an open blob.
pub fn unpack(blob: &Blob, slot: Slot) -> Result<Option<(Format, Vec<f32>)>, BlobError> {
    let tensor = blob.model()?.tensor(slot).map_err(|error| blob.fault(BlobFault::Open(error.into())))?;
    let Some(tensor) = tensor else { return Ok(None) };
    let bytes = &blob.file.bytes()[tensor.offset..][..tensor.rows * tensor.stride];
    let row = |row: &[u8]| -> Vec<f32> {
        match tensor.format.packing() {
            Some(packing) => decode_row(row, packing, tensor.cols).into_iter().map(|weight| weight as f32).collect(),
            None => decode_floats(row, tensor.format, tensor.cols),
        }
    };
    Ok(Some((tensor.format, bytes.chunks_exact(tensor.stride).flat_map(row).collect())))
}

/// The first `n` of the floats in `bytes`.
pub(super) fn decode_floats(bytes: &[u8], format: Format, n: usize) -> Vec<f32> {
    if format == Format::F16 {
        return bytes.chunks_exact(2).take(n).map(|x| f16::from_le_bytes([x[0], x[1]]).to_f32()).collect();
    }
    bytes.chunks_exact(4).take(n).map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]])).collect()
}

/// The `n_in` weights of a row of integers.
pub(super) fn decode_row(row: &[u8], packing: Packing, n_in: usize) -> Vec<f64> {
    let view = PackedRow::new(row, packing, n_in);
    let mut weights = Vec::with_capacity(n_in);
    for (bytes, scale) in view.groups(packing) {
        let mut buffer = [0; 32];
        let step = f64::from(view.row_scale) * f64::from(scale);
        let width = packing.group.min(n_in - weights.len());
        weights.extend(signed_bytes(packing, bytes, width, &mut buffer).iter().map(|&q| step * f64::from(q as i8)));
    }
    weights
}
