//! Integers of two planes as signed bytes, read a word at a time.

use crate::format::Packing;
use crate::kernel::rows::fields;
use crate::kernel::signed_bytes;
use crate::part::missing;

/// The signed bytes of a full group of 32, in order of memory. `bytes` are at a multiple of 4, or take longer.
#[inline(never)]
pub fn unpack(out: &mut [u32; 8], packing: Packing, bytes: &[u8]) {
    // SAFETY: any four bytes are a word.
    let (before, words, _) = unsafe { bytes.align_to::<u32>() };
    if !before.is_empty() {
        return unpack_bytes(out, packing, bytes);
    }
    match packing.planes {
        (4, 2) => planes::<4, 2>(out, words),
        (4, _) => planes::<4, 1>(out, words),
        _ => planes::<2, 1>(out, words),
    }
}

#[inline(always)]
fn planes<const LOW: usize, const HIGH: usize>(out: &mut [u32; 8], words: &[u32]) {
    let Some((low, words)) = words.split_first_chunk::<LOW>() else { return missing() };
    let Some(high) = words.first_chunk::<HIGH>() else { return missing() };
    let (low, high) = (low.map(u32::from_le), high.map(u32::from_le));
    for (i, out) in out.iter_mut().enumerate() {
        let u = fields(&low, i) | fields(&high, i) << LOW;
        // Each byte `u` becomes `u - offset`: the top bit keeps borrows inside its byte.
        let offset = 0x0101_0101 << (LOW + HIGH - 1);
        *out = (((u | 0x8080_8080) - offset) ^ 0x8080_8080).to_le();
    }
}

#[cold]
#[inline(never)]
fn unpack_bytes(out: &mut [u32; 8], packing: Packing, bytes: &[u8]) {
    let mut buffer = [0; 32];
    signed_bytes(packing, bytes, 32, &mut buffer);
    for (out, &word) in out.iter_mut().zip(buffer.as_chunks().0) {
        *out = u32::from_ne_bytes(word);
    }
}
