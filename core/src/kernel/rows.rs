//! Rows of weights as a kernel meets them, and the integers of one group taken out of their planes.

use crate::config::MAX_WIDTH;
use crate::format::{Format, Packing, plane_bytes};
use crate::part::{self, missing, part, split};

/// Consecutive rows of a matrix.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    format: Format,
    bytes: &'a [u8],
    n_in: usize,
    stride: usize,
    n: usize,
}

impl<'a> Rows<'a> {
    /// `bytes` are whole rows of `n_in` weights, as the format lays them out, at an address that is a multiple of 4; `None`
    /// where they are not, the format is left out of this build, or rows have no weights or more than [`MAX_WIDTH`].
    #[inline(always)]
    pub fn new(format: Format, bytes: &'a [u8], n_in: usize) -> Option<Self> {
        if !format.is_built() || n_in == 0 || n_in > MAX_WIDTH as usize {
            return None;
        }
        let stride = format.row_stride(n_in);
        let n = bytes.len().checked_div(stride)?;
        let whole = n * stride == bytes.len() && bytes.as_ptr().addr().is_multiple_of(4);
        whole.then_some(Self { format, bytes, n_in, stride, n })
    }

    /// How each row is stored.
    #[inline(always)]
    pub const fn format(self) -> Format {
        self.format
    }

    /// `[rows][stride]`.
    #[inline(always)]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Weights of a row.
    #[inline(always)]
    pub const fn n_in(self) -> usize {
        self.n_in
    }

    /// Bytes of a row.
    #[inline(always)]
    pub const fn stride(self) -> usize {
        self.stride
    }

    /// Rows.
    #[inline(always)]
    pub const fn n(self) -> usize {
        self.n
    }

    /// The rows' bytes, one row after another.
    #[inline(always)]
    pub fn iter(self) -> core::slice::ChunksExact<'a, u8> {
        part::rows(self.bytes, self.stride)
    }
}

/// One row of integers under scales.
#[derive(Clone, Copy, Debug)]
pub struct PackedRow<'a> {
    /// The groups' integers, group after group.
    pub integers: &'a [u8],
    /// One byte a group, see [`Packing::scale`].
    pub group_scales: &'a [u8],
    /// The scale of the row.
    pub row_scale: f32,
}

impl<'a> PackedRow<'a> {
    /// Takes the bytes of one row apart; `row` has the stride of `n_in` weights.
    #[inline(always)]
    pub fn new(row: &'a [u8], packing: Packing, n_in: usize) -> Self {
        let (integers, rest) = split(row, packing.row_bytes(n_in));
        let (group_scales, _) = split(rest, packing.n_groups(n_in));
        Self { integers, group_scales, row_scale: row_scale(row) }
    }

    /// Each group's integers and scale.
    #[inline(always)]
    pub fn groups(self, packing: Packing) -> impl Iterator<Item = (&'a [u8], i32)> {
        let scales = self.group_scales.iter().map(move |&byte| packing.scale(byte));
        self.integers.chunks(packing.group_bytes(packing.group).max(1)).zip(scales)
    }
}

/// The bf16 row scale in the last two bytes of a row of integers, or of its end.
#[inline(always)]
pub fn row_scale(row_end: &[u8]) -> f32 {
    match row_end.last_chunk() {
        Some(&bytes) => f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16),
        None => f32::NAN,
    }
}

/// Integers of a group of up to 32 weights, as signed bytes.
pub type Unpacked = [u8; 32];

/// The signed bytes of a group of `m` weights: `bytes` themselves, or unpacked into `buffer`.
#[inline(always)]
pub fn signed_bytes<'a>(packing: Packing, bytes: &'a [u8], m: usize, buffer: &'a mut Unpacked) -> &'a [u8] {
    if packing.is_bytes() {
        return bytes;
    }
    if m == buffer.len() {
        unpack_full(buffer, packing, bytes)
    } else {
        unpack_ragged(buffer, packing, bytes, m)
    }
    part(buffer, ..m)
}

