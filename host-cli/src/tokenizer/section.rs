//! A blob's tokeniser section: the parts that encode text, to its bytes and back.

use emberlm_core::tokenizer::{self as core, TokenizerHead};

use super::byte_pairs::BytePairs;
use super::{SectionParts, TokenizerError};

const ORIGIN: &str = "the blob's tokeniser section";

/// The bytes of the section that holds `parts`.
pub fn encode(parts: &SectionParts) -> Vec<u8> {
    let (head, words, text) = match parts {
        SectionParts::Chars(chars) => {
            let head =
                TokenizerHead { kind: core::Kind::Chars, n_tokens: count(chars.len()), n_merges: 0, text_bytes: 0 };
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
                kind: core::Kind::ByteBpe,
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
        core::Kind::ByteBpe => BytePairs::new(tokens.collect(), section.merges().collect())
            .map(SectionParts::BytePairs)
            .map_err(|error| broken(&error)),
    }
}

/// The section is of no use.
pub fn broken(error: &dyn std::error::Error) -> TokenizerError {
    TokenizerError::Broken { origin: ORIGIN.into(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::Tokenizer;

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
        let pairs = BytePairs::new(vec![b"a".to_vec(), b"b".to_vec(), b"ab".to_vec()], vec![(0, 1)]).unwrap();
        let mut bytes = encode(&SectionParts::BytePairs(pairs));
        *bytes.last_mut().unwrap() = b'a';
        let error = parts(&core::Tokenizer::open(&bytes, 3).unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the blob's tokeniser section is no tokenizer that can be used: \
             merge 0 of tokens 0 and 1 makes no token of the vocabulary"
        );
    }
}
