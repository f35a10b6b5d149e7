//! What a budget leaves for the matrices whose formats it decides.

use emberlm_core::blob::Slot;
use emberlm_core::format::Format;

use super::blob_bytes;
use super::budget::Budget;
use super::formats::Settled;
use super::quantized::matrices;
use super::writer::align;
use crate::checkpoint::Checkpoint;

/// The formats to choose from, the most exact first.
pub const FORMATS: [Format; 5] = [Format::Q8, Format::Q6, Format::Q5, Format::Q4, Format::Q3];
const SMALLEST: Format = Format::Q3;

/// The budget cannot be met.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("no formats meet a budget of {budget}: the smallest possible is {least}")]
pub struct BudgetTooSmall {
    /// What was asked for.
    pub budget: Budget,
    /// The least that would do, in the same unit.
    pub least: Budget,
}

/// The matrices that a budget decides about, and their bytes.
#[derive(Debug)]
pub struct Room<'r> {
    checkpoint: &'r Checkpoint,
    settled: &'r Settled,
    budget: Budget,
    bytes: u64,
}

impl<'r> Room<'r> {
    /// The room of a blob with a tokeniser section of so many bytes, besides what is `settled`.
    ///
    /// # Errors
    /// Even the smallest formats exceed the budget.
    pub fn new(
        checkpoint: &'r Checkpoint,
        settled: &'r Settled,
        budget: Budget,
        tokenizer_bytes: usize,
    ) -> Result<Self, BudgetTooSmall> {
        let mut room = Self { checkpoint, settled, budget, bytes: 0 };
        let least = room.need(SMALLEST);
        let in_all = match budget {
            Budget::Bytes(_) => blob_bytes(checkpoint, settled.or(SMALLEST), tokenizer_bytes),
            Budget::BitsPerWeight(_) => room.bytes_of_matrices(SMALLEST),
        };
        let (spend, least_budget) = match budget {
            Budget::Bytes(bytes) => (bytes, Budget::Bytes(in_all)),
            Budget::BitsPerWeight(bits) => {
                let weights: f64 = matrices(checkpoint).map(|slot| room.weights(slot)).sum();
                let in_bits = (800.0 * in_all as f64 / weights).ceil() / 100.0;
                ((bits * weights / 8.0) as u64, Budget::BitsPerWeight(in_bits))
            }
        };
        let rest = in_all - least;
        let bytes = spend.checked_sub(rest).filter(|&bytes| bytes >= least);
        room.bytes = bytes.ok_or(BudgetTooSmall { budget, least: least_budget })?;
        Ok(room)
    }

    /// What is settled beside it.
    pub const fn settled(&self) -> &Settled {
        self.settled
    }

    /// Bytes for all matrices that are not settled.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the budget decides the matrix's format.
    pub fn is_free(&self, slot: Slot) -> bool {
        self.settled.get(slot).is_none()
    }

    /// What a matrix takes in a format: of a blob with its padding.
    pub fn bytes_of(&self, slot: Slot, format: Format) -> u64 {
        let (rows, cols) = slot.shape(self.checkpoint.config());
        let bytes = rows as u64 * format.row_stride(cols as usize) as u64;
        if matches!(self.budget, Budget::Bytes(_)) { align(bytes) } else { bytes }
    }

    /// Whether all matrices that are not settled may have this format.
    pub fn fits(&self, format: Format) -> bool {
        self.need(format) <= self.bytes
    }

    fn need(&self, format: Format) -> u64 {
        let free = matrices(self.checkpoint).filter(|&slot| self.is_free(slot));
        free.map(|slot| self.bytes_of(slot, format)).sum()
    }

    /// What all matrices take, those that are not settled in this format.
    fn bytes_of_matrices(&self, format: Format) -> u64 {
        let formats = self.settled.or(format);
        matrices(self.checkpoint).map(|slot| self.bytes_of(slot, formats.get(slot))).sum()
    }

    fn weights(&self, slot: Slot) -> f64 {
        let (rows, cols) = slot.shape(self.checkpoint.config());
        f64::from(rows) * f64::from(cols)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::tests::build::Draft;
    use crate::convert::formats::{Choice, Weights};

    fn settled(checkpoint: &Checkpoint, word: &str) -> Settled {
        let choice: Choice = word.parse().unwrap();
        choice.settled(checkpoint.config(), checkpoint.is_tied()).unwrap()
    }

    #[test]
    fn a_budget_in_bytes_is_that_of_the_whole_blob() {
        let checkpoint = Draft::hf().open().unwrap();
        for (word, tokenizer_bytes) in [("auto:1M", 0), ("auto:1M", 777), ("auto:1M+embeddings=f16+vectors=f16", 5)] {
            let settled = settled(&checkpoint, word);
            for format in FORMATS {
                let bytes = blob_bytes(&checkpoint, settled.or(format), tokenizer_bytes);
                let room = |bytes| Room::new(&checkpoint, &settled, Budget::Bytes(bytes), tokenizer_bytes);
                assert!(room(bytes).unwrap().fits(format), "{word} {}", format.name());
                match room(bytes - 1) {
                    Ok(room) => assert!(!room.fits(format) && format != SMALLEST),
                    Err(error) => assert_eq!(error.least, Budget::Bytes(bytes)),
                }
            }
        }
    }

    #[test]
    fn a_budget_in_bits_is_that_of_every_matrix() {
        let checkpoint = Draft::hf().open().unwrap();
        let settled = settled(&checkpoint, "auto:9bpw+embeddings=f32");
        let least = Room::new(&checkpoint, &settled, Budget::BitsPerWeight(1.0), 0).unwrap_err().least;
        let Budget::BitsPerWeight(bits) = least else { panic!("{least}") };
        assert!(bits > 3.0 && Room::new(&checkpoint, &settled, least, 0).unwrap().fits(SMALLEST));
        assert!(Room::new(&checkpoint, &settled, Budget::BitsPerWeight(bits - 0.02), 0).is_err());
        assert!(Room::new(&checkpoint, &settled, Budget::BitsPerWeight(1e300), 0).unwrap().fits(Format::Q8));
        assert!(matches!("auto:1K".parse::<Choice>().unwrap().weights, Weights::Auto(Budget::Bytes(1024))));
    }
}
