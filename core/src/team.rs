//! Workers that share a pass: its rows, heads and positions come in ranges that do not need each other.
//!
//! [`Solo`] is one core, and what a session has unless it is [given another](crate::session::Session::with_team). A second
//! core, or a host's threads, are a [`Team`] of the caller's. No bit depends on the team.

use crate::part::split_mut;
use core::num::NonZeroUsize;
use core::ops::Range;

/// Whoever does the ranges of a pass.
pub trait Team: Sync {
    /// The most ranges that anything is divided into, at least 1; `usize::MAX` where the team finds out when it runs.
    const MOST: usize;

    /// Into how many ranges work of about so many multiplications should be divided: 1 where handing a part of it over
    /// would take longer than doing it.
    fn ranges(&self, multiplications: usize) -> usize;

    /// Does both, in any order or at once, and returns when both are done. Either may join again.
    fn join(&self, one: impl FnOnce() + Send, other: impl FnOnce() + Send);
}

/// One core, which does everything itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Solo;

impl Team for Solo {
    const MOST: usize = 1;

    #[inline(always)]
    fn ranges(&self, _: usize) -> usize {
        1
    }

    #[inline(always)]
    fn join(&self, one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
        one();
        other();
    }
}

impl<T: Team> Team for &T {
    const MOST: usize = T::MOST;

    fn ranges(&self, multiplications: usize) -> usize {
        (**self).ranges(multiplications)
    }

    fn join(&self, one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
        (**self).join(one, other);
    }
}

/// Ranges that begin at a multiple of it suit every kernel.
const UNIT: usize = 8;

/// How `0..len` is divided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranges {
    len: usize,
    n: NonZeroUsize,
}

impl Ranges {
    /// Of `len` units that take about `multiplications` each.
    #[inline(always)]
    pub fn new<T: Team>(team: &T, len: usize, multiplications: usize) -> Self {
        if T::MOST <= 1 {
            return Self { len, n: NonZeroUsize::MIN };
        }
        let n = team.ranges(len.saturating_mul(multiplications)).min(T::MOST).min(len);
        Self { len, n: NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN) }
    }

    /// Units in all.
    pub const fn len(self) -> usize {
        self.len
    }

    /// As many as there is memory for.
    #[inline(always)]
    pub fn at_most(self, n: usize) -> Self {
        Self { n: NonZeroUsize::new(n).map_or(NonZeroUsize::MIN, |n| self.n.min(n)), ..self }
    }

    /// Where a range begins, or the last one ends.
    fn bound(self, i: usize) -> usize {
        let n = self.n;
        if i >= n.get() {
            return self.len;
        }
        let bound = self.len / n * i + self.len % n * i / n;
        if self.len / n < UNIT { bound } else { bound - bound % UNIT }
    }

    /// Hands them to `each` in order.
    #[inline(always)]
    pub fn each<T: Team>(self, mut each: impl FnMut(Range<usize>)) {
        if T::MOST <= 1 {
            return each(0..self.len);
        }
        for i in 0..self.n.get() {
            each(self.bound(i)..self.bound(i + 1));
        }
    }

    /// Has the team do each range, with its own share of `out`.
    #[inline(always)]
    pub fn share<T: Team, W: Share>(self, team: &T, out: W, each: impl Fn(Range<usize>, W) + Sync) {
        if T::MOST <= 1 || self.n.get() <= 1 {
            each(0..self.len, out);
        } else {
            self.halve(0..self.n.get(), team, out, &each);
        }
    }

    fn halve<T: Team, W: Share>(
        self,
        ranges: Range<usize>,
        team: &T,
        out: W,
        each: &(impl Fn(Range<usize>, W) + Sync),
    ) {
        let n = ranges.len();
        let (start, end) = (self.bound(ranges.start), self.bound(ranges.end));
        if n <= 1 {
            return each(start..end, out);
        }
        let middle = ranges.start + n / 2;
        let (one, other) = out.cut(self.bound(middle) - start, n / 2);
        team.join(
            || self.halve(ranges.start..middle, team, one, each),
            || self.halve(middle..ranges.end, team, other, each),
        );
    }
}

