//! Sizes as the shapes of stored matrices give them.

use super::archive::Archive;
use super::error::CheckpointError;
use super::keys::Said;
use super::layout::Names;
use super::name_map::Orientation;
use emberlm_core::blob::Slot;

/// A size that a tensor's shape gives.
pub struct Seen {
    /// The tensor's name in the file.
    pub tensor: String,
    /// The size.
    pub value: u32,
}

/// The rows and columns of a matrix in canonical orientation; of one that is stored in parts, those of the first.
///
/// # Errors
/// It is missing, or no matrix.
pub fn matrix(archive: &Archive, names: &Names, slot: Slot) -> Result<[Seen; 2], CheckpointError> {
    part(archive, names, slot, 0)
}

/// The rows and columns of a part of a matrix.
///
/// # Errors
/// It is missing, or no matrix.
pub fn part(archive: &Archive, names: &Names, slot: Slot, index: usize) -> Result<[Seen; 2], CheckpointError> {
    let place = names.place(slot).expect("required tensors are mapped");
    let tensor = place.names.into_iter().nth(index).expect("a place has its parts");
    let Some(raw) = archive.get(&tensor) else {
        return Err(CheckpointError::Missing { tensor, hint: String::new() });
    };
    let &[outer, inner] = raw.shape else {
        return Err(CheckpointError::Shape { tensor, need: "two dimensions".to_owned(), have: raw.shape.to_vec() });
    };
    let (rows, cols) = if place.orientation == Orientation::InOut { (inner, outer) } else { (outer, inner) };
    let seen = |value: usize| Seen { tensor: tensor.clone(), value: value.try_into().unwrap_or(u32::MAX) };
    Ok([seen(rows), seen(cols)])
}

/// Holds what the file says of a size against a shape.
///
/// # Errors
/// They differ.
pub fn agree(said: Option<Said<u32>>, seen: &Seen) -> Result<(), CheckpointError> {
    match said {
        Some(Said { key, value }) if value != seen.value => Err(CheckpointError::Disagree {
            key,
            value: value.to_string(),
            tensor: seen.tensor.clone(),
            have: format!("says {}", seen.value),
        }),
        _ => Ok(()),
    }
}
