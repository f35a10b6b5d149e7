//! Matrix products over bounds-checked views.
//!
//! What is shared among threads is cut into tiles whose sizes depend on the shapes alone, so that no result depends on
//! the number of threads.

use std::ops::Range;

use gemm::Parallelism;
use rayon::prelude::*;

/// The most rows and columns that one task computes: there packing is little beside multiplying.
const TILE: (usize, usize) = (512, 1024);
/// Tasks that threads share evenly.
const TASKS: usize = 16;
/// Multiplications that are worth a task.
const GRAIN: usize = 1 << 22;
/// What tiles' sides are multiples of.
const LANES: usize = 16;
/// Rows up to which a matrix that is stored by columns is read where it lies, not packed.
const FEW_ROWS: usize = 128;
/// The most columns of a task that has so few rows.
const FEW_ROWS_COLS: usize = 384;

/// f32 or f64.
pub trait Element: Copy + Default + Send + Sync + std::ops::AddAssign + 'static {
    /// 1.
    const ONE: Self;
}

impl Element for f32 {
    const ONE: Self = 1.0;
}

impl Element for f64 {
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

    /// `n` rows from `first` on.
    fn of_rows(self, first: usize, n: usize) -> Self {
        Self::new(&self.data[first * self.row_stride..], (n, self.cols), (self.row_stride, self.col_stride))
    }

    /// `n` columns from `first` on.
    fn of_cols(self, first: usize, n: usize) -> Self {
        self.transposed().of_rows(first, n).transposed()
    }
}

/// Where a product goes.
struct Target<T> {
    start: *mut T,
    row_stride: usize,
    col_stride: usize,
}

// SAFETY: a target is written to by whoever has it, and those of a product do not overlap.
#[allow(unsafe_code)]
unsafe impl<T: Send> Send for Target<T> {}

/// `out = a b + out`, with `out` row-major `[a.rows, b.cols]`; sums in an order that `gemm` chooses.
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
    if let Some(target) = target(out, stride, a, b) {
        // SAFETY: `target` checked that `out` has room for the product.
        unsafe { multiply(target, scale, a, b) };
    }
}

/// As [`add_product`], by all threads.
///
/// # Panics
/// As [`add_product`].
pub fn par_add_product<T: Element>(out: &mut [T], a: View<'_, T>, b: View<'_, T>) {
    assert_eq!(Some(out.len()), a.rows.checked_mul(b.cols), "the output is [a.rows, b.cols]");
    par_add_tiles(out, b.cols, T::ONE, a, b, |_, _| true);
}

/// As [`add_scaled_product`], by all threads, and of the output's tiles only those that are `wanted`, given their rows
/// and columns.
///
/// # Panics
/// As [`add_scaled_product`].
#[allow(unsafe_code)]
pub fn par_add_tiles<T: Element>(
    out: &mut [T],
    stride: usize,
    scale: T,
    a: View<'_, T>,
    b: View<'_, T>,
    wanted: impl Fn(Range<usize>, Range<usize>) -> bool,
) {
    let Some(Target { start, .. }) = target(out, stride, a, b) else { return };
    let (height, width) = tile(a.rows, a.cols, b.cols);
    let mut tiles = Vec::new();
    for row in (0..a.rows).step_by(height) {
        for col in (0..b.cols).step_by(width) {
            let (n_rows, n_cols) = (height.min(a.rows - row), width.min(b.cols - col));
            if wanted(row..row + n_rows, col..col + n_cols) {
                let start = start.wrapping_add(row * stride + col);
                let target = Target { start, row_stride: stride, col_stride: 1 };
                tiles.push((target, a.of_rows(row, n_rows), b.of_cols(col, n_cols)));
            }
        }
    }
    let add = |(target, a, b): (Target<T>, View<'_, T>, View<'_, T>)| {
        // SAFETY: tiles are disjoint and lie within a target that has room for the whole product.
        unsafe { add_tile(target, scale, a, b) };
    };
    match tiles.len() {
        1 => tiles.into_iter().for_each(add),
        _ => tiles.into_par_iter().for_each(add),
    }
}

/// Checks shapes; `None` where nothing is to be added.
fn target<T>(out: &mut [T], stride: usize, a: View<'_, T>, b: View<'_, T>) -> Option<Target<T>> {
    assert_eq!(a.cols, b.rows, "inner dimensions agree");
    if a.rows == 0 || b.cols == 0 || a.cols == 0 {
        return None;
    }
    assert!(b.cols <= stride && stride <= isize::MAX as usize, "rows do not overlap");
    let end = (a.rows - 1).checked_mul(stride).and_then(|last| last.checked_add(b.cols));
    assert!(end.is_some_and(|end| end <= out.len()), "the output has room");
    Some(Target { start: out.as_mut_ptr(), row_stride: stride, col_stride: 1 })
}

