//! A part of a vocabulary, by which every text can still be encoded.
//!
//! [`making`] says how each token comes to be, [`choose`](mod@choose) which of them stay, and [`full_ids`] finds again what they were.
//!
//! Tokens leave one by one, and never one that another is merged of. So all merges that lead to a token that stays are
//! still there, in their order; and where all tokens of a text stay, the same pairs merge as before, for each of them is
//! the first among more that could merge: the text has the same tokens.

pub mod choose;
pub mod full_ids;
pub mod making;
#[cfg(test)]
mod tests;

use emberlm_core::config::TokenId;

use super::SectionParts;
use crate::ground::kept::Kept;
use choose::{Chosen, TooFew, choose};
use making::makings;

/// A vocabulary that was cut.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// The tokenizer of what is left.
    pub parts: SectionParts,
    /// The tokens that are left.
    pub kept: Kept,
    /// Tokens that the texts need, with those that always stay.
    pub needed: u32,
}

/// Leaves `keep` tokens of the tokenizer of a model of `n_vocab`, by how often texts have each, `counts`. `named` are tokens
/// that stay because the model names them.
///
/// # Errors
/// More than that always stay.
pub fn prune(
    parts: &SectionParts,
    n_vocab: u32,
    named: &[TokenId],
    counts: &[u64],
    keep: u32,
) -> Result<Pruned, TooFew> {
    let mut makings = makings(parts);
    makings.resize(n_vocab as usize, making::Making::default());
    for &id in named {
        makings[id as usize].stays = true;
    }
    let Chosen { ids, needed } = choose(&makings, counts, keep)?;
    let kept = Kept::new(ids, n_vocab);
    let mut parts = parts.clone();
    parts.keep(&kept);
    Ok(Pruned { parts, kept, needed })
}

/// How often rows of tokens have each of `n_vocab`.
pub fn count<'r>(rows: impl IntoIterator<Item = &'r [TokenId]>, n_vocab: u32) -> Vec<u64> {
    let mut counts = vec![0; n_vocab as usize];
    rows.into_iter().flatten().for_each(|&id| counts[id as usize] += 1);
    counts
}
