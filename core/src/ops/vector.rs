//! Elementwise operations on floats.

use super::fixed::{add, multiply};

/// What a weight does to the element in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Takes its place.
    Set,
    /// Is added to it.
    Add,
    /// Multiplies it.
    Scale,
}

/// Updates each element of `x` with the float in its place, of four bytes in the order of the blob.
pub fn update(x: &mut [f32], floats: &[[u8; 4]], update: Update) {
    match update {
        Update::Set => zip(x, floats, |x, weight| *x = weight),
        Update::Add => zip(x, floats, |x, weight| *x = add(*x, weight)),
        Update::Scale => zip(x, floats, |x, weight| *x = multiply(*x, weight)),
    }
}

#[inline(always)]
fn zip(x: &mut [f32], floats: &[[u8; 4]], with: impl Fn(&mut f32, f32)) {
    x.iter_mut().zip(floats).for_each(|(x, &float)| with(x, f32::from_le_bytes(float)));
}

/// The square root, rounded to nearest even; of a negative number or none, no number.
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    libm::sqrtf(x)
}

/// Multiplies all of `x`.
#[inline(always)]
pub fn scale(x: &mut [f32], by: f32) {
    x.iter_mut().for_each(|x| *x = multiply(*x, by));
}