/// Rows and columns of a tile: of equal ones, so many that threads share them evenly where that is worth their while.
fn tile(rows: usize, inner: usize, cols: usize) -> (usize, usize) {
    let (mut down, mut across) = (rows.div_ceil(TILE.0), cols.div_ceil(TILE.1));
    if rows <= FEW_ROWS && rows * cols * inner > GRAIN {
        // Each task packs all rows.
        across = cols.div_ceil(FEW_ROWS_COLS);
    } else {
        while down * across < TASKS && rows * cols / (down * across) * inner > GRAIN {
            if rows / down > cols / across { down *= 2 } else { across *= 2 }
        }
    }
    (rows.div_ceil(down).next_multiple_of(LANES), cols.div_ceil(across).next_multiple_of(LANES))
}

/// `target += scale a b`.
///
/// # Safety
/// `target` must have `a.rows` rows and `b.cols` columns that nothing else refers to.
#[allow(unsafe_code)]
unsafe fn add_tile<T: Element>(target: Target<T>, scale: T, a: View<'_, T>, b: View<'_, T>) {
    let by_columns = b.row_stride == 1 && b.col_stride != 1;
    if !by_columns || a.rows > FEW_ROWS {
        // SAFETY: the caller's.
        return unsafe { multiply(target, scale, a, b) };
    }
    /// Columns that are turned together.
    const STRIP: usize = 16;
    // Given a column-major output, `gemm` packs `a`, which is small here, and not `b`.
    let mut columns = vec![T::default(); a.rows * b.cols];
    let own = Target { start: columns.as_mut_ptr(), row_stride: 1, col_stride: a.rows };
    // SAFETY: `columns` holds `b.cols` columns of `a.rows` elements.
    unsafe { multiply(own, scale, a, b) };
    for (col, columns) in (0..).step_by(STRIP).zip(columns.chunks(STRIP * a.rows)) {
        for row in 0..a.rows {
            let start = target.start.wrapping_add(row * target.row_stride + col);
            // SAFETY: the part of a row is the caller's.
            let out = unsafe { std::slice::from_raw_parts_mut(start, columns.len() / a.rows) };
            out.iter_mut().zip(columns[row..].iter().step_by(a.rows)).for_each(|(out, &x)| *out += x);
        }
    }
}

/// As [`add_tile`].
///
/// # Safety
/// As [`add_tile`].
#[allow(unsafe_code)]
unsafe fn multiply<T: Element>(target: Target<T>, scale: T, a: View<'_, T>, b: View<'_, T>) {
    // SAFETY: `View::new` checked that every element that the shapes and strides of `a` and `b` reach lies in their
    // slices and that the strides fit isize; the target is the caller's.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            target.start,
            target.col_stride as isize,
            target.row_stride as isize,
            true,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            T::ONE,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize) -> Vec<f32> {
        (0..len).map(|index| (index * 37 % 23) as f32 - 11.0).collect()
    }

    /// Sums of integers that f32 holds exactly, of shapes on both sides of every tile's edge.
    #[test]
    fn products_are_sums_over_the_inner_dimension() {
        for (m, k, n) in
            [(5, 7, 9), (1, 30, 2), (FEW_ROWS, 300, TILE.1 + 3), (FEW_ROWS + 1, 300, 600), (TILE.0 + 5, 9, 513)]
        {
            let (a, b, rows_of_b) = (numbers(m * k), numbers(n * k), numbers(k * n));
            let left = View::dense(&a, m, k);
            for (right, at) in [
                (
                    View::dense(&b, n, k).transposed(),
                    &(|t: usize, j: usize| b[j * k + t]) as &dyn Fn(usize, usize) -> f32,
                ),
                (View::dense(&rows_of_b, k, n), &|t: usize, j: usize| rows_of_b[t * n + j]),
            ] {
                let mut out = vec![0.5; m * n];
                par_add_product(&mut out, left, right);
                for (i, row) in out.chunks(n).enumerate() {
                    for (j, &found) in row.iter().enumerate() {
                        let sum: f32 = (0..k).map(|t| a[i * k + t] * at(t, j)).sum();
                        assert_eq!(found, sum + 0.5, "{m} {k} {n}: {i} {j}");
                    }
                }
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
    fn the_number_of_threads_changes_no_bit() {
        let x: Vec<f32> = (0..490_000usize).map(|index| ((index * 7919 % 1009) as f32 - 504.0) / 300.0).collect();
        for (m, k, n) in [(700, 700, 700), (64, 700, 700), (600, 33, 700)] {
            let product = |threads: usize, by_columns: bool| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let b = if by_columns { View::dense(&x, n, k).transposed() } else { View::dense(&x, k, n) };
                let mut out = vec![0.0; m * n];
                pool.install(|| par_add_product(&mut out, View::dense(&x, m, k), b));
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            for by_columns in [false, true] {
                assert_eq!(product(1, by_columns), product(3, by_columns), "{m} {k} {n} {by_columns}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "view exceeds its slice")]
    fn views_do_not_exceed_their_slice() {
        View::new(&[0.0f32; 11], (3, 2), (5, 1));
    }
}
