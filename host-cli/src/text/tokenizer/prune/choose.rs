//! Which tokens stay.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use emberlm_core::config::TokenId;

use super::making::Making;

/// The tokens that stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Their ids, ascending.
    pub ids: Vec<TokenId>,
    /// How many the texts need, with those that always stay and all that either are merged of.
    pub needed: u32,
}

/// More tokens stay than are to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--keep {have} is too few: need {need}, for bytes, characters that no bytes spell, special tokens and all that these are \
     merged of, have {have}"
)]
pub struct TooFew {
    /// Those that always stay.
    pub need: u32,
    /// How many are to be kept.
    pub have: u32,
}

/// How a token stands in the order in which they leave: the least first.
type Place = (u64, Reverse<u32>, Reverse<TokenId>);

/// Leaves `keep` tokens, or all where there are fewer. The first to leave are those that texts have least often, by
/// `counts`, of these those whose merge comes last, and then those that no merge makes; but none that another is merged of
/// leaves before that does. A text has the parts of a token that left as often as it had that.
///
/// # Errors
/// More than that always stay.
pub fn choose(makings: &[Making], counts: &[u64], keep: u32) -> Result<Chosen, TooFew> {
    let needed = needed(makings, counts);
    let mut counts = counts.to_vec();
    let mut n_wholes = vec![0u32; makings.len()];
    let parts = makings.iter().filter_map(|making| making.parts).flatten();
    parts.for_each(|part| n_wholes[part as usize] += 1);
    let place = |id: usize, counts: &[u64]| -> Reverse<Place> {
        Reverse((counts[id], Reverse(makings[id].rank.unwrap_or(u32::MAX)), Reverse(id as TokenId)))
    };
    let leaves = |id: usize, n_wholes: &[u32]| !makings[id].stays && n_wholes[id] == 0;
    let free = (0..makings.len()).filter(|&id| leaves(id, &n_wholes));
    let mut queue: BinaryHeap<Reverse<Place>> = free.map(|id| place(id, &counts)).collect();
    let mut is_kept = vec![true; makings.len()];
    let mut n_kept = makings.len();
    while n_kept > keep as usize {
        let Some(Reverse((count, _, Reverse(id)))) = queue.pop() else {
            return Err(TooFew { need: n_kept as u32, have: keep });
        };
        is_kept[id as usize] = false;
        n_kept -= 1;
        for part in makings[id as usize].parts.into_iter().flatten().map(|part| part as usize) {
            counts[part] += count;
            n_wholes[part] -= 1;
            if leaves(part, &n_wholes) {
                queue.push(place(part, &counts));
            }
        }
    }
    let ids = (0..).zip(is_kept).filter(|&(_, is_kept)| is_kept).map(|(id, _)| id).collect();
    Ok(Chosen { ids, needed })
}

/// How many tokens the texts need.
fn needed(makings: &[Making], counts: &[u64]) -> u32 {
    let mut is_needed = vec![false; makings.len()];
    let is_of_text = |&id: &TokenId| makings[id as usize].stays || counts[id as usize] > 0;
    let mut left: Vec<TokenId> = (0..makings.len() as TokenId).filter(is_of_text).collect();
    while let Some(id) = left.pop() {
        if !std::mem::replace(&mut is_needed[id as usize], true) {
            left.extend(makings[id as usize].parts.into_iter().flatten());
        }
    }
    is_needed.into_iter().filter(|&is_needed| is_needed).count() as u32
}
