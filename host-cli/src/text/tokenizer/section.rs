//! A blob's tokeniser section: the parts that encode text, to its bytes and back.

use emberlm_core::tokenizer::{self as core, AddedTokens, MAX_PROBES, TokenizerHead, first_slot, first_slot_of_text};

use super::byte_pairs::BytePairs;
use super::ranked_tokens::{AddedToken, RankedParts, RankedTokens};
use super::scored_tokens::ScoredTokens;
use super::{SectionParts, TokenizerError};

/// An entry that stands for nothing.
const NONE: u32 = u32::MAX;

const ORIGIN: &str = "the blob's tokeniser section";

/// The bytes of the section that holds `parts`.
pub fn encode(parts: &SectionParts) -> Vec<u8> {
    match parts {
        SectionParts::Chars(chars) => encode_chars(chars),
        SectionParts::BytePairs(pairs) => encode_byte_pairs(pairs),
        SectionParts::Scored(tokens) => encode_scored(tokens),
        SectionParts::Ranked(tokens) => encode_ranked(tokens),
    }
}

fn encode_chars(chars: &[char]) -> Vec<u8> {
    let mut sorted: Vec<u32> = (0..count(chars.len())).collect();
    sorted.sort_by_key(|&id| chars[id as usize]);
    let (kind, n_tokens) = (core::Kind::Chars, count(chars.len()));
    let head = TokenizerHead { kind, n_tokens, n_merges: 0, text_bytes: 0, n_specials: 0, n_slots: 0 };
    joined(&head, chars.iter().map(|&c| u32::from(c)).chain(sorted), &[])
}

fn encode_byte_pairs(pairs: &BytePairs) -> Vec<u8> {
    let (offsets, text) = texts(pairs.tokens());
    let firsts = |n_slots| pairs.merges().iter().map(move |&(left, right)| first_slot(left, right, n_slots));
    let slots = slots(pairs.merges().len(), |n_slots| (0..).zip(firsts(n_slots)));
    let head = TokenizerHead {
        kind: core::Kind::ByteBpe,
        n_tokens: count(pairs.tokens().len()),
        n_merges: count(pairs.merges().len()),
        text_bytes: count(text.len()),
        n_specials: count(pairs.specials().len()),
        n_slots: count(slots.len()),
    };
    let merges = pairs.merges().iter().zip(pairs.merged()).flat_map(|(&(left, right), &id)| [left, right, id]);
    let words = offsets.into_iter().chain(byte_tokens(pairs)).chain(pairs.specials().iter().copied());
    joined(&head, words.chain(merges).chain(slots), &text)
}

fn encode_scored(tokens: &ScoredTokens) -> Vec<u8> {
    let (offsets, text) = texts(tokens.tokens());
    let firsts = |n_slots| tokens.ranked().map(move |(id, bytes, _)| (id, first_slot_of_text(bytes, n_slots)));
    let slots = slots(tokens.ranked().count(), firsts);
    let head = TokenizerHead {
        kind: core::Kind::ScoredBpe,
        n_tokens: count(tokens.tokens().len()),
        n_merges: 0,
        text_bytes: count(text.len()),
        n_specials: 0,
        n_slots: count(slots.len()),
    };
    let or_none = |entry: &Option<u32>| entry.unwrap_or(NONE);
    let words = [u32::from(tokens.has_dummy_prefix())].into_iter().chain(offsets);
    let words = words.chain(tokens.bytes().iter().map(or_none)).chain(tokens.ranks().iter().map(or_none));
    joined(&head, words.chain(slots), &text)
}

fn encode_ranked(tokens: &RankedTokens) -> Vec<u8> {
    let (offsets, mut text) = texts(tokens.tokens());
    let firsts = |n_slots| tokens.merges().iter().map(move |&[left, right, _]| first_slot(left, right, n_slots));
    let slots = slots(tokens.merges().len(), |n_slots| (0..).zip(firsts(n_slots)));
    let mut entries = Vec::new();
    for added in tokens.added() {
        let flags =
            u32::from(added.takes_before) | u32::from(added.takes_behind) << 1 | u32::from(added.is_special) << 2;
        let place = added.token as usize;
        if tokens.tokens()[place] == added.text.as_bytes() {
            entries.extend([flags, offsets[place], offsets[place + 1]]);
        } else {
            let start = count(text.len());
            text.extend(added.text.as_bytes());
            entries.extend([flags, start, count(text.len())]);
        }
    }
    let n_raw = count(tokens.n_raw());
    let ids = tokens.added().iter().map(|added| added.token);
    let head = TokenizerHead {
        kind: core::Kind::RankedBpe,
        n_tokens: count(tokens.tokens().len()),
        n_merges: count(tokens.merges().len()),
        text_bytes: count(text.len()),
        n_specials: count(4 * tokens.added().len() + tokens.texts().len()),
        n_slots: count(slots.len()),
    };
    let words = tokens.rules().to_words().into_iter().chain([n_raw, count(tokens.added().len()) - n_raw]);
    let words = words.chain(offsets).chain(tokens.bytes().iter().map(|id| id.unwrap_or(NONE)));
    let words = words.chain(tokens.merges().iter().copied().flatten()).chain(slots);
    joined(&head, words.chain(ids).chain(entries).chain(tokens.texts().iter().copied()), &text)
}

/// Head, tables and text.
fn joined(head: &TokenizerHead, words: impl Iterator<Item = u32>, text: &[u8]) -> Vec<u8> {
    let mut bytes = postcard::to_stdvec(head).expect("a head of integers encodes");
    bytes.resize(TokenizerHead::BYTES, 0);
    bytes.extend(words.flat_map(u32::to_le_bytes));
    bytes.extend(text);
    bytes
}

