//! How the tokens of a vocabulary come to be.

use std::collections::{HashMap, HashSet};

use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::Unit;

use super::super::SectionParts;
use super::super::byte_pairs::BytePairs;
use super::super::merge::{Merge, Merger, Merges};
use super::super::ranked_tokens::RankedTokens;
use super::super::scored_tokens::ScoredTokens;

/// How a token comes to be in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Making {
    /// The two that its last merge joins; none where no merge makes it.
    pub parts: Option<[TokenId; 2]>,
    /// The place of that merge in the order, or of a character that is a token among them; none where texts do not come to
    /// it so.
    pub rank: Option<u32>,
    /// Whether it stays whatever else does: without it some text could not be written.
    pub stays: bool,
}

impl Making {
    const STAYS: Self = Self { parts: None, rank: None, stays: true };
}

/// How each token comes to be.
pub fn makings(parts: &SectionParts) -> Vec<Making> {
    match parts {
        SectionParts::Chars(chars) => vec![Making::STAYS; chars.len()],
        SectionParts::BytePairs(pairs) => of_byte_pairs(pairs),
        SectionParts::Scored(tokens) => of_scored(tokens),
        SectionParts::Ranked(tokens) => of_ranked(tokens),
    }
}

fn of_byte_pairs(pairs: &BytePairs) -> Vec<Making> {
    let ranked = (0..).zip(pairs.merges().iter().zip(pairs.merged()));
    let mut last = LastMerges::new(ranked.map(|(rank, (&pair, &token))| (pair, Merge { rank, token })));
    let single = |(id, bytes): (TokenId, &Vec<u8>)| <[u8; 1]>::try_from(bytes.as_slice()).ok().map(|[byte]| (byte, id));
    let bytes: HashMap<u8, TokenId> = (0..).zip(pairs.tokens()).filter_map(single).collect();
    let making = |(id, text): (TokenId, &Vec<u8>)| match text.as_slice() {
        [_] => Making::STAYS,
        text => {
            let spelled: Option<Vec<TokenId>> = text.iter().map(|byte| bytes.get(byte).copied()).collect();
            let made = spelled.and_then(|spelled| last.of(id, spelled));
            made.map_or_else(Making::default, |(parts, rank)| Making {
                parts: Some(parts),
                rank: Some(rank),
                stays: false,
            })
        }
    };
    let mut makings: Vec<Making> = (0..).zip(pairs.tokens()).map(making).collect();
    pairs.specials().iter().for_each(|&id| makings[id as usize].stays = true);
    makings
}

fn of_scored(tokens: &ScoredTokens) -> Vec<Making> {
    let ids: HashMap<&[u8], TokenId> = tokens.ranked().map(|(id, bytes, _)| (bytes, id)).collect();
    let mut merges = Vec::new();
    for (token, bytes, rank) in tokens.ranked() {
        for (left, right) in (1..bytes.len()).map(|at| bytes.split_at(at)) {
            if let (Some(&left), Some(&right)) = (ids.get(left), ids.get(right)) {
                merges.push(((left, right), Merge { rank, token }));
            }
        }
    }
    let mut last = LastMerges::new(merges.into_iter());
    let of_character = |c: char| ids.get(c.encode_utf8(&mut [0; 4]).as_bytes()).copied();
    let has_bytes = |text: &[u8]| text.iter().all(|&byte| tokens.bytes()[usize::from(byte)].is_some());
    let mut makings = vec![Making::default(); tokens.tokens().len()];
    for (id, bytes, rank) in tokens.ranked() {
        let Ok(text) = str::from_utf8(bytes) else { continue };
        let spelled: Option<Vec<TokenId>> = text.chars().map(of_character).collect();
        makings[id as usize] = match spelled {
            Some(spelled) if spelled.len() == 1 => Making { parts: None, rank: Some(rank), stays: !has_bytes(bytes) },
            Some(spelled) => match last.of(id, spelled) {
                Some((parts, rank)) => Making { parts: Some(parts), rank: Some(rank), stays: false },
                None => Making::default(),
            },
            None => Making::default(),
        };
    }
    let stay = tokens.bytes().iter().flatten().copied().chain(controls(tokens));
    stay.for_each(|id| makings[id as usize].stays = true);
    makings
}

