//! A row's ragged end: the columns behind its full groups, four at a time.

use super::instructions::{smlad, sxtb16, sxtb16_rotated};

/// The dot products of `R` rows and `P` positions: `fours` times four signed bytes from each of `rows` on, in the order of
/// the blob, and for each four as many activations of every position, as [`layout`](super::layout) puts them.
///
/// # Safety
/// They are there.
#[inline(always)]
pub unsafe fn dots<const R: usize, const P: usize>(
    rows: [*const u8; R],
    x: *const [[u32; 2]; P],
    fours: usize,
) -> [[i32; P]; R] {
    let mut dots = [[0; P]; R];
    for four in 0..fours {
        // SAFETY: the caller's.
        let x = unsafe { x.add(four).read() };
        for (dots, row) in dots.iter_mut().zip(rows) {
            // SAFETY: the caller's.
            let weights = u32::from_le(unsafe { row.cast::<u32>().add(four).read_unaligned() });
            let (even, odd) = (sxtb16(weights), sxtb16_rotated(weights));
            for (dot, [low, high]) in dots.iter_mut().zip(x) {
                *dot = smlad(odd, high, smlad(even, low, *dot));
            }
        }
    }
    dots
}
