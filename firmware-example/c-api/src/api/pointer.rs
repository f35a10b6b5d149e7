//! What a C program's pointers are checked for.

use super::status::emberlm_status;
use super::status::emberlm_status::{EMBERLM_BAD_VALUE, EMBERLM_MISALIGNED, EMBERLM_NULL};

/// A place for an answer that is neither null nor misaligned.
pub(crate) fn place<T>(place: *mut T) -> Result<*mut T, emberlm_status> {
    match place {
        _ if place.is_null() => Err(EMBERLM_NULL),
        _ if !place.is_aligned() => Err(EMBERLM_MISALIGNED),
        _ => Ok(place),
    }
}

/// What a pointer points to.
///
/// # Safety
/// It is null, misaligned, or points to one.
pub(crate) unsafe fn read<T: Copy>(pointer: *const T) -> Result<T, emberlm_status> {
    match pointer {
        _ if pointer.is_null() => Err(EMBERLM_NULL),
        _ if !pointer.is_aligned() => Err(EMBERLM_MISALIGNED),
        // SAFETY: it is neither.
        _ => Ok(unsafe { pointer.read() }),
    }
}

/// The elements at `first`, none of null.
///
/// # Safety
/// `first` is null, misaligned, or the first of `n` that nobody changes meanwhile.
pub(crate) unsafe fn slice<'a, T>(first: *const T, n: usize) -> Result<&'a [T], emberlm_status> {
    checked(first, n)?;
    if n == 0 {
        return Ok(&[]);
    }
    // SAFETY: it is neither null nor misaligned, and the elements do not go round the memory.
    Ok(unsafe { core::slice::from_raw_parts(first, n) })
}

/// As [`slice`], to be written.
///
/// # Safety
/// `first` is null, misaligned, or the first of `n` that nobody else uses meanwhile.
pub(crate) unsafe fn slice_mut<'a, T>(first: *mut T, n: usize) -> Result<&'a mut [T], emberlm_status> {
    checked(first, n)?;
    if n == 0 {
        return Ok(&mut []);
    }
    // SAFETY: it is neither null nor misaligned, and the elements do not go round the memory.
    Ok(unsafe { core::slice::from_raw_parts_mut(first, n) })
}

fn checked<T>(first: *const T, n: usize) -> Result<(), emberlm_status> {
    match n.checked_mul(size_of::<T>()) {
        Some(0) => Ok(()),
        _ if first.is_null() => Err(EMBERLM_NULL),
        _ if !first.is_aligned() => Err(EMBERLM_MISALIGNED),
        Some(bytes) if bytes <= isize::MAX as usize => Ok(()),
        _ => Err(EMBERLM_BAD_VALUE),
    }
}
