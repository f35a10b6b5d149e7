//! What is in a checkpoint.

use emberlm_core::blob::Slot;
use serde::Serialize;

use super::architecture::ArchitectureContents;
use crate::checkpoint::Checkpoint;

/// A checkpoint's architecture, and its tensors in canonical form.
#[derive(Clone, Debug, Serialize)]
pub struct CheckpointContents {
    /// Its path.
    pub checkpoint: String,
    /// The layout that it is in.
    pub layout: String,
    /// What the model computes.
    pub architecture: ArchitectureContents,
    /// Weights in all tensors.
    pub parameters: u64,
    /// The tensors that there are.
    pub tensors: Vec<CanonicalTensor>,
}

/// A tensor in canonical form.
#[derive(Clone, Debug, Serialize)]
pub struct CanonicalTensor {
    /// Its name.
    pub name: String,
    /// Rows; 1 for a vector.
    pub rows: usize,
    /// Elements a row.
    pub cols: usize,
}

/// Everything of a checkpoint, which is called `name`.
pub fn checkpoint(name: String, of: &Checkpoint) -> CheckpointContents {
    let architecture = of.architecture();
    let tensor = |slot: Slot| {
        let (rows, cols) = architecture.shape(slot);
        CanonicalTensor { name: slot.to_string(), rows, cols }
    };
    let tensors: Vec<_> = architecture.slots().filter(|&slot| of.has(slot)).map(tensor).collect();
    CheckpointContents {
        checkpoint: name,
        layout: of.layout().layout.to_string(),
        architecture: ArchitectureContents::new(&architecture.config, architecture.tied),
        parameters: tensors.iter().map(|tensor| tensor.rows as u64 * tensor.cols as u64).sum(),
        tensors,
    }
}
