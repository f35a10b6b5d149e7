//! The memory for a text's tokens, filled piece by piece.

use super::EncodeError;
use super::merge::{Merges, merge_all};
use crate::config::TokenId;
use crate::part::{copy, part, part_mut};

/// Bytes of a piece of text, at most, that need no more room than its tokens.
pub const MAX_SHORT_PIECE: usize = 64;

/// The memory for tokens, and how much of it is needed.
pub(super) struct Output<'o> {
    out: &'o mut [TokenId],
    /// Tokens so far, those for which there is no room included.
    need: usize,
}

impl<'o> Output<'o> {
    pub const fn new(out: &'o mut [TokenId]) -> Self {
        Self { out, need: 0 }
    }

    pub fn push(&mut self, tokens: &[TokenId]) {
        let end = self.need.saturating_add(tokens.len());
        if let Some(places) = self.out.get_mut(self.need..end) {
            copy(places, tokens);
        }
        self.need = end;
    }

    /// Adds a piece of text: what `spell` puts in the place for `len` tokens merges. It says how many they are.
    pub fn push_merged(
        &mut self,
        merges: &impl Merges,
        len: usize,
        spell: impl FnOnce(&mut [TokenId]) -> Result<usize, EncodeError>,
    ) -> Result<(), EncodeError> {
        let merge = |tokens: &mut [TokenId]| {
            let n = spell(tokens)?;
            Ok(merge_all(merges, part_mut(tokens, ..n)))
        };
        let mut short = [0; MAX_SHORT_PIECE];
        if let Some(tokens) = short.get_mut(..len) {
            let n = merge(tokens)?;
            self.push(part(tokens, ..n));
        } else {
            let end = self.need.saturating_add(len);
            match self.out.get_mut(self.need..end) {
                Some(tokens) => self.need += merge(tokens)?,
                None => self.need = end,
            }
        }
        Ok(())
    }

    /// How many tokens the text has become.
    pub fn finish(self) -> Result<usize, EncodeError> {
        let (need, have) = (self.need, self.out.len());
        if need > have { Err(EncodeError::TooManyTokens { need, have }) } else { Ok(need) }
    }
}
