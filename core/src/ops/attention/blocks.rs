//! What a query sees of a cache, block by block.

use crate::features::WINDOWS;
use core::ops::Range;

/// Positions of a block: what is made of all their scores comes before the first of their values.
pub(super) const BLOCK: usize = 32;

/// Rows of a cache, of which row `p % slots` holds position `p`. Without the feature `windows` it is row `p`, and a ring
/// takes no memory.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    slots: [usize; WINDOWS as usize],
}

impl Ring {
    /// Of so many rows: a multiple of 32, or no position reaches it.
    #[inline(always)]
    pub const fn new(slots: usize) -> Self {
        Self { slots: [slots; WINDOWS as usize] }
    }

    /// The row of a position.
    #[inline(always)]
    pub fn row(self, position: usize) -> usize {
        match self.slots.first() {
            // Division is a library's on some cores, and mostly there is nothing to divide.
            Some(&slots) if position >= slots => position.checked_rem(slots).unwrap_or(0),
            _ => position,
        }
    }

    /// The row behind `n` others.
    #[inline(always)]
    fn after(self, row: usize, n: usize) -> usize {
        if self.slots.first().is_some_and(|&slots| row + n >= slots) { 0 } else { row + n }
    }

    /// Rows from the first one on that hold all positions below `end`.
    #[inline(always)]
    pub(crate) fn n_rows(self, end: usize) -> usize {
        self.slots.first().map_or(end, |&slots| end.min(slots))
    }
}

/// The positions that a query sees, and the rows that they lie in.
#[derive(Clone, Debug)]
pub struct Seen {
    positions: Range<usize>,
    ring: Ring,
}

impl Seen {
    /// Without the feature `windows` all positions before the last of `positions` are seen.
    #[inline(always)]
    pub const fn new(positions: Range<usize>, ring: Ring) -> Self {
        Self { positions, ring }
    }

    /// The first `n` positions, each in the row of its number.
    pub const fn first(n: usize) -> Self {
        Self::new(0..n, Ring::new(n))
    }

    /// Blocks of up to [`BLOCK`] positions, each as its first row and how many rows it has. They end at multiples of
    /// [`BLOCK`], counted from position 0, and with the last position.
    #[inline(always)]
    pub(super) fn blocks(self) -> impl Iterator<Item = (usize, usize)> {
        let Self { positions: Range { start, end }, ring } = self;
        let mut at = if WINDOWS { start } else { 0 };
        let mut next = ring.row(at);
        core::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let block = (next, (BLOCK - at % BLOCK).min(end - at));
            at += block.1;
            next = ring.after(next, block.1);
            Some(block)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn blocks(positions: Range<usize>, slots: usize) -> Vec<(usize, usize)> {
        Seen::new(positions, Ring::new(slots)).blocks().collect()
    }

    #[test]
    fn all_positions_come_in_full_blocks_and_a_rest() {
        assert_eq!(blocks(0..70, 70), [(0, 32), (32, 32), (64, 6)]);
        assert_eq!(blocks(0..64, 100), [(0, 32), (32, 32)]);
        assert_eq!(blocks(0..1, 1), [(0, 1)]);
        assert_eq!(blocks(0..0, 0), []);
    }

    #[test]
    fn blocks_stay_where_they_are_counted_from_0() {
        if !WINDOWS {
            return;
        }
        assert_eq!(blocks(31..70, 70), [(31, 1), (32, 32), (64, 6)]);
        assert_eq!(blocks(32..70, 96), [(32, 32), (64, 6)]);
        assert_eq!(blocks(33..40, 96), [(33, 7)]);
        assert_eq!(blocks(90..131, 64), [(26, 6), (32, 32), (0, 3)]);
        assert_eq!(blocks(6_400_000..6_400_064, 64), [(0, 32), (32, 32)]);
        assert_eq!(blocks(5..9, 0), [(0, 4)]);
    }

    #[test]
    fn every_position_comes_once_and_in_its_row() {
        if !WINDOWS {
            return;
        }
        for slots in [32, 64, 96, 160] {
            for start in (0..300).step_by(if cfg!(miri) { 37 } else { 1 }) {
                for n in [1, 2, 31, 32, 33, 64, 65].into_iter().filter(|&n| n <= slots) {
                    let rows = blocks(start..start + n, slots).into_iter().flat_map(|(first, n)| first..first + n);
                    assert!(rows.eq((start..start + n).map(|position| position % slots)), "{start} {n} {slots}");
                }
            }
        }
    }
}
