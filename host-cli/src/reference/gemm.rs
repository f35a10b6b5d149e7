//! Matrix products over bounds-checked views.

/// f32 or f64.
pub trait Element: Copy + Send + Sync {
    /// The product of `matrixmultiply` for the type.
    const GEMM: Gemm<Self>;
    /// 1.
    const ONE: Self;
}

/// `c = alpha a b + beta c`, as `matrixmultiply` takes it.
type Gemm<T> =
    unsafe fn(usize, usize, usize, T, *const T, isize, isize, *const T, isize, isize, T, *mut T, isize, isize);

impl Element for f32 {
    const GEMM: Gemm<Self> = matrixmultiply::sgemm;
    const ONE: Self = 1.0;
}

impl Element for f64 {
    const GEMM: Gemm<Self> = matrixmultiply::dgemm;
    const ONE: Self = 1.0;
}

/// A matrix inside a slice: element (i, j) is `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T = f32> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> View<'a, T> {
    /// A view of `rows` by `cols` elements.
    ///
    /// # Panics
    /// An element would lie outside `data`.
    pub fn new(data: &'a [T], (rows, cols): (usize, usize), (row_stride, col_stride): (usize, usize)) -> Self {
        if rows > 0 && cols > 0 {
            let last = (rows - 1).checked_mul(row_stride).zip((cols - 1).checked_mul(col_stride));
            let last = last.and_then(|(row, col)| row.checked_add(col));
            assert!(last.is_some_and(|last| last < data.len()), "view exceeds its slice");
            assert!(row_stride.max(col_stride) <= isize::MAX as usize, "strides fit isize");
        }
        Self { data, rows, cols, row_stride, col_stride }
    }

    /// Row-major elements without gaps.
    pub fn dense(data: &'a [T], rows: usize, cols: usize) -> Self {
        Self::new(data, (rows, cols), (cols, 1))
    }

    /// The same elements with rows and columns exchanged.
    pub const fn transposed(self) -> Self {
        let Self { data, rows, cols, row_stride, col_stride } = self;
        Self { data, rows: cols, cols: rows, row_stride: col_stride, col_stride: row_stride }
    }
}

/// `out = a b + out`, with `out` row-major `[a.rows, b.cols]`; sums in an order that `matrixmultiply` chooses.
///
/// # Panics
/// The shapes do not agree.
pub fn add_product<T: Element>(out: &mut [T], a: View<'_, T>, b: View<'_, T>) {
    assert_eq!(Some(out.len()), a.rows.checked_mul(b.cols), "the output is [a.rows, b.cols]");
    add_scaled_product(out, b.cols, T::ONE, a, b);
}

/// `out = scale a b + out`, with `out` row-major `[a.rows, b.cols]`, its rows `stride` elements apart.
///
/// # Panics
/// The shapes do not agree, or `out` is too short.
#[allow(unsafe_code)]
pub fn add_scaled_product<T: Element>(out: &mut [T], stride: usize, scale: T, a: View<'_, T>, b: View<'_, T>) {
    assert_eq!(a.cols, b.rows, "inner dimensions agree");
    if a.rows == 0 || b.cols == 0 || a.cols == 0 {
        return;
    }
    assert!(b.cols <= stride && stride <= isize::MAX as usize, "rows do not overlap");
    let end = (a.rows - 1).checked_mul(stride).and_then(|last| last.checked_add(b.cols));
    assert!(end.is_some_and(|end| end <= out.len()), "the output has room");
    // SAFETY: `View::new` checked that every element that the shapes and strides of `a` and `b` reach lies in their
    // slices and that the strides fit isize; `out` holds `a.rows` rows of `b.cols` elements that do not overlap, and as
    // `&mut` overlaps neither.
    unsafe {
        T::GEMM(
            a.rows,
            a.cols,
            b.cols,
            scale,
            a.data.as_ptr(),
            a.row_stride as isize,
            a.col_stride as isize,
            b.data.as_ptr(),
            b.row_stride as isize,
            b.col_stride as isize,
            T::ONE,
            out.as_mut_ptr(),
            stride as isize,
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
    fn products_go_into_wider_rows() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [1.0, 10.0, 100.0, 1000.0]);
        let mut out = [5.0f64; 6];
        add_scaled_product(&mut out, 4, -1.0, View::dense(&a, 2, 2), View::dense(&b, 2, 2));
        assert_eq!(out, [-196.0, -2005.0, 5.0, 5.0, -398.0, -4025.0]);
    }

    #[test]
    #[should_panic(expected = "view exceeds its slice")]
    fn views_do_not_exceed_their_slice() {
        View::new(&[0.0f32; 11], (3, 2), (5, 1));
    }
}
