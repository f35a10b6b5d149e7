//! One row of a matrix, rounded.

use emberlm_core::format::Packing;

use super::grid::Grid;

/// One row, rounded.
#[derive(Clone, Debug)]
pub struct RoundedRow {
    /// `[n_in]`.
    pub integers: Vec<i8>,
    /// What they are multiples of.
    pub grid: Grid,
    /// The bias that goes with them, where the layer has one.
    pub bias: Option<f64>,
}

impl RoundedRow {
    /// Each weight to the integer nearest to it.
    pub fn nearest(packing: Packing, row: &[f64]) -> Self {
        let grid = Grid::fit(packing, row, None);
        let integers = row
            .chunks(packing.group)
            .enumerate()
            .flat_map(|(group, weights)| {
                let step = grid.step(group);
                let grid = &grid;
                weights.iter().map(move |&weight| grid.nearest(weight, step))
            })
            .collect();
        Self { integers, grid, bias: None }
    }

    /// The weights that the row stands for. Exact products.
    pub fn weights(&self, group: usize) -> impl Iterator<Item = f32> {
        self.integers.chunks(group).enumerate().flat_map(|(index, integers)| {
            let step = self.grid.step(index);
            integers.iter().map(move |&q| ((step * f64::from(q)) as f32).clamp(f32::MIN, f32::MAX))
        })
    }
}
