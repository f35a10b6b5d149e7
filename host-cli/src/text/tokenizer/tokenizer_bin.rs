//! llama2.c's `tokenizer.bin`: a BPE by scores.
//!
//! The file: the most bytes of a token as an i32, then of each token its score as an f32, its length as an i32, its bytes.
//! Unknown, beginning and end are the first three tokens, the bytes the next 256; no character and no merge makes them. Nor
//! does any make a token whose text another had before it.

use std::collections::HashSet;

use emberlm_core::config::TokenId;

use super::scored_tokens::ScoredTokens;

/// The token that texts begin with.
pub(super) const BOS: TokenId = 1;
/// The token of the byte 0.
pub(super) const FIRST_BYTE: TokenId = 3;
/// The first token that text makes.
pub(super) const FIRST_PIECE: TokenId = FIRST_BYTE + 256;

/// Reads a `tokenizer.bin`.
///
/// # Errors
/// It is cut short, or its first tokens are not the unknown, the beginning, the end and the bytes.
pub fn read(file: &[u8]) -> Result<ScoredTokens, String> {
    let mut rest = file;
    let longest = i32::from_le_bytes(*take(&mut rest)?);
    let (mut tokens, mut scores) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        scores.push(f32::from_le_bytes(*take(&mut rest)?));
        let length = i32::from_le_bytes(*take(&mut rest)?);
        if !(0..=longest).contains(&length) {
            return Err(format!("token {} has {length} bytes, and {longest} are the most", tokens.len()));
        }
        let (token, after) = rest.split_at_checked(length as usize).ok_or("it is cut short")?;
        tokens.push(token.to_vec());
        rest = after;
    }
    for (byte, id) in (0..=u8::MAX).zip(FIRST_BYTE..) {
        let name = format!("<0x{byte:02X}>");
        match tokens.get_mut(id as usize) {
            Some(token) if *token == name.as_bytes() => *token = vec![byte],
            _ => return Err(format!("token {id} is not {name}")),
        }
    }
    tokens[BOS as usize..FIRST_BYTE as usize].iter_mut().for_each(Vec::clear);
    let mut seen = HashSet::new();
    let mut ranks = ranks(&scores)?;
    for (id, rank) in ranks.iter_mut().enumerate() {
        let bytes = &tokens[id];
        if id < FIRST_PIECE as usize || bytes.is_empty() || !seen.insert(bytes) {
            *rank = None;
        }
    }
    let byte_token = |byte: usize| Some(FIRST_BYTE + byte as TokenId);
    ScoredTokens::new(tokens, ranks, std::array::from_fn(byte_token), true).map_err(|error| error.to_string())
}

/// The rank of each token's score, the highest first; equal ones share it.
fn ranks(scores: &[f32]) -> Result<Vec<Option<u32>>, String> {
    if let Some(id) = scores.iter().position(|score| score.is_nan()) {
        return Err(format!("token {id} has no number for a score"));
    }
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted.dedup();
    let rank = |score: &f32| Some(sorted.partition_point(|other| other > score) as u32);
    Ok(scores.iter().map(rank).collect())
}

fn take<'b, const N: usize>(rest: &mut &'b [u8]) -> Result<&'b [u8; N], String> {
    let (taken, after) = rest.split_first_chunk().ok_or("it is cut short")?;
    *rest = after;
    Ok(taken)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file of these pieces, the earlier the higher their score, behind those that every file begins with.
    pub fn file(pieces: &[&str]) -> Vec<u8> {
        let bytes = (0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>"));
        let first =
            ["<unk>", "\n<s>\n", "\n</s>\n"].map(str::to_owned).into_iter().chain(bytes).map(|token| (0.0, token));
        let pieces = pieces.iter().enumerate().map(|(rank, piece)| (-(rank as f32), (*piece).to_owned()));
        let mut file = 16i32.to_le_bytes().to_vec();
        for (score, token) in first.chain(pieces) {
            file.extend(score.to_le_bytes());
            file.extend((token.len() as i32).to_le_bytes());
            file.extend(token.as_bytes());
        }
        file
    }

    #[test]
    fn only_pieces_have_ranks_and_of_equal_texts_the_first() {
        let tokens = read(&file(&["b", "", "a", "b"])).unwrap();
        let pieces: Vec<_> = tokens.ranked().collect();
        assert_eq!(pieces, [(FIRST_PIECE, &b"b"[..], 0), (FIRST_PIECE + 2, b"a", 2)]);
        assert_eq!((&tokens.tokens()[0][..], tokens.tokens()[1].len()), (&b"<unk>"[..], 0));
        assert_eq!(tokens.bytes()[255], Some(FIRST_PIECE - 1));
        assert!(tokens.has_dummy_prefix());
    }

    #[test]
    fn equal_scores_share_a_rank() {
        assert_eq!(ranks(&[0.0, 2.0, -0.0, 2.0, -1.0]).unwrap(), [1, 0, 1, 0, 2].map(Some));
        assert!(ranks(&[0.0, f32::NAN]).is_err());
    }

    #[test]
    fn what_is_no_such_file_says_why() {
        let sound = file(&["a"]);
        let mut short = sound.clone();
        short[0] = 1;
        for (bytes, why) in [
            (&sound[..3], "cut short"),
            (&sound[..sound.len() - 1], "cut short"),
            (&sound[..101], "cut short"),
            (&sound[..4], "token 3 is not <0x00>"),
            (&short, "token 0 has 5 bytes, and 1 are the most"),
        ] {
            let error = read(bytes).err().unwrap();
            assert!(error.contains(why), "{error}");
        }
    }
}
