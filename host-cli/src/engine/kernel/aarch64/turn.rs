//! Weights turned so that a vector has a pair of each of its rows.

use emberlm_core::format::Packing;
use emberlm_core::kernel::signed_bytes;

/// Every 64-bit Arm has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unit;

/// Rows that are turned together.
pub const EIGHT: usize = 8;

/// The largest group.
pub const MOST: usize = 64;

/// Puts sixteen weights from `first` on of each of eight rows as eight pairs of each, `[pair][row]`, pairs `stride` words
/// apart.
#[target_feature(enable = "neon")]
#[inline]
pub fn turn(rows: [&[u8; MOST]; EIGHT], first: usize, out: &mut [u32], stride: usize) {
    for (i, out) in out.chunks_mut(stride).take(EIGHT).enumerate() {
        for (out, row) in out.iter_mut().zip(rows) {
            let pair = [row[first + 2 * i], row[first + 2 * i + 1]].map(|byte| i32::from(byte as i8) as u32 & 0xFFFF);
            *out = pair[0] | pair[1] << 16;
        }
    }
}

/// A group's signed bytes.
#[target_feature(enable = "neon")]
#[inline]
pub fn unpack(integers: &mut [u8; MOST], packing: Packing, bytes: &[u8], m: usize) {
    let mut buffer = [0; 32];
    integers[..m].copy_from_slice(signed_bytes(packing, bytes, m, &mut buffer));
}
