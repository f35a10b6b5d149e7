//! Products with rows in lanes: a vector holds one pair of weights of each of its rows, so that a sum stays in one place from
//! the first weight to the last, and only whole groups meet their scales.

use emberlm_core::format::Packing;
use emberlm_core::kernel::{Matmul, Parts, Rows, Scaling, input_words};
use emberlm_core::ops::lanes::Lanes;

use super::pack::Packed;
use super::positions::Positions;
use super::turn::Unit;

/// Positions that have to share the weights before these are laid out in lanes for them.
const FEW: usize = 4;

/// A vector unit's product of a tile of rows.
pub(super) trait Tile: Copy {
    /// Rows in lanes, a multiple of 8.
    const ROWS: usize;

    /// What such a processor does lane by lane.
    type Lanes: Lanes;

    /// These lanes.
    fn lanes(&self) -> &Self::Lanes;

    /// What every processor with such a unit has.
    fn unit(&self) -> &Unit;

    /// Does nothing but multiply what is in registers, `rounds` times; says how many products there were.
    fn multiply_registers(self, rounds: u64) -> u64;

    /// Every row with each of fewer than [`FEW`] positions, as it is stored.
    fn multiply_rows(&self, out: &mut [f32], rows: Rows<'_>, packing: Packing, positions: Positions<'_>);

    /// The products of the packed rows with positions of activations.
    fn products(self, out: Outputs<'_>, rows: &Packed, positions: Positions<'_>);
}

/// Where products go: `[positions][stride]`, the tile's rows from the first element on.
pub(super) struct Outputs<'a> {
    pub out: &'a mut [f32],
    pub stride: usize,
    /// Rows that the tile has, at most its lanes.
    pub n: usize,
}

impl Outputs<'_> {
    /// Puts the products of one position.
    #[inline]
    pub(super) fn put<const N: usize>(&mut self, position: usize, products: [f32; N]) {
        let out = &mut self.out[position * self.stride..];
        match out.first_chunk_mut() {
            Some(out) if self.n == N => *out = products,
            _ => out.iter_mut().zip(products).take(self.n).for_each(|(out, product)| *out = product),
        }
    }
}

/// Every row with every position.
pub(super) fn multiply<T: Tile>(tile: &T, matmul: Matmul<'_>) {
    let Parts { out, inputs, rows, packing } = matmul.into_parts();
    let scaling = Scaling::new(packing, rows.n_in());
    let stride = input_words(rows.n_in());
    let positions = Positions { words: inputs.words(), stride, scales: inputs.scales(), scaling };
    if positions.scales.len() < FEW {
        return tile.multiply_rows(out, rows, packing, positions);
    }
    let mut packed = Packed::new(packing, rows.n_in(), T::ROWS);
    for first in (0..rows.n()).step_by(T::ROWS) {
        let n = (rows.n() - first).min(T::ROWS);
        let bytes = &rows.bytes()[first * rows.stride()..(first + n) * rows.stride()];
        packed.fill(tile.unit(), bytes, rows.stride());
        let outputs = Outputs { out: &mut out[first..], stride: rows.n(), n };
        tile.products(outputs, &packed, positions);
    }
}