fn of_ranked(tokens: &RankedTokens) -> Vec<Making> {
    let ranked = (0..).zip(tokens.merges());
    let mut last = LastMerges::new(ranked.map(|(rank, &[left, right, token])| ((left, right), Merge { rank, token })));
    let text = |id: TokenId| tokens.tokens()[id as usize].as_slice();
    let is_bytes = tokens.rules().unit == Unit::Bytes;
    let has_all_bytes = tokens.bytes().iter().all(Option::is_some);
    let listed: HashMap<&[u8], TokenId> = tokens.texts().iter().map(|&id| (text(id), id)).collect();
    let of_bytes =
        |bytes: &[u8]| bytes.iter().map(|&byte| tokens.bytes()[usize::from(byte)]).collect::<Option<Vec<_>>>();
    let of_character = |c: char| {
        let mut buffer = [0; 4];
        let bytes = c.encode_utf8(&mut buffer).as_bytes();
        listed.get(bytes).map(|&id| vec![id]).or_else(|| of_bytes(bytes))
    };
    let spelled = |text: &[u8]| match is_bytes {
        true => of_bytes(text),
        false => {
            str::from_utf8(text).ok()?.chars().map(of_character).collect::<Option<Vec<_>>>().map(|all| all.concat())
        }
    };
    let making = |id: TokenId| {
        let text = text(id);
        if tokens.byte_of(id).is_some() {
            return Making::STAYS;
        }
        let is_character = !is_bytes && str::from_utf8(text).is_ok_and(|text| text.chars().count() == 1);
        if is_character && listed.get(text) == Some(&id) {
            // A space is what others are written as; and where some have no bytes, the token for these goes before the next
            // character, and behind the next bytes.
            let stays = !has_all_bytes || text == b" ";
            return Making { parts: None, rank: Some(0), stays };
        }
        let made = spelled(text).and_then(|spelled| last.of(id, spelled));
        made.map_or_else(Making::default, |(parts, rank)| Making { parts: Some(parts), rank: Some(rank), stays: false })
    };
    let mut makings: Vec<Making> = (0..tokens.tokens().len() as TokenId).map(making).collect();
    let stay = tokens.added().iter().map(|added| added.token).chain(tokens.rules().unknown);
    stay.for_each(|id| makings[id as usize].stays = true);
    makings
}

/// The tokens that no text has: unknown, beginning and end, and whatever else has a name of its own.
fn controls(tokens: &ScoredTokens) -> Vec<TokenId> {
    /// The unknown, the beginning and the end, where no text makes them.
    const FIRST: TokenId = 3;
    let mut seen: HashSet<&[u8]> = tokens.ranked().map(|(_, bytes, _)| bytes).collect();
    let mut controls = Vec::new();
    for (id, (bytes, rank)) in (0..).zip(tokens.tokens().iter().zip(tokens.ranks())) {
        let is_new = !bytes.is_empty() && !seen.contains(bytes.as_slice());
        if rank.is_none() && (is_new || id < FIRST) {
            controls.push(id);
            seen.insert(bytes);
        }
    }
    controls
}

/// Finds the last merge of tokens.
struct LastMerges {
    merges: Merges,
    /// The pairs that make each token.
    pairs: HashMap<TokenId, Vec<(TokenId, TokenId)>>,
    merger: Merger,
}

impl LastMerges {
    fn new(merges: impl Iterator<Item = ((TokenId, TokenId), Merge)>) -> Self {
        let merges: Merges = merges.collect();
        let mut pairs = HashMap::<_, Vec<_>>::new();
        merges.iter().for_each(|(&pair, merge)| pairs.entry(merge.token).or_default().push(pair));
        Self { merges, pairs, merger: Merger::default() }
    }

    /// The pair that the token's text, from these symbols on, comes to before the last merge makes it, and that merge's
    /// rank. A token is all of its text: what makes it is the last merge, and without that the two it joins are left.
    fn of(&mut self, token: TokenId, symbols: Vec<TokenId>) -> Option<([TokenId; 2], u32)> {
        let own: Vec<_> = self.pairs.get(&token)?.iter().map(|pair| (*pair, self.merges[pair])).collect();
        for (pair, _) in &own {
            self.merges.remove(pair);
        }
        let mut left = Vec::new();
        self.merger.merge(&self.merges, symbols.into_iter(), &mut left);
        let made = match left[..] {
            [a, b] => own.iter().find(|(pair, _)| *pair == (a, b)).map(|(_, merge)| ([a, b], merge.rank)),
            _ => None,
        };
        self.merges.extend(own);
        made
    }
}
