//! Parts of slices, without a way to panic.
//!
//! Opening a blob and sharing out memory make sure of every length, so that each part is there. Where one is not, core is at
//! fault: a build with debug assertions panics, and in any other, whose firmware has no code that ends it, every logit is no
//! number from then on.

use core::slice::SliceIndex;

#[cfg(not(test))]
mod broken {
    use core::sync::atomic::{AtomicBool, Ordering};

    static BROKEN: AtomicBool = AtomicBool::new(false);

    /// Notes that what cannot be missing is.
    #[cold]
    #[inline(never)]
    pub(crate) fn missing() {
        BROKEN.store(true, Ordering::Relaxed);
    }

    /// Whether anything ever was.
    pub(crate) fn is_broken() -> bool {
        BROKEN.load(Ordering::Relaxed)
    }
}

/// For each test its own.
#[cfg(test)]
mod broken {
    use std::cell::Cell;

    std::thread_local! {
        static BROKEN: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn missing() {
        BROKEN.set(true);
    }

    pub(crate) fn is_broken() -> bool {
        BROKEN.get()
    }
}

pub(crate) use broken::{is_broken, missing};

/// `x[range]`; nothing where it is missing.
#[inline(always)]
pub(crate) fn part<T>(x: &[T], range: impl SliceIndex<[T], Output = [T]>) -> &[T] {
    let part = x.get(range);
    debug_assert!(cfg!(test) || part.is_some(), "no such part of {} elements", x.len());
    part.unwrap_or_else(|| {
        missing();
        &[]
    })
}

/// `&mut x[range]`; nothing where it is missing.
#[inline(always)]
pub(crate) fn part_mut<T>(x: &mut [T], range: impl SliceIndex<[T], Output = [T]>) -> &mut [T] {
    let len = x.len();
    let part = x.get_mut(range);
    debug_assert!(cfg!(test) || part.is_some(), "no such part of {len} elements");
    part.unwrap_or_else(|| {
        missing();
        &mut []
    })
}

/// The first `n` elements and those behind them; all, and nothing, where there are fewer.
#[inline(always)]
pub(crate) fn split<T>(x: &[T], n: usize) -> (&[T], &[T]) {
    let parts = x.split_at_checked(n);
    debug_assert!(cfg!(test) || parts.is_some(), "no {n} elements among {}", x.len());
    parts.unwrap_or_else(|| {
        missing();
        (x, &[])
    })
}

/// The first `n` elements and those behind them; all, and nothing, where there are fewer.
#[inline(always)]
pub(crate) fn split_mut<T>(x: &mut [T], n: usize) -> (&mut [T], &mut [T]) {
    debug_assert!(cfg!(test) || n <= x.len(), "no {n} elements among {}", x.len());
    if n > x.len() {
        missing();
    }
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

/// `out = x`, which has as many elements.
#[inline(always)]
pub(crate) fn copy<T: Copy>(out: &mut [T], x: &[T]) {
    debug_assert_eq!(out.len(), x.len(), "elements to copy");
    out.iter_mut().zip(x).for_each(|(out, &x)| *out = x);
}

/// `x[i] = value`.
#[inline(always)]
pub(crate) fn put<T>(x: &mut [T], i: usize, value: T) {
    debug_assert!(cfg!(test) || i < x.len(), "no element {i} of {}", x.len());
    match x.get_mut(i) {
        Some(x) => *x = value,
        None => missing(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_breaks_nothing() {
        let mut x = [1, 2, 3];
        assert_eq!((part(&x, 1..), split(&x, 2)), (&[2, 3][..], (&[1, 2][..], &[3][..])));
        assert_eq!((part_mut(&mut x, 3..).len(), split_mut(&mut x, 3).1.len()), (0, 0));
        put(&mut x, 2, 7);
        assert!(x == [1, 2, 7] && !is_broken());
    }

    #[test]
    fn a_part_that_is_missing_is_noted() {
        assert!(part(&[1, 2], 1..3).is_empty() && is_broken());
    }

    #[test]
    fn a_part_to_write_that_is_missing_is_noted() {
        assert!(part_mut(&mut [1, 2], 3..).is_empty() && is_broken());
    }

    #[test]
    fn a_split_beyond_the_end_is_noted() {
        assert!(split(&[1, 2], 3) == (&[1, 2], &[]) && is_broken());
    }

    #[test]
    fn a_split_to_write_beyond_the_end_is_noted() {
        assert!(split_mut(&mut [1, 2], 3) == (&mut [1, 2], &mut []) && is_broken());
    }

    #[test]
    fn an_element_that_is_missing_is_noted() {
        let mut x = [1, 2];
        put(&mut x, 2, 3);
        assert!(x == [1, 2] && is_broken());
    }
}
