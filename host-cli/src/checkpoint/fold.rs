//! What is no choice of the architecture, and so is folded into the weights of queries and keys.
//!
//! Attention divides its scores by the root of `head_dim`, and a head's pairs are its halves. Of a family that does
//! otherwise the query's rows are multiplied, with one rounding to f32, and rows change places.

use super::name_map::{Orientation, RotaryPairs};

/// What is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folding {
    /// Whether scores are divided by the root of `head_dim`.
    pub scaled: bool,
    /// Whether they are divided by the layer's number, counted from 1.
    pub by_layer: bool,
    /// Which elements of a head rotate together.
    pub pairs: RotaryPairs,
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
        let root = if self.scaled { 1.0 } else { f64::from(head_dim).sqrt() };
        let scale = if self.by_layer { root / (f64::from(layer) + 1.0) } else { root };
        (scale != 1.0).then_some(scale)
    }

    /// Whether rows of queries and keys change places.
    pub const fn moves_rows(&self) -> bool {
        matches!(self.pairs, RotaryPairs::Adjacent)
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

    const NOTHING: Folding = Folding { scaled: true, by_layer: false, pairs: RotaryPairs::Halves };

    #[test]
    fn scales_are_what_attention_lacks() {
        assert_eq!(NOTHING.query_scale(3, 16), None);
        assert_eq!(Folding { scaled: false, ..NOTHING }.query_scale(3, 16), Some(4.0));
        let by_layer = Folding { by_layer: true, ..NOTHING };
        assert_eq!((by_layer.query_scale(0, 16), by_layer.query_scale(3, 16)), (None, Some(0.25)));
        assert_eq!(Folding { scaled: false, by_layer: true, ..NOTHING }.query_scale(1, 16), Some(2.0));
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
