//! Matrix products over bounds-checked views.

/// A matrix inside a slice: element (i, j) is `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> View<'a> {
    /// A view of `rows` by `cols` elements.
    ///
    /// # Panics
    /// An element would lie outside `data`.
    pub fn new(data: &'a [f32], (rows, cols): (usize, usize), (row_stride, col_stride): (usize, usize)) -> Self {
        if rows > 0 && cols > 0 {
            let last = (rows - 1).checked_mul(row_stride).zip((cols - 1).checked_mul(col_stride));
            let last = last.and_then(|(row, col)| row.checked_add(col));
            assert!(last.is_some_and(|last| last < data.len()), "view exceeds its slice");
            assert!(row_stride.max(col_stride) <= isize::MAX as usize, "strides fit isize");
        }
        Self { data, rows, cols, row_stride, col_stride }
    }

    /// Row-major elements without gaps.
    pub fn dense(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::new(data, (rows, cols), (cols, 1))
    }

    /// The same elements with rows and columns exchanged.
    pub const fn transposed(self) -> Self {
        let Self { data, rows, cols, row_stride, col_stride } = self;
        Self { data, rows: cols, cols: rows, row_stride: col_stride, col_stride: row_stride }
    }
}

/// `out = a b + out`, with `out` row-major `[a.rows, b.cols]`; f32 sums in an order that `matrixmultiply` chooses.
///
/// # Panics
/// The shapes do not agree.
#[allow(unsafe_code)]
pub fn add_product(out: &mut [f32], a: View<'_>, b: View<'_>) {
    assert_eq!(a.cols, b.rows, "inner dimensions agree");
    assert_eq!(Some(out.len()), a.rows.checked_mul(b.cols), "the output is [a.rows, b.cols]");
    if out.is_empty() || a.cols == 0 {
        return;
    }
    // SAFETY: `View::new` checked that every element that the shapes and strides of `a` and `b` reach lies in their
    // slices and that the strides fit isize; `out` holds `a.rows * b.cols` elements, row-major, and as `&mut` overlaps
    // neither.
    unsafe {
        matrixmultiply::sgemm(
            a.rows,
            a.cols,
            b.cols,
            1.0,
            a.data.as_ptr(),
            a.row_stride as isize,
            a.col_stride as isize,
            b.data.as_ptr(),
            b.row_stride as isize,
            b.col_stride as isize,
            1.0,
            out.as_mut_ptr(),
            b.cols as isize,
            1,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize) -> Vec<f32> {
        (0..len).map(|index| (index * 37 % 23) as f32 - 11.0).collect()
    }

    #[test]
    fn products_are_sums_over_the_inner_dimension() {
        let (m, k, n) = (5, 7, 9);
        let (a, b) = (numbers(m * k), numbers(n * k));
        let mut out = vec![0.5; m * n];
        add_product(&mut out, View::dense(&a, m, k), View::dense(&b, n, k).transposed());
        for i in 0..m {
            for j in 0..n {
                let sum: f32 = (0..k).map(|t| a[i * k + t] * b[j * k + t]).sum();
                assert_eq!(out[i * n + j], sum + 0.5);
            }
        }
    }

    #[test]
    #[should_panic(expected = "view exceeds its slice")]
    fn views_do_not_exceed_their_slice() {
        View::new(&[0.0; 11], (3, 2), (5, 1));
    }
}
