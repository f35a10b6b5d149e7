//! Merging the tokens of one piece of text, in memory of the piece's length.
//!
//! The pair of least rank merges first, the leftmost of equals before the others. So that a merge does not cost a look at
//! the whole of a long piece, its tokens lie in up to [`N_BLOCKS`] blocks, each of which remembers the least rank that it
//! holds; a merge looks at its own block and the neighbours. A pass over a block merges all that it holds of the rank.
//! For `n` tokens that is up to `n^2 / 32` looks at pairs, and `64 n` for fewer than 2,048; of order `n` for a run of one
//! character, times the number of distinct merges in it.

use super::words::NONE;
use crate::config::TokenId;

/// Blocks that a long piece is divided into.
const N_BLOCKS: usize = 64;

/// Tokens of a block, at least: shorter pieces are one block.
const MIN_BLOCK: usize = 32;

/// What a pair becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Merge {
    /// Its place in the order; not [`NONE`]. Pairs may share it.
    pub rank: u32,
    /// The two joined: longer than either.
    pub token: TokenId,
}

/// Which pairs merge.
pub(super) trait Merges {
    /// What `left` and `right` become, `None` where they do not merge.
    fn merge(&self, left: TokenId, right: TokenId) -> Option<Merge>;
}

/// The tokens of one piece.
struct Piece<'t, M> {
    merges: &'t M,
    tokens: &'t mut [TokenId],
    /// Places of `tokens` that belong to a block; its tokens are the first of them.
    block_len: usize,
    blocks: [Block; N_BLOCKS],
    n_blocks: usize,
}

#[derive(Clone, Copy)]
struct Block {
    len: usize,
    /// The least rank of a pair whose left part is in the block; [`NONE`] where no pair merges.
    least: u32,
}

/// Merges `tokens` and says how many are left, at the front.
pub(super) fn merge_all(merges: &impl Merges, tokens: &mut [TokenId]) -> usize {
    let len = tokens.len();
    let block_len = len.div_ceil(N_BLOCKS).max(MIN_BLOCK);
    let n_blocks = len.div_ceil(block_len);
    let mut blocks = [Block { len: 0, least: NONE }; N_BLOCKS];
    for (index, block) in blocks.iter_mut().enumerate().take(n_blocks) {
        block.len = block_len.min(len - index * block_len);
    }
    let mut piece = Piece { merges, tokens, block_len, blocks, n_blocks };
    for index in 0..n_blocks {
        piece.update_least(index);
    }
    while let Some((index, rank)) = piece.first_least() {
        piece.merge_in_block(index, rank);
    }
    piece.compact()
}

