//! The rows that some of a model's tokens have in its embedding and head.

use emberlm_core::blob::Slot;

use super::name_map::Orientation;
use super::tensor;
use crate::ground::kept::Kept;

/// Of a slot that has a row for each token the rows of those that are kept, `[tokens, n_embd]` or of a bias `[tokens]`; none
/// for the others.
pub fn rows(kept: &Kept, slot: Slot, stored: &[f32], orientation: Orientation, n_embd: usize) -> Option<Vec<f32>> {
    match slot {
        Slot::LmHeadBias => Some(kept.of_list(stored)),
        Slot::Wte | Slot::LmHead if orientation == Orientation::InOut => {
            Some(kept.rows(&tensor::transpose(stored, kept.of() as usize, n_embd), n_embd))
        }
        Slot::Wte | Slot::LmHead => Some(kept.rows(stored, n_embd)),
        _ => None,
    }
}