/// A full group.
#[inline]
fn unpack_full(out: &mut Unpacked, packing: Packing, bytes: &[u8]) {
    match packing.planes {
        _ if !packing.has_two_planes() => unpack_planes::<4, 0>(out, bytes),
        (4, 2) => unpack_planes::<4, 2>(out, bytes),
        (4, _) => unpack_planes::<4, 1>(out, bytes),
        _ => unpack_planes::<2, 1>(out, bytes),
    }
}

/// A full group, four weights at a time: neighbouring weights lie in neighbouring bytes of a plane.
#[inline(always)]
fn unpack_planes<const LOW: usize, const HIGH: usize>(out: &mut Unpacked, bytes: &[u8]) {
    let (low, high) = bytes.split_at(bytes.len().min(4 * LOW));
    let (Some(low), Some(high)) = (words::<LOW>(low), words::<HIGH>(high)) else { return missing() };
    for (i, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let u = fields(&low, i) | fields(&high, i) << LOW;
        // Each byte `u` becomes `u - offset`: the top bit keeps borrows inside its byte.
        let offset = 0x0101_0101 << (LOW + HIGH - 1);
        *out = (((u | 0x8080_8080) - offset) ^ 0x8080_8080).to_le_bytes();
    }
}

/// The plane's words.
#[inline(always)]
pub(super) fn words<const N: usize>(bytes: &[u8]) -> Option<[u32; N]> {
    let words: &[[u8; 4]; N] = bytes.as_chunks().0.first_chunk()?;
    Some(words.map(u32::from_le_bytes))
}

/// Weights `4 i` to `4 i + 3` out of a plane of `N` bits, one a byte.
#[inline(always)]
pub(super) fn fields<const N: usize>(plane: &[u32; N], i: usize) -> u32 {
    let mask = 0x0101_0101 * ((1 << N) - 1);
    if N == 0 { 0 } else { plane[i % N] >> (N * (i / N)) & mask }
}

/// A row's last group, of `m` weights.
#[cold]
#[inline(never)]
fn unpack_ragged(out: &mut Unpacked, packing: Packing, bytes: &[u8], m: usize) {
    let (low, high) = packing.planes;
    let (low_bytes, high_bytes) = bytes.split_at(bytes.len().min(plane_bytes(low, m)));
    for (i, out) in out.iter_mut().take(m).enumerate() {
        let u = field(low_bytes, low, i) | field(high_bytes, high, i) << low;
        *out = u.wrapping_sub(1 << (packing.bits - 1));
    }
}

/// Weight `i`'s bits in a plane.
fn field(plane: &[u8], bits: u32, i: usize) -> u8 {
    let Some(place) = i.checked_div(plane.len()) else { return 0 };
    plane[i % plane.len()] >> (bits as usize * place) & ((1 << bits) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_unpacking_agree() {
        let bytes: [u8; 24] = core::array::from_fn(|i| (i * 89 + 41) as u8);
        for packing in [Format::Q6, Format::Q5, Format::Q4, Format::Q3].map(|format| format.packing().unwrap()) {
            let bytes = &bytes[..packing.group_bytes(32)];
            let (mut fast, mut slow) = ([0; 32], [0; 32]);
            unpack_full(&mut fast, packing, bytes);
            unpack_ragged(&mut slow, packing, bytes, 32);
            assert_eq!(fast, slow, "{packing:?}");
            let (least, most) = packing.range();
            assert!(fast.iter().all(|&q| (least..=most).contains(&i32::from(q as i8))));
        }
    }

    #[test]
    fn a_ragged_group_reads_the_planes_that_it_has() {
        // Five weights of 5 bits: three bytes of low nibbles (weights 0 3 | 1 4 | 2), one of high bits.
        let packing = Format::Q5.packing().unwrap();
        let bytes = [0x91, 0xA2, 0x03, 0b0001_0110];
        let mut buffer = [0; 32];
        let signed = signed_bytes(packing, &bytes, 5, &mut buffer);
        assert_eq!(signed.iter().map(|&q| q as i8).collect::<std::vec::Vec<_>>(), [1 - 16, 2, 3, 9 - 16, 10]);
    }
}
