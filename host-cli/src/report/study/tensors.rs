//! A blob's tensors beside the checkpoint's.

use serde::Serialize;

use crate::convert::unpack::TensorError;
use crate::report::contents::TensorContents;

/// What became of one tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorChange {
    /// Its name.
    pub name: String,
    /// How its rows are stored.
    pub format: &'static str,
    /// Rows.
    pub rows: usize,
    /// Weights a row.
    pub cols: usize,
    /// Its length.
    pub bytes: u64,
    /// `kept` where every number is the checkpoint's, `rounded`, or `adjusted`: a vector that calibration moved, to make up
    /// for what rounded matrices lack.
    pub change: &'static str,
    /// Root mean square of the differences over that of the checkpoint's numbers.
    pub relative_error: f64,
    /// Root mean square of the differences.
    pub rms_error: f64,
    /// The largest difference.
    pub max_error: f64,
}

/// What became of each of the tensors that are stored and that the checkpoint has too.
pub(super) fn changes(stored: &[TensorContents], errors: &[TensorError]) -> Vec<TensorChange> {
    let change = |of: &TensorError| {
        let name = of.slot.to_string();
        let tensor = stored.iter().find(|tensor| tensor.name == name)?;
        Some(TensorChange {
            name,
            format: tensor.format,
            rows: tensor.rows,
            cols: tensor.cols,
            bytes: tensor.bytes,
            change: of.change.name(),
            relative_error: of.error.relative(),
            rms_error: of.error.rms(),
            max_error: of.error.max(),
        })
    };
    errors.iter().filter_map(change).collect()
}