impl<M: Merges> Piece<'_, M> {
    /// The first block with the least rank, and that rank.
    fn first_least(&self) -> Option<(usize, u32)> {
        let ranks = self.blocks.iter().take(self.n_blocks).map(|block| block.least);
        ranks.enumerate().min_by_key(|&(_, rank)| rank).filter(|&(_, rank)| rank != NONE)
    }

    fn block_len_of(&self, index: usize) -> usize {
        self.blocks.get(index).map_or(0, |block| block.len)
    }

    fn token(&self, index: usize, at: usize) -> Option<TokenId> {
        if at < self.block_len_of(index) { self.tokens.get(index * self.block_len + at).copied() } else { None }
    }

    /// The next block after `index` that is not empty.
    fn next_block(&self, index: usize) -> Option<usize> {
        (index + 1..self.n_blocks).find(|&next| self.block_len_of(next) > 0)
    }

    /// The last block before `index` that is not empty.
    fn block_before(&self, index: usize) -> Option<usize> {
        (0..index).rev().find(|&previous| self.block_len_of(previous) > 0)
    }

    /// The token before a block.
    fn last_before(&self, index: usize) -> Option<TokenId> {
        let previous = self.block_before(index)?;
        self.token(previous, self.block_len_of(previous).checked_sub(1)?)
    }

    /// The token at `at` of a block, or the first one behind the block.
    fn token_or_next(&self, index: usize, at: usize) -> Option<TokenId> {
        self.token(index, at).or_else(|| self.token(self.next_block(index)?, 0))
    }

    fn rank(&self, left: Option<TokenId>, right: Option<TokenId>) -> u32 {
        let merge = left.zip(right).and_then(|(left, right)| self.merges.merge(left, right));
        merge.map_or(NONE, |merge| merge.rank)
    }

    fn update_least(&mut self, index: usize) {
        let mut least = NONE;
        for at in 0..self.block_len_of(index) {
            least = least.min(self.rank(self.token(index, at), self.token_or_next(index, at + 1)));
        }
        if let Some(block) = self.blocks.get_mut(index) {
            block.least = least;
        }
    }

    /// Merges the pairs of `rank` that start in a block, from the left, until one of them makes a pair whose turn
    /// comes before that of the next.
    fn merge_in_block(&mut self, index: usize, rank: u32) {
        let len = self.block_len_of(index);
        let (mut read, mut write, mut is_done) = (0, 0, false);
        let mut before = self.last_before(index);
        while let Some(mut token) = self.token(index, read) {
            read += 1;
            let next = if is_done { None } else { self.token_or_next(index, read) };
            let merge = next.and_then(|next| self.merges.merge(token, next));
            if let Some(Merge { token: whole, .. }) = merge.filter(|merge| merge.rank == rank) {
                token = whole;
                if read < len {
                    read += 1;
                } else {
                    self.drop_first_behind(index);
                }
                let after = self.token_or_next(index, read);
                is_done = self.rank(before, Some(token)) <= rank || self.rank(Some(token), after) <= rank;
            }
            if let Some(place) = self.tokens.get_mut(index * self.block_len + write) {
                *place = token;
            }
            before = Some(token);
            write += 1;
        }
        if let Some(block) = self.blocks.get_mut(index) {
            block.len = write;
        }
        self.update_least(index);
        // The pair that leads from the block before into this one may be another.
        if let Some(previous) = self.block_before(index) {
            self.update_least(previous);
        }
    }

    /// Removes the first token behind a block.
    fn drop_first_behind(&mut self, index: usize) {
        let Some(next) = self.next_block(index) else { return };
        let (start, len) = (next * self.block_len, self.block_len_of(next));
        if let Some(tokens) = self.tokens.get_mut(start..start + len) {
            tokens.rotate_left(1);
        }
        if let Some(block) = self.blocks.get_mut(next) {
            block.len = len - 1;
        }
        self.update_least(next);
    }

    /// Moves all tokens to the front.
    fn compact(self) -> usize {
        let mut len = 0;
        for (index, block) in self.blocks.iter().enumerate().take(self.n_blocks) {
            for from in index * self.block_len..index * self.block_len + block.len {
                let token = self.tokens.get(from).copied().unwrap_or_default();
                if let Some(place) = self.tokens.get_mut(len) {
                    *place = token;
                }
                len += 1;
            }
        }
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::vec::Vec;

    /// Tokens that say where they start and how long they are, in 12 bits; any two merge that are no longer than `longest`
    /// together, each pair at a rank of its own.
    struct Counted {
        looks: Cell<usize>,
        longest: u32,
    }

    impl Merges for Counted {
        fn merge(&self, left: TokenId, right: TokenId) -> Option<Merge> {
            self.looks.set(self.looks.get() + 1);
            let token = left + (right & 0xfff);
            let rank = token.wrapping_mul(2_654_435_761) >> 1;
            if token & 0xfff > self.longest { None } else { Some(Merge { rank, token }) }
        }
    }

    #[test]
    fn a_long_piece_takes_no_more_looks_than_is_said() {
        let mut most = 0.0_f64;
        for n in [64, 500, 1000, 2048, 4000, 10_000] {
            for longest in [2, 8, 60, 2000] {
                let merges = Counted { looks: Cell::new(0), longest };
                let mut tokens: Vec<TokenId> = (0..n).map(|start| start << 12 | 1).collect();
                let left = merge_all(&merges, &mut tokens);
                assert!(left * longest as usize >= n as usize);
                let (n, looks) = (n as usize, merges.looks.get());
                let said = n * n.max(2048) / 32;
                most = most.max(looks as f64 / said as f64);
                assert!(looks <= said, "{looks} looks at {n} tokens");
            }
        }
        assert!(most > 0.7, "what is said is far more than what is looked at: {most}");
    }
}
