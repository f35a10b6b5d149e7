//! Merging the bytes of one piece of text, in time of order `n log n`.
//!
//! The pair of least rank merges first, the leftmost of equals before the others, as core's `merge` does it without a heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use emberlm_core::config::TokenId;

/// Which pairs merge.
pub type Merges = HashMap<(TokenId, TokenId), Merge>;

/// What a pair becomes.
#[derive(Clone, Copy, Debug)]
pub struct Merge {
    /// Its place in the order.
    pub rank: u32,
    /// The two joined.
    pub token: TokenId,
}

/// The place behind the last symbol.
const END: usize = usize::MAX;

/// A token of the piece, in a list linked by places.
#[derive(Clone, Copy)]
struct Symbol {
    /// None where the one before took it up.
    token: Option<TokenId>,
    before: usize,
    behind: usize,
}

/// The memory of merging, used again for each piece.
#[derive(Default)]
pub struct Merger {
    symbols: Vec<Symbol>,
    /// Ranks of pairs and the places of their left parts. A pair that is there no more leaves its entry.
    queue: BinaryHeap<Reverse<(u32, usize)>>,
}

impl Merger {
    /// Merges `tokens`, single bytes, and appends what is left to `out`.
    pub fn merge(&mut self, merges: &Merges, tokens: impl Iterator<Item = TokenId>, out: &mut Vec<TokenId>) {
        self.symbols.clear();
        self.symbols.extend(tokens.enumerate().map(|(at, token)| Symbol {
            token: Some(token),
            before: at.checked_sub(1).unwrap_or(END),
            behind: at + 1,
        }));
        if let Some(last) = self.symbols.last_mut() {
            last.behind = END;
        }
        for at in 0..self.symbols.len() {
            self.expect(merges, at);
        }
        while let Some(Reverse((rank, at))) = self.queue.pop() {
            if let Some(merge) = self.pair(merges, at).filter(|merge| merge.rank == rank) {
                self.join(at, merge.token);
                self.expect(merges, self.symbols[at].before);
                self.expect(merges, at);
            }
        }
        out.extend(self.symbols.iter().filter_map(|symbol| symbol.token));
    }

    /// What becomes of the symbol at `at` and the one behind it.
    fn pair(&self, merges: &Merges, at: usize) -> Option<Merge> {
        let left = self.symbols.get(at)?;
        let right = self.symbols.get(left.behind)?;
        merges.get(&(left.token?, right.token?)).copied()
    }

    /// Puts the pair that begins at `at` in its turn.
    fn expect(&mut self, merges: &Merges, at: usize) {
        if let Some(merge) = self.pair(merges, at) {
            self.queue.push(Reverse((merge.rank, at)));
        }
    }

    /// Makes one `token` of the symbol at `at` and the one behind it.
    fn join(&mut self, at: usize, token: TokenId) {
        let right = self.symbols[at].behind;
        let behind = self.symbols[right].behind;
        self.symbols[right].token = None;
        self.symbols[at].token = Some(token);
        self.symbols[at].behind = behind;
        if let Some(symbol) = self.symbols.get_mut(behind) {
            symbol.before = at;
        }
    }
}
