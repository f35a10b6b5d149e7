//! Rows of weights on their way into lanes.

use emberlm_core::format::Packing;
use emberlm_core::kernel::PackedRow;

use super::turn::{EIGHT, MOST, Unit, turn, unpack};

/// A tile's rows, widened to 16 bits.
pub(super) struct Packed {
    packing: Packing,
    n_in: usize,
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
        Self { packing, n_in, rows, weights, scales: vec![0; n_groups * rows], row_scales: vec![0.0; rows] }
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
            }
        }
    }

    /// Each group's pairs of weights `[pairs][rows]` and scales `[rows]`.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&[u32], &[i32])> {
        let whole = self.packing.group / 2 * self.rows;
        let groups = self.weights.chunks_exact(whole).zip(self.scales.chunks_exact(self.rows)).enumerate();
        groups.map(|(i, (weights, scales))| (&weights[..pairs(self.packing, self.n_in, i) * self.rows], scales))
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

/// Pairs of weights under one scale, and those of the last group.
const fn pairs(packing: Packing, n_in: usize, group: usize) -> usize {
    let left = n_in - group * packing.group;
    (if left < packing.group { left } else { packing.group }).div_ceil(2)
}
