//! One position's activations, 32 or 64 columns at a time.

use crate::kernel::{I8Position, I16Position, Position};
use crate::part::part;

/// An activation.
pub trait Integer: Copy + Into<i32> {
    /// Whether 32 of them have a scale other than 1.
    const HAS_SCALES: bool;
}

impl Integer for i16 {
    const HAS_SCALES: bool = false;
}

impl Integer for i8 {
    const HAS_SCALES: bool = true;
}

/// The activations under `N` weights.
#[derive(Clone, Copy)]
pub struct Columns<'a, I, const N: usize> {
    pub integers: &'a [I; N],
    /// The integer scale of the first 32.
    pub scale: i32,
}

/// One position's activations.
pub trait Tiled: Position {
    /// What they are.
    type Integer: Integer;

    /// Whether there are `n_in` of them, with all that belongs to them.
    fn covers(self, n_in: usize) -> bool;

    /// Those from `N i` on.
    ///
    /// # Safety
    /// [`Tiled::covers`] is true of `N (i + 1)`, and `N` is a multiple of 32.
    unsafe fn columns<const N: usize>(&self, i: usize) -> Columns<'_, Self::Integer, N>;

    /// Their sum, the kernel having arranged them for nibbles. `n_in` is the row's length.
    fn sum(&self, i: usize, n_in: usize) -> i32;
}

impl Tiled for I16Position<'_> {
    type Integer = i16;

    #[inline(always)]
    fn covers(self, n_in: usize) -> bool {
        self.words.len() >= n_in.div_ceil(2)
    }

    #[inline(always)]
    unsafe fn columns<const N: usize>(&self, i: usize) -> Columns<'_, i16, N> {
        // SAFETY: the words are there, they hold `N` halves, and are aligned as halves are.
        Columns { integers: unsafe { &*self.words.as_ptr().add(N / 2 * i).cast() }, scale: 1 }
    }

    #[inline(always)]
    fn sum(&self, i: usize, n_in: usize) -> i32 {
        self.words.get(n_in.div_ceil(4) * 2 + i).map_or(0, |&sum| sum as i32)
    }
}

impl Tiled for I8Position<'_> {
    type Integer = i8;

    #[inline(always)]
    fn covers(self, n_in: usize) -> bool {
        self.words.len() >= n_in.div_ceil(4) && self.scales.len() >= n_in.div_ceil(32)
    }

    #[inline(always)]
    unsafe fn columns<const N: usize>(&self, i: usize) -> Columns<'_, i8, N> {
        // SAFETY: the words are there, which hold `N` bytes, and so is the scale.
        unsafe {
            Columns {
                integers: &*self.words.as_ptr().add(N / 4 * i).cast(),
                scale: *self.scales.get_unchecked(N / 32 * i) as i32,
            }
        }
    }

    #[inline(always)]
    fn sum(&self, i: usize, _n_in: usize) -> i32 {
        let words = part(self.words, 8 * i..8 * (i + 1));
        words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| i32::from(byte as i8)).sum()
    }
}
