//! Which pairs of tokens merge, found by a hash table.

use super::merge::{Merge, Merges};
use super::words::Table;
use super::{TokenizerError, TokenizerHead};
use crate::config::TokenId;

/// Places of the hash table that are looked at, at most, for a pair.
pub const MAX_PROBES: u32 = 64;

/// The place in a hash table of `n_slots` places, a power of two, where the search for a pair begins.
#[inline]
pub const fn first_slot(left: TokenId, right: TokenId, n_slots: u32) -> u32 {
    let hash = left.wrapping_mul(0x9E37_79B1).wrapping_add(right).wrapping_mul(0x85EB_CA77);
    (hash ^ hash >> 15) & n_slots.wrapping_sub(1)
}

/// Pairs of tokens by rank.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pairs<'a> {
    /// Left part, right part and what they become, by rank.
    merges: Table<'a, 3>,
    /// Ranks, or none.
    slots: Table<'a, 1>,
}

impl<'a> Pairs<'a> {
    /// Takes both tables from the front of `tables`; `None` where they are too short, or have no such lengths.
    pub fn take(head: &TokenizerHead, tables: &mut &'a [u8]) -> Option<Self> {
        if !head.n_slots.is_power_of_two() || head.n_slots <= head.n_merges {
            return None;
        }
        Some(Self { merges: Table::take(tables, head.n_merges)?, slots: Table::take(tables, head.n_slots)? })
    }

    /// Checks that each merge makes a token of the text of both its parts, and is found.
    pub fn check(&self, token_bytes: impl Fn(TokenId) -> Option<&'a [u8]>) -> Result<(), TokenizerError> {
        let text = |token| token_bytes(token).filter(|text| !text.is_empty());
        for (rank, [left, right, token]) in (0..).zip(self.merges.iter()) {
            let parts = text(left).zip(text(right)).zip(text(token));
            let joins = parts.is_some_and(|((left, right), whole)| whole.strip_prefix(left) == Some(right));
            if !joins || self.merge(left, right) != Some(Merge { rank, token }) {
                return Err(TokenizerError::Merge(rank));
            }
        }
        Ok(())
    }

    /// Left part, right part and what they become, by rank.
    pub const fn merges(&self) -> Table<'a, 3> {
        self.merges
    }
}

impl Merges for Pairs<'_> {
    #[inline]
    fn merge(&self, left: TokenId, right: TokenId) -> Option<Merge> {
        let n_slots = self.slots.len() as u32;
        let first = first_slot(left, right, n_slots);
        for probe in 0..MAX_PROBES {
            let [rank] = self.slots.get((first.wrapping_add(probe) & n_slots.wrapping_sub(1)) as usize)?;
            let [l, r, token] = self.merges.get(rank as usize)?;
            if (l, r) == (left, right) {
                return Some(Merge { rank, token });
            }
        }
        None
    }
}