/// Memory that can be shared out among ranges.
pub(crate) trait Share: Sized + Send {
    /// What belongs to the first units, which are so many ranges, and the rest.
    fn cut(self, units: usize, ranges: usize) -> (Self, Self);
}

/// Elements of which each unit has so many.
#[derive(Debug)]
pub(crate) struct PerUnit<'a, T>(pub &'a mut [T], pub usize);

impl<T: Send> Share for PerUnit<'_, T> {
    fn cut(self, units: usize, _: usize) -> (Self, Self) {
        let (one, other) = split_mut(self.0, units * self.1);
        (Self(one, self.1), Self(other, self.1))
    }
}

/// Elements of which each range has so many.
#[derive(Debug)]
pub(crate) struct PerRange<'a, T>(pub &'a mut [T], pub usize);

impl<T: Send> Share for PerRange<'_, T> {
    fn cut(self, _: usize, ranges: usize) -> (Self, Self) {
        let (one, other) = split_mut(self.0, ranges * self.1);
        (Self(one, self.1), Self(other, self.1))
    }
}

impl<A: Share, B: Share> Share for (A, B) {
    fn cut(self, units: usize, ranges: usize) -> (Self, Self) {
        let ((a, c), (b, d)) = (self.0.cut(units, ranges), self.1.cut(units, ranges));
        ((a, b), (c, d))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::vec::Vec;

    /// Divides everything into so many ranges, which threads do.
    struct Threads(usize);

    impl Team for Threads {
        const MOST: usize = usize::MAX;

        fn ranges(&self, _: usize) -> usize {
            self.0
        }

        fn join(&self, one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
            std::thread::scope(|scope| {
                scope.spawn(other);
                one();
            });
        }
    }

    fn listed<T: Team>(ranges: Ranges) -> Vec<Range<usize>> {
        let mut listed = Vec::new();
        ranges.each::<T>(|range| listed.push(range));
        listed
    }

    #[test]
    fn ranges_follow_each_other_and_leave_nothing_out() {
        for len in [0, 1, 2, 7, 8, 9, 31, 97, 144, 768] {
            for n in [1, 2, 3, 5, 8, 200] {
                let ranges = listed::<Threads>(Ranges::new(&Threads(n), len, 1));
                assert!(ranges.len() <= n.min(len.max(1)));
                assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, len));
                assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start), "{ranges:?}");
            }
        }
    }

    #[test]
    fn every_range_has_its_share() {
        for (len, n) in [(0, 3), (1, 3), (13, 1), (13, 4), (64, 3), (97, 5)] {
            let (mut units, mut counts) = (std::vec![0; 3 * len], std::vec![0; 2 * n]);
            let calls = AtomicUsize::new(0);
            let ranges = Ranges::new(&Threads(n), len, 1);
            ranges.share(&Threads(n), (PerUnit(&mut units, 3), PerRange(&mut counts, 2)), |range, (units, counts)| {
                calls.fetch_add(1, Ordering::Relaxed);
                assert_eq!(units.0.len(), 3 * range.len());
                counts.0[0] += range.len();
                units.0.chunks_mut(3).zip(range).for_each(|(unit, i)| unit.fill(i));
            });
            assert_eq!(calls.into_inner(), listed::<Threads>(ranges).len());
            assert!(units.iter().enumerate().all(|(i, &unit)| unit == i / 3), "{units:?}");
            assert_eq!(counts.iter().sum::<usize>(), len);
        }
    }

    #[test]
    fn one_core_divides_nothing() {
        let all = listed::<Solo>(Ranges::new(&Solo, 500, usize::MAX));
        assert_eq!((all.len(), &all[0]), (1, &(0..500)));
        let mut calls = [0];
        Ranges::new(&Solo, 500, 9).share(&Solo, PerRange(&mut calls, 1), |_, calls| calls.0[0] += 1);
        assert_eq!(calls, [1]);
    }
}
