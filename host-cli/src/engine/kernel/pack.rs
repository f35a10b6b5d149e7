//! Rows of weights on their way into lanes.

use emberlm_core::format::Packing;
use emberlm_core::kernel::PackedRow;

use super::turn::{EIGHT, MOST, Unit, turn, unpack};

/// A tile's rows, widened to 16 bits.
///
/// Weights of few bits are multiplied by their group's scale beforehand ([`Packed::is_folded`]), so that only as many of them
/// as an i32 holds the sum of, and not every group, end a sum.
pub(super) struct Packed {
    packing: Packing,
    n_in: usize,
    /// Weights whose products make one sum: a group's, or those of several folded groups.
    span: usize,
    /// Rows in lanes.
    rows: usize,
    /// `[pairs][rows]`, two weights a word.
    weights: Vec<u32>,
    /// `[groups][rows]`
    scales: Vec<i32>,
    /// `[rows]`
    row_scales: Vec<f32>,
}

impl Packed {
    /// Room for so many rows of `n_in` weights.
    pub(super) fn new(packing: Packing, n_in: usize, rows: usize) -> Self {
        let n_groups = packing.n_groups(n_in);
        // A last group takes as much as a full one.
        let weights = vec![0; n_groups * packing.group / 2 * rows];
        let span = folded_span(packing, n_in).unwrap_or(packing.group);
        Self { packing, n_in, span, rows, weights, scales: vec![0; n_groups * rows], row_scales: vec![0.0; rows] }
    }

    /// Whether weights have met their group's scale.
    pub(super) const fn is_folded(&self) -> bool {
        folded_span(self.packing, self.n_in).is_some()
    }

    /// Lays out the rows, at most as many as there are lanes; the other lanes are zeros.
    #[allow(unsafe_code)]
    pub(super) fn fill(&mut self, _: &Unit, bytes: &[u8], stride: usize) {
        // SAFETY: there is a unit only where the processor has it.
        unsafe { self.turn(bytes, stride) }
    }

    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
    #[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
    fn turn(&mut self, bytes: &[u8], stride: usize) {
        let Self { packing, n_in, rows: lanes, .. } = *self;
        let is_folded = self.is_folded();
        let rows: Vec<PackedRow<'_>> =
            bytes.chunks_exact(stride).map(|row| PackedRow::new(row, packing, n_in)).collect();
        if rows.len() < lanes {
            self.scales.fill(0);
            self.row_scales.fill(0.0);
        }
        for (r, row) in rows.iter().enumerate() {
            self.row_scales[r] = row.row_scale;
            for (group, &byte) in row.group_scales.iter().enumerate() {
                self.scales[group * lanes + r] = packing.scale(byte);
            }
        }
        for first in (0..lanes).step_by(EIGHT) {
            let rows = rows.get(first..).unwrap_or_default();
            let eight: [&[u8]; EIGHT] = std::array::from_fn(|i| rows.get(i).map_or(&[][..], |row| row.integers));
            for group in 0..packing.n_groups(n_in) {
                let m = packing.group.min(n_in - group * packing.group);
                let start = group * packing.group_bytes(packing.group);
                let out = &mut self.weights[group * packing.group / 2 * lanes..][..packing.group / 2 * lanes];
                let mut buffers = [[0; MOST]; EIGHT];
                let mut integers = [&[0; MOST]; EIGHT];
                let whole = packing.is_bytes() && rows.len() >= EIGHT;
                for ((integers, buffer), row) in integers.iter_mut().zip(&mut buffers).zip(eight) {
                    *integers = match row.get(start..).and_then(|bytes| bytes.first_chunk()) {
                        Some(bytes) if whole && m == packing.group => bytes,
                        _ => {
                            if let Some(bytes) = row.get(start..start + packing.group_bytes(m)) {
                                unpack(buffer, packing, bytes, m);
                            }
                            buffer
                        }
                    };
                }
                for sixteen in 0..packing.group / 16 {
                    turn(integers, 16 * sixteen, &mut out[8 * sixteen * lanes + first..], lanes);
                }
                if is_folded {
                    fold(out, &self.scales[group * lanes..][..lanes], first);
                }
            }
        }
    }

    /// Each sum's pairs of weights `[pairs][rows]` and the scales `[rows]` of its group, its first one where there are several.
    pub(super) fn sums(&self) -> impl Iterator<Item = (&[u32], &[i32])> {
        let (words, scales) = (self.span / 2 * self.rows, self.span / self.packing.group * self.rows);
        let sums = self.weights.chunks(words).zip(self.scales.chunks(scales)).enumerate();
        sums.map(|(i, (weights, scales))| {
            let pairs = self.span.min(self.n_in - i * self.span).div_ceil(2);
            (&weights[..pairs * self.rows], &scales[..self.rows])
        })
    }

    /// The rows' scales.
    pub(super) fn row_scales(&self) -> &[f32] {
        &self.row_scales
    }

    /// Words of activations that a row meets.
    pub(super) const fn words(&self) -> usize {
        self.n_in.div_ceil(2)
    }
}

/// Weights whose products an i32 holds the sum of once they have met their scales, of `2^(bits - 1) * 128` at most, with
/// activations of at most 32767; `None` where that is not a group's, and where the halves of the sums of a row's `n_in` weights
/// may leave 32 bits.
const fn folded_span(packing: Packing, n_in: usize) -> Option<usize> {
    let Some(bits) = 10u32.checked_sub(packing.bits) else { return None };
    if 1 << bits < packing.group || n_in > 1 << 20 { None } else { Some(1 << bits) }
}

/// Multiplies each weight of eight rows from `first` on by its row's scale.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
#[inline]
fn fold(words: &mut [u32], scales: &[i32], first: usize) {
    let factors: &[i32; EIGHT] = scales[first..].first_chunk().expect("rows of whole eights");
    for words in words.chunks_exact_mut(scales.len()) {
        let words: &mut [u32; EIGHT] = words[first..].first_chunk_mut().expect("rows of whole eights");
        for (word, &factor) in words.iter_mut().zip(factors) {
            // The low 16 bits of a product do not hang on signs.
            let factor = factor as u32;
            *word = word.wrapping_mul(factor) & 0xFFFF | (*word >> 16).wrapping_mul(factor) << 16;
        }
    }
}
