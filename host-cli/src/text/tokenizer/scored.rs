//! BPE by scores, as SentencePiece has it and llama2.c's `tokenizer.bin` stores it.
//!
//! A text begins with a space that is not its own. Its characters, or where a character has no token its bytes, merge into
//! the token of the highest score that any two of them in a row make, again and again. Unknown, beginning and end are the
//! first three tokens, the bytes the next 256; no text makes them.
//!
//! The file: the most bytes of a token as an i32, then of each token its score as an f32, its length as an i32, its bytes.

use std::collections::HashMap;

use super::merge::{Merge, Merger, Merges};
use emberlm_core::config::TokenId;

/// The token that texts begin with.
pub const BOS: TokenId = 1;
/// The token of the byte 0.
const FIRST_BYTE: TokenId = 3;
/// The first token that text makes.
const FIRST_PIECE: TokenId = FIRST_BYTE + 256;

/// A vocabulary with scores.
pub struct Scored {
    /// The bytes of each token as text has them; none for the beginning and the end.
    tokens: Vec<Vec<u8>>,
    ids: HashMap<Vec<u8>, TokenId>,
    merges: Merges,
}

impl Scored {
    /// Reads a `tokenizer.bin`.
    ///
    /// # Errors
    /// It is cut short, or its first tokens are not the unknown, the beginning, the end and the bytes.
    pub fn read(file: &[u8]) -> Result<Self, String> {
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
        Self::new(tokens, &scores)
    }

    fn new(mut tokens: Vec<Vec<u8>>, scores: &[f32]) -> Result<Self, String> {
        for (byte, id) in (0..=u8::MAX).zip(FIRST_BYTE..) {
            let name = format!("<0x{byte:02X}>");
            match tokens.get_mut(id as usize) {
                Some(token) if *token == name.as_bytes() => *token = vec![byte],
                _ => return Err(format!("token {id} is not {name}")),
            }
        }
        tokens[BOS as usize..FIRST_BYTE as usize].iter_mut().for_each(Vec::clear);
        let pieces = || (FIRST_PIECE..).zip(&tokens[FIRST_PIECE as usize..]).filter(|(_, bytes)| !bytes.is_empty());
        let mut ids = HashMap::with_capacity(tokens.len());
        for (id, bytes) in pieces() {
            ids.entry(bytes.clone()).or_insert(id);
        }
        let rank_of = ranks(scores)?;
        let mut merges = Merges::new();
        for (bytes, &token) in &ids {
            for at in 1..bytes.len() {
                let (left, right) = bytes.split_at(at);
                if let (Some(&left), Some(&right)) = (ids.get(left), ids.get(right)) {
                    merges.insert((left, right), Merge { rank: rank_of[token as usize], token });
                }
            }
        }
        Ok(Self { tokens, ids, merges })
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The bytes of a token.
    pub fn token_bytes(&self, id: TokenId) -> Option<&[u8]> {
        self.tokens.get(id as usize).map(Vec::as_slice)
    }

    /// What a token is called that no text has.
    pub fn name(&self, id: TokenId) -> Option<&'static str> {
        ["<unk>", "<s>", "</s>"].get(id as usize).copied()
    }

    /// The ids of `text`.
    pub fn encode(&self, text: &str) -> Vec<TokenId> {
        let mut out = Vec::new();
        if text.is_empty() {
            return out;
        }
        let mut symbols = Vec::with_capacity(text.len() + 1);
        let mut buffer = [0; 4];
        for character in [' '].into_iter().chain(text.chars()) {
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            match self.ids.get(bytes) {
                Some(&id) => symbols.push(id),
                None => symbols.extend(bytes.iter().map(|&byte| FIRST_BYTE + TokenId::from(byte))),
            }
        }
        Merger::default().merge(&self.merges, symbols.into_iter(), &mut out);
        out
    }

    /// The bytes of `ids`, without the space that a text begins with. The ids have tokens.
    pub fn decode(&self, ids: &[TokenId]) -> Vec<u8> {
        let bytes: Vec<u8> = ids.iter().filter_map(|&id| self.token_bytes(id)).flatten().copied().collect();
        let own = bytes.strip_prefix(b" ").map(<[u8]>::to_vec);
        own.unwrap_or(bytes)
    }
}

/// The rank of each token's score, the highest first; equal ones share it.
fn ranks(scores: &[f32]) -> Result<Vec<u32>, String> {
    if let Some(id) = scores.iter().position(|score| score.is_nan()) {
        return Err(format!("token {id} has no number for a score"));
    }
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted.dedup();
    let rank = |score: &f32| sorted.partition_point(|other| other > score) as u32;
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
    fn the_highest_score_merges_first_wherever_it_stands() {
        let scored = Scored::read(&file(&["bc", "ab", " a", "abc", "a", "b", "c", " "])).unwrap();
        let piece = |index: TokenId| FIRST_PIECE + index;
        // Not `ab` and `c`: `bc` is the better pair.
        assert_eq!(scored.encode("abc"), [piece(2), piece(0)]);
        assert_eq!(scored.encode("cab"), [piece(7), piece(6), piece(1)]);
        assert_eq!(scored.encode(""), [0; 0]);
        assert_eq!(scored.encode("x\n"), [piece(7), 3 + 0x78, 3 + 0x0a]);
        assert_eq!(scored.encode("é"), [piece(7), 3 + 0xc3, 3 + 0xa9]);
        for text in ["abc", " abc", "x\n", "é日", "<0x41>", "<s>"] {
            assert_eq!(scored.decode(&scored.encode(text)), text.as_bytes(), "{text}");
            let with_bos: Vec<TokenId> = [BOS].into_iter().chain(scored.encode(text)).collect();
            assert_eq!(scored.decode(&with_bos), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn text_makes_no_token_that_is_not_its_own() {
        let scored =
            Scored::read(&file(&["<", "0", "x", "4", "1", ">", "<0", "<0x", "<0x4", "<0x41", "41", "1>"])).unwrap();
        assert!(scored.encode("<0x41>").iter().all(|&id| id >= FIRST_PIECE || id == FIRST_BYTE + 0x20));
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
            let error = Scored::read(bytes).err().unwrap();
            assert!(error.contains(why), "{error}");
        }
    }
}