/// Where each token's text starts and the last one ends, and the text of all.
fn texts(tokens: &[Vec<u8>]) -> (Vec<u32>, Vec<u8>) {
    let (mut offsets, mut text) = (vec![0], Vec::new());
    for token in tokens {
        text.extend(token);
        offsets.push(count(text.len()));
    }
    (offsets, text)
}

/// The token of each byte.
fn byte_tokens(pairs: &BytePairs) -> [u32; 256] {
    let mut ids = [NONE; 256];
    for (id, bytes) in (0..).zip(pairs.tokens()) {
        if let [byte] = bytes[..] {
            ids[usize::from(byte)] = id;
        }
    }
    ids
}

/// The smallest hash table that leads to each of `n` entries. `firsts` tells them, with the place where the search for each
/// begins in a table of so many.
fn slots<E: Iterator<Item = (u32, u32)>>(n: usize, firsts: impl Fn(u32) -> E) -> Vec<u32> {
    let mut n_slots = (n * 4 / 3 + 1).next_power_of_two();
    loop {
        match fill(firsts(count(n_slots)), n_slots) {
            Some(slots) => return slots,
            None => n_slots *= 2,
        }
    }
}

/// Puts each entry at the first free place of its own; `None` where none of them is.
fn fill(entries: impl Iterator<Item = (u32, u32)>, n_slots: usize) -> Option<Vec<u32>> {
    let mut slots = vec![NONE; n_slots];
    for (entry, first) in entries {
        let first = first as usize;
        let mut places = (first..first + MAX_PROBES as usize).map(|place| place % n_slots);
        let place = places.find(|&place| slots[place] == NONE)?;
        slots[place] = entry;
    }
    Some(slots)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).expect("a vocabulary has fewer than 2^32 bytes")
}

/// What the section holds.
///
/// # Errors
/// Its tokens are no byte-level BPE with its merges, or no BPE with its ranks.
pub fn parts(section: &core::Tokenizer<'_>) -> Result<SectionParts, TokenizerError> {
    let bytes = |id| section.token_bytes(id, &mut [0; 4]).map(<[u8]>::to_vec).unwrap_or_default();
    let tokens = (0..section.n_tokens()).map(bytes);
    match section.kind() {
        core::Kind::Chars => {
            let char_of = |bytes: Vec<u8>| std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next());
            Ok(SectionParts::Chars(tokens.filter_map(char_of).collect()))
        }
        core::Kind::ByteBpe => {
            BytePairs::new(tokens.collect(), section.merges().collect(), section.specials().collect())
                .map(SectionParts::BytePairs)
                .map_err(|error| broken(&error))
        }
        core::Kind::ScoredBpe => {
            let ranks = (0..section.n_tokens()).map(|id| section.rank(id)).collect();
            let byte_token = |byte: usize| section.byte_token(byte as u8);
            ScoredTokens::new(tokens.collect(), ranks, std::array::from_fn(byte_token), section.has_dummy_prefix())
                .map(SectionParts::Scored)
                .map_err(|error| broken(&error))
        }
        core::Kind::RankedBpe => {
            let Some(ranked) = section.ranked() else { return Err(broken(&core::TokenizerError::Rules)) };
            let parts = RankedParts {
                rules: *ranked.rules(),
                tokens: tokens.collect(),
                bytes: std::array::from_fn(|byte| section.byte_token(byte as u8)),
                merges: section.merges_made().collect(),
                texts: ranked.texts().collect(),
                added: [false, true].into_iter().flat_map(|is_normalized| added(ranked, is_normalized)).collect(),
            };
            RankedTokens::new(parts)
                .map(|tokens| SectionParts::Ranked(Box::new(tokens)))
                .map_err(|error| broken(&error))
        }
    }
}

/// The added tokens of a group.
fn added(ranked: &core::Ranked<'_>, is_normalized: bool) -> impl Iterator<Item = AddedToken> {
    let all = (0..AddedTokens::len(ranked, is_normalized)).filter_map(move |index| ranked.added(is_normalized, index));
    all.map(move |added| AddedToken {
        is_normalized,
        text: String::from_utf8_lossy(added.text).into_owned(),
        token: added.token,
        takes_before: added.takes_before,
        takes_behind: added.takes_behind,
        is_special: added.is_special,
    })
}

/// The section is of no use.
pub fn broken(error: &dyn std::error::Error) -> TokenizerError {
    TokenizerError::Broken { origin: ORIGIN.into(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tokenizer::tokenizer_bin::tests::file;
    use crate::text::tokenizer::{Tokenizer, tokenizer_bin};

    fn back(parts: &SectionParts) -> SectionParts {
        super::parts(&core::Tokenizer::open(&encode(parts), 60_000).unwrap()).unwrap()
    }

    #[test]
    fn a_section_holds_all_that_encoding_needs() {
        let chars = SectionParts::Chars(vec!['a', 'é', '𝄞']);
        assert_eq!(back(&chars), chars);
        let gpt2 = Tokenizer::gpt2().unwrap().section_parts().unwrap();
        assert_eq!(back(&gpt2), gpt2);
        let scored = SectionParts::Scored(tokenizer_bin::read(&file(&["ab", "é", "a", "", "a", " "])).unwrap());
        assert_eq!(back(&scored), scored);
    }

    #[test]
    fn a_section_that_is_no_bpe_is_refused() {
        let pairs = BytePairs::new(vec![b"a".to_vec(), b"b".to_vec(), b"ab".to_vec()], vec![(0, 1)], vec![]).unwrap();
        let mut bytes = encode(&SectionParts::BytePairs(pairs));
        *bytes.last_mut().unwrap() = b'a';
        assert_eq!(core::Tokenizer::open(&bytes, 3).unwrap_err(), core::TokenizerError::Merge(0));
    }
}
