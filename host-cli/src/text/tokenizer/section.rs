//! A blob's tokeniser section: the parts that encode text, to its bytes and back.

use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::{self as core, MAX_PROBES, TokenizerHead, first_slot};

use super::byte_pairs::BytePairs;
use super::{SectionParts, TokenizerError};

/// An entry that stands for nothing.
const NONE: u32 = u32::MAX;

const ORIGIN: &str = "the blob's tokeniser section";

/// The bytes of the section that holds `parts`.
pub fn encode(parts: &SectionParts) -> Vec<u8> {
    let (head, words, text) = match parts {
        SectionParts::Chars(chars) => {
            let mut sorted: Vec<u32> = (0..count(chars.len())).collect();
            sorted.sort_by_key(|&id| chars[id as usize]);
            let words: Vec<u32> = chars.iter().map(|&c| u32::from(c)).chain(sorted).collect();
            let n_tokens = count(chars.len());
            let kind = core::Kind::Chars;
            (
                TokenizerHead { kind, n_tokens, n_merges: 0, text_bytes: 0, n_specials: 0, n_slots: 0 },
                words,
                Vec::<u8>::new(),
            )
        }
        SectionParts::BytePairs(pairs) => {
            let (mut words, mut text) = (vec![0], Vec::new());
            for token in pairs.tokens() {
                text.extend(token);
                words.push(count(text.len()));
            }
            words.extend(byte_tokens(pairs));
            let slots = slots(pairs.merges());
            words.extend(pairs.specials());
            words.extend(pairs.merges().iter().zip(pairs.merged()).flat_map(|(&(left, right), &id)| [left, right, id]));
            words.extend(&slots);
            let head = TokenizerHead {
                kind: core::Kind::ByteBpe,
                n_tokens: count(pairs.tokens().len()),
                n_merges: count(pairs.merges().len()),
                text_bytes: count(text.len()),
                n_specials: count(pairs.specials().len()),
                n_slots: count(slots.len()),
            };
            (head, words, text)
        }
    };
    let mut bytes = postcard::to_stdvec(&head).expect("a head of integers encodes");
    bytes.resize(TokenizerHead::BYTES, 0);
    bytes.extend(words.iter().flat_map(|word: &u32| word.to_le_bytes()));
    bytes.extend(text);
    bytes
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

/// The hash table that finds merges: their ranks, in the smallest table that leads to each of them.
fn slots(merges: &[(TokenId, TokenId)]) -> Vec<u32> {
    let mut n_slots = (merges.len() * 4 / 3 + 1).next_power_of_two();
    loop {
        match fill(merges, n_slots) {
            Some(slots) => return slots,
            None => n_slots *= 2,
        }
    }
}

/// Puts each rank at the first free place of its pair's; `None` where none of them is.
fn fill(merges: &[(TokenId, TokenId)], n_slots: usize) -> Option<Vec<u32>> {
    let mut slots = vec![NONE; n_slots];
    for (rank, &(left, right)) in (0..).zip(merges) {
        let first = first_slot(left, right, count(n_slots)) as usize;
        let mut places = (first..first + MAX_PROBES as usize).map(|place| place % n_slots);
        let place = places.find(|&place| slots[place] == NONE)?;
        slots[place] = rank;
    }
    Some(slots)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).expect("a vocabulary has fewer than 2^32 bytes")
}

/// What the section holds.
///
/// # Errors
/// Its tokens and merges are no byte-level BPE.
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
    }
}

/// The section is of no use.
pub fn broken(error: &dyn std::error::Error) -> TokenizerError {
    TokenizerError::Broken { origin: ORIGIN.into(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tokenizer::Tokenizer;

    fn back(parts: &SectionParts) -> SectionParts {
        super::parts(&core::Tokenizer::open(&encode(parts), 60_000).unwrap()).unwrap()
    }

    #[test]
    fn a_section_holds_all_that_encoding_needs() {
        let chars = SectionParts::Chars(vec!['a', 'é', '𝄞']);
        assert_eq!(back(&chars), chars);
        let gpt2 = Tokenizer::gpt2().unwrap().section_parts().unwrap();
        assert_eq!(back(&gpt2), gpt2);
    }

    #[test]
    fn a_section_that_is_no_bpe_is_refused() {
        let pairs = BytePairs::new(vec![b"a".to_vec(), b"b".to_vec(), b"ab".to_vec()], vec![(0, 1)], vec![]).unwrap();
        let mut bytes = encode(&SectionParts::BytePairs(pairs));
        *bytes.last_mut().unwrap() = b'a';
        assert_eq!(core::Tokenizer::open(&bytes, 3).unwrap_err(), core::TokenizerError::Merge(0));
    }
}
