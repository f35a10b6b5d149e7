//! Parts of slices, without a way to panic.
//!
//! Opening a blob and sharing out memory make sure of every length, so that each part is there. Where one is not, a build
//! with debug assertions panics, and any other goes on with an empty part: firmware has no code that ends it.

use core::slice::SliceIndex;

/// `x[range]`.
#[inline(always)]
pub(crate) fn part<T>(x: &[T], range: impl SliceIndex<[T], Output = [T]>) -> &[T] {
    let part = x.get(range);
    debug_assert!(part.is_some(), "no such part of {} elements", x.len());
    part.unwrap_or_default()
}

/// `&mut x[range]`.
#[inline(always)]
pub(crate) fn part_mut<T>(x: &mut [T], range: impl SliceIndex<[T], Output = [T]>) -> &mut [T] {
    let len = x.len();
    let part = x.get_mut(range);
    debug_assert!(part.is_some(), "no such part of {len} elements");
    part.unwrap_or_default()
}

/// The first `n` elements and those behind them.
#[inline(always)]
pub(crate) fn split<T>(x: &[T], n: usize) -> (&[T], &[T]) {
    debug_assert!(n <= x.len(), "no {n} elements among {}", x.len());
    x.split_at(n.min(x.len()))
}

/// The first `n` elements and those behind them.
#[inline(always)]
pub(crate) fn split_mut<T>(x: &mut [T], n: usize) -> (&mut [T], &mut [T]) {
    debug_assert!(n <= x.len(), "no {n} elements among {}", x.len());
    x.split_at_mut(n.min(x.len()))
}

/// Rows of `n` elements, one after another; what is left over is dropped.
#[inline(always)]
pub(crate) fn rows<T>(x: &[T], n: usize) -> core::slice::ChunksExact<'_, T> {
    debug_assert!(n > 0, "rows without elements");
    x.chunks_exact(n.max(1))
}

/// Rows of `n` elements, one after another; what is left over is dropped.
#[inline(always)]
pub(crate) fn rows_mut<T>(x: &mut [T], n: usize) -> core::slice::ChunksExactMut<'_, T> {
    debug_assert!(n > 0, "rows without elements");
    x.chunks_exact_mut(n.max(1))
}

/// `x[i] = value`.
#[inline(always)]
pub(crate) fn put<T>(x: &mut [T], i: usize, value: T) {
    debug_assert!(i < x.len(), "no element {i} of {}", x.len());
    if let Some(x) = x.get_mut(i) {
        *x = value;
    }
}
