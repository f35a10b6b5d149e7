//! What is no choice of the architecture, and so is folded into the weights: of queries and keys, of norms, of positions.
//!
//! Attention divides its scores by the root of `head_dim`, a head's pairs are its halves, and queries, keys and values lie
//! above one another. Of a family that does otherwise the query's rows are multiplied, or where a norm would undo that the
//! norm's weights, with one rounding to f32, and rows change places. What a family adds to the weights of its norms is added
//! with one rounding too.

use super::name_map::{Orientation, QkvRows, RotaryPairs};

/// What is folded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Folding {
    /// Whether scores are divided by the root of `head_dim`.
    pub scaled: bool,
    /// Of this instead, where it is said.
    pub scalar: Option<f64>,
    /// Whether they are divided by the layer's number, counted from 1.
    pub by_layer: bool,
    /// Which elements of a head rotate together.
    pub pairs: RotaryPairs,
    /// How rows of queries, keys and values lie in one matrix.
    pub qkv: QkvRows,
    /// Whether queries are normalised, so that their scale is the norm's.
    pub head_norms: bool,
    /// Added to the weights of norms.
    pub norm_offset: f64,
    /// Rows in front of the first position's.
    pub position_offset: usize,
}

/// A projection of one kind: its heads, and how many elements a row has; 1 for a bias.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    pub head_dim: usize,
    pub cols: usize,
}

impl Folding {
    /// What a layer's queries are multiplied by; `None` for 1.
    pub fn query_scale(&self, layer: u32, head_dim: u32) -> Option<f64> {
        let root = match self.scalar {
            Some(scalar) => (f64::from(head_dim) / scalar).sqrt(),
            None if self.scaled => 1.0,
            None => f64::from(head_dim).sqrt(),
        };
        let scale = if self.by_layer { root / (f64::from(layer) + 1.0) } else { root };
        (scale != 1.0).then_some(scale)
    }

    /// Whether rows of queries, keys and values change places.
    pub const fn moves_rows(&self) -> bool {
        self.pairs_rows() || self.stacks_rows()
    }

    /// Whether rows of queries and keys change places within their heads.
    pub const fn pairs_rows(&self) -> bool {
        matches!(self.pairs, RotaryPairs::Adjacent)
    }

    /// Whether rows lie head by head in one matrix.
    pub const fn stacks_rows(&self) -> bool {
        matches!(self.qkv, QkvRows::ByHead)
    }

    /// Rows of queries, keys and values, `[heads][3][head_dim, cols]`, as `[3][heads][head_dim, cols]`.
    pub fn stack_rows(rows: &[f32], Rows { head_dim, cols }: Rows) -> Vec<f32> {
        let head = head_dim * cols;
        let of = |part: usize| rows.chunks_exact(3 * head).flat_map(move |rows| &rows[part * head..][..head]);
        (0..3).flat_map(of).copied().collect()
    }

    /// Rows of queries or keys, `[n, cols]`, with each head's even ones before its odd ones.
    pub fn move_rows(&self, rows: &mut [f32], Rows { head_dim, cols }: Rows) {
        let mut moved = vec![0.0; head_dim * cols];
        for head in rows.chunks_exact_mut(head_dim * cols) {
            for (row, values) in head.chunks_exact(cols).enumerate() {
                let to = row / 2 + if row.is_multiple_of(2) { 0 } else { head_dim / 2 };
                moved[to * cols..][..cols].copy_from_slice(values);
            }
            head.copy_from_slice(&moved);
        }
    }
}

/// Multiplies the first `n` outputs of a matrix with `n_out` of them, or of a vector.
pub fn scale_first(data: &mut [f32], orientation: Orientation, n: usize, n_out: usize, scale: f64) {
    let scaled = |x: &mut f32| *x = (f64::from(*x) * scale) as f32;
    match orientation {
        Orientation::OutIn => {
            let end = data.len() / n_out * n;
            data[..end].iter_mut().for_each(scaled);
        }
        Orientation::InOut => data.chunks_exact_mut(n_out).flat_map(|row| &mut row[..n]).for_each(scaled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Folding = Folding {
        scaled: true,
        scalar: None,
        by_layer: false,
        pairs: RotaryPairs::Halves,
        qkv: QkvRows::Stacked,
        head_norms: false,
        norm_offset: 0.0,
        position_offset: 0,
    };

    #[test]
    fn scales_are_what_attention_lacks() {
        assert_eq!(NOTHING.query_scale(3, 16), None);
        assert_eq!(Folding { scaled: false, ..NOTHING }.query_scale(3, 16), Some(4.0));
        assert_eq!(Folding { scalar: Some(64.0), ..NOTHING }.query_scale(3, 16), Some(0.5));
        assert_eq!(Folding { scalar: Some(16.0), ..NOTHING }.query_scale(3, 16), None);
        let by_layer = Folding { by_layer: true, ..NOTHING };
        assert_eq!((by_layer.query_scale(0, 16), by_layer.query_scale(3, 16)), (None, Some(0.25)));
        assert_eq!(Folding { scaled: false, by_layer: true, ..NOTHING }.query_scale(1, 16), Some(2.0));
    }

    #[test]
    fn heads_come_apart() {
        let rows: Vec<f32> = (0..24).map(|index| index as f32).collect();
        let stacked = Folding::stack_rows(&rows, Rows { head_dim: 2, cols: 2 });
        let first = stacked.chunks(2).map(|row| row[0] as u32 / 2).collect::<Vec<_>>();
        assert_eq!(first, [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]);
    }

    #[test]
    fn neighbours_become_halves() {
        let adjacent = Folding { pairs: RotaryPairs::Adjacent, ..NOTHING };
        let mut rows: Vec<f32> = (0..16).map(|index| index as f32).collect();
        adjacent.move_rows(&mut rows, Rows { head_dim: 4, cols: 2 });
        assert_eq!(rows, [0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0, 8.0, 9.0, 12.0, 13.0, 10.0, 11.0, 14.0, 15.0]);
    }

    #[test]
    fn only_the_first_outputs_are_scaled() {
        let mut rows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        scale_first(&mut rows, Orientation::OutIn, 1, 3, 2.0);
        assert_eq!(rows, [2.0, 4.0, 3.0, 4.0, 5.0, 6.0]);
        scale_first(&mut rows, Orientation::InOut, 1, 3, 0.5);
        assert_eq!(rows, [1.0, 4.0, 3.0, 2.0, 5.0, 6.0]);
    }
}
