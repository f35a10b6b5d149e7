//! A tokeniser as a blob's section.

use crate::tokenizer::SectionParts;
use emberlm_core::tokenizer::{Kind, TokenizerHead};

/// The section's bytes.
pub fn encode(parts: &SectionParts) -> Vec<u8> {
    let (head, words, text) = match parts {
        SectionParts::Chars(chars) => {
            let head = TokenizerHead { kind: Kind::Chars, n_tokens: count(chars.len()), n_merges: 0, text_bytes: 0 };
            (head, chars.iter().map(|&c| u32::from(c)).collect(), Vec::<u8>::new())
        }
        SectionParts::BytePairs(pairs) => {
            let (mut words, mut text) = (vec![0], Vec::new());
            for token in pairs.tokens() {
                text.extend(token);
                words.push(count(text.len()));
            }
            words.extend(pairs.merges().iter().flat_map(|&(left, right)| [left, right]));
            let head = TokenizerHead {
                kind: Kind::ByteBpe,
                n_tokens: count(pairs.tokens().len()),
                n_merges: count(pairs.merges().len()),
                text_bytes: count(text.len()),
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

fn count(n: usize) -> u32 {
    u32::try_from(n).expect("a vocabulary has fewer than 2^32 bytes")
}
