//! GPT-2's own vocabulary, from the `tiktoken-rs` crate.

use std::collections::HashMap;

use super::TokenizerError;
use super::byte_pairs::BytePairs;
use emberlm_core::config::TokenId;

/// Tokens in GPT-2's vocabulary: 256 bytes, 50,000 merges and `<|endoftext|>`.
pub const N_VOCAB: u32 = 50_257;

/// GPT-2's byte pairs.
///
/// The crate lists tokens by rank, without the pairs that make them; the pair is what merging by all lower ranks
/// leaves of a token's bytes.
///
/// # Errors
/// The crate's table is not GPT-2's.
pub fn byte_pairs() -> Result<BytePairs, TokenizerError> {
    let broken = |why: String| TokenizerError::Broken { origin: "gpt2".into(), why };
    let table = tiktoken_rs::r50k_base().map_err(|error| broken(error.to_string()))?;
    let tokens = (0..N_VOCAB)
        .map(|id| table.decode_bytes(&[id]).map_err(|error| broken(error.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let ranks: HashMap<&[u8], TokenId> = (0..).zip(&tokens).map(|(id, bytes)| (bytes.as_slice(), id)).collect();
    let merges = (0..)
        .zip(&tokens)
        .filter(|(_, bytes)| bytes.len() > 1)
        .filter_map(|(id, bytes)| last_merge(bytes, id, &ranks))
        .collect();
    let end_of_text = N_VOCAB - 1;
    BytePairs::new(tokens, merges, vec![end_of_text]).map_err(|error| broken(error.to_string()))
}

/// The two parts that merging by ranks below `rank` leaves of `bytes`, `None` if it leaves more.
fn last_merge(bytes: &[u8], rank: TokenId, ranks: &HashMap<&[u8], TokenId>) -> Option<(TokenId, TokenId)> {
    let mut bounds: Vec<usize> = (0..=bytes.len()).collect();
    loop {
        let lowest = bounds
            .windows(3)
            .enumerate()
            .filter_map(|(i, w)| Some((*ranks.get(&bytes[w[0]..w[2]])?, i)))
            .filter(|&(id, _)| id < rank)
            .min();
        match lowest {
            Some((_, i)) => bounds.remove(i + 1),
            None => break,
        };
    }
    let [start, middle, end] = bounds[..] else { return None };
    Some((*ranks.get(&bytes[start..middle])?, *ranks.get(&bytes[middle..end])?))
}

#[cfg(test)]
mod tests {
    use super::super::bpe::Bpe;
    use super::*;

    #[test]
    fn the_first_merges_are_those_of_the_published_file() {
        let pairs = byte_pairs().unwrap();
        let spelled: Vec<String> = pairs.merges()[..6]
            .iter()
            .map(|&(left, right)| {
                let text = |id: TokenId| String::from_utf8_lossy(&pairs.tokens()[id as usize]).into_owned();
                format!("{}+{}", text(left), text(right))
            })
            .collect();
        assert_eq!(spelled, [" +t", " +a", "h+e", "i+n", "r+e", "o+n"]);
        assert_eq!(pairs.merges().len(), 50_000);
        assert_eq!(pairs.specials(), [50_256]);
    }

    #[test]
    fn ids_are_those_of_tiktoken() {
        let bpe = Bpe::new(byte_pairs().unwrap()).unwrap();
        let reference = tiktoken_rs::r50k_base().unwrap();
        let text = "It's 1,234.5 °C — naïve façade;\t\t tabs,   spaces \n\n  日本語 and 🙂🙃!\r\n<|endoftext|>Ünï'LL we've don'T";
        for part in [text, &text[3..], "  ", "\n", " \n x", "ſ İ ǅ ² ٣ Ⅷ"] {
            assert_eq!(bpe.encode(part).unwrap(), reference.encode_with_special_tokens(part), "{part:?}");
        }
    }
}
