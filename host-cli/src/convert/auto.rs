//! Formats by budget: what each matrix costs in few bits is measured, and the bits go where that is most.

use emberlm_core::blob::Slot;
use emberlm_core::format::Format;

use super::blob_bytes;
use super::budget::{Budget, Candidate, least_bytes, share_out};
use super::calibrate::{Windows, pass};
use super::formats::Formats;
use super::quantized::{QuantizeError, is_stored};
use super::writer::align;
use crate::checkpoint::Checkpoint;

/// The format that each matrix is tried in.
const PROBE: Format = Format::Q4;

/// The formats to choose from.
const FORMATS: [Format; 5] = [Format::Q8, Format::Q6, Format::Q5, Format::Q4, Format::Q3];

/// Tokens of the calibration text that every matrix is tried on.
const MAX_TOKENS: usize = 2048;

/// The budget cannot be met.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("no formats meet a budget of {budget}: the smallest possible is {least}")]
pub struct BudgetTooSmall {
    /// What was asked for.
    pub budget: Budget,
    /// The least that would do, in the same unit.
    pub least: Budget,
}

/// What rounding one matrix costs, all others as they are, for every matrix.
#[derive(Clone, Debug)]
pub struct Sensitivities(Vec<(Slot, f64)>);

/// The matrices that a blob of the checkpoint has.
pub fn matrices(checkpoint: &Checkpoint) -> impl Iterator<Item = Slot> {
    Slot::all(checkpoint.config()).filter(|&slot| slot.is_matrix() && is_stored(checkpoint, slot))
}

impl Sensitivities {
    /// Rounds each matrix alone, by what passes through it on up to 2048 tokens of `windows`, and takes the divergence
    /// of the model that it makes, in nats. Tells `done` of each.
    ///
    /// # Errors
    /// The text's activations are not finite.
    pub fn measure(
        checkpoint: &Checkpoint,
        windows: &Windows,
        mut done: impl FnMut(Slot),
    ) -> Result<Self, QuantizeError> {
        let windows = windows.first(MAX_TOKENS);
        let measure = |slot: Slot| {
            let mut formats = Formats::uniform(checkpoint.config(), Format::F32);
            formats.set(slot, PROBE);
            let divergence = pass::divergence(checkpoint, &formats, &windows)?;
            done(slot);
            Ok((slot, divergence))
        };
        matrices(checkpoint).map(measure).collect::<Result<_, _>>().map(Self)
    }

    /// The formats that cost least within a budget. `tokenizer_bytes` are part of a blob's.
    ///
    /// A bit less doubles a format's step and makes the divergence fourfold; the matrices' divergences add up.
    ///
    /// # Errors
    /// Even the smallest formats exceed the budget.
    pub fn formats(
        &self,
        checkpoint: &Checkpoint,
        budget: Budget,
        tokenizer_bytes: usize,
    ) -> Result<Formats, BudgetTooSmall> {
        let config = checkpoint.config();
        let shape = |slot: Slot| {
            let (rows, cols) = slot.shape(config);
            (rows as usize, cols as usize)
        };
        let bytes_of = |slot: Slot, format: Format| {
            let (rows, cols) = shape(slot);
            let bytes = (rows * format.row_stride(cols)) as u64;
            if matches!(budget, Budget::Bytes(_)) { align(bytes) } else { bytes }
        };
        let choices = |&(slot, damage): &(Slot, f64)| {
            let candidate = |format: Format| {
                let bits = |format: Format| format.packing().map_or(32, |packing| packing.bits) as i32;
                let factor = 4f64.powi(bits(PROBE) - bits(format));
                Candidate { format, bytes: bytes_of(slot, format), damage: damage * factor }
            };
            FORMATS.map(candidate).to_vec()
        };
        let choices: Vec<Vec<Candidate>> = self.0.iter().map(choices).collect();
        let weights: usize = self.0.iter().map(|&(slot, _)| shape(slot).0 * shape(slot).1).sum();
        let rest = || {
            let matrices: u64 = self.0.iter().map(|&(slot, _)| bytes_of(slot, PROBE)).sum();
            blob_bytes(checkpoint, Formats::uniform(config, PROBE), tokenizer_bytes) - matrices
        };
        let least = least_bytes(&choices);
        let (bytes, least) = match budget {
            Budget::Bytes(bytes) => (bytes.checked_sub(rest()), Budget::Bytes(least + rest())),
            Budget::BitsPerWeight(bits) => {
                let in_bits = (800.0 * least as f64 / weights as f64).ceil() / 100.0;
                (Some((bits * weights as f64 / 8.0) as u64), Budget::BitsPerWeight(in_bits))
            }
        };
        let picks = bytes.and_then(|bytes| share_out(&choices, bytes)).ok_or(BudgetTooSmall { budget, least })?;
        let mut formats = Formats::uniform(config, Format::F32);
        self.0.iter().zip(picks).for_each(|(&(slot, _), pick)| formats.set(slot, pick.format));
        Ok(formats)
    }
}
