//! Vocabularies of any merges and scores, cut by any texts.

use std::collections::HashSet;

use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::{Rules, Spaces, Split, Unit};
use proptest::prelude::*;
use proptest::sample::Index;

use super::full_ids::{Vocabulary, full_ids};
use super::making::makings;
use super::*;
use crate::text::tokenizer::Tokenizer;
use crate::text::tokenizer::byte_pairs::BytePairs;
use crate::text::tokenizer::ranked_tokens::{AddedToken, RankedParts, RankedTokens};
use crate::text::tokenizer::scored_tokens::ScoredTokens;

/// All bytes, what pairs of tokens come to, a token that nothing makes, one without text, and a special token.
fn byte_pairs(merges: &[(Index, Index)]) -> SectionParts {
    let mut tokens: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    let mut pairs: Vec<(TokenId, TokenId)> = Vec::new();
    for (left, right) in merges {
        // Mostly of few letters, so that they meet.
        let grown: Vec<usize> = b"abc ".iter().map(|&byte| usize::from(byte)).chain(256..tokens.len()).collect();
        let pair = (*left.get(&grown), *right.get(&grown));
        let whole = [tokens[pair.0].as_slice(), &tokens[pair.1]].concat();
        let pair = (pair.0 as TokenId, pair.1 as TokenId);
        if whole.len() <= 12 && !pairs.contains(&pair) {
            pairs.push(pair);
            if !tokens.contains(&whole) {
                tokens.push(whole);
            }
        }
    }
    tokens.extend([b"unmade".to_vec(), Vec::new(), b"<|end|>".to_vec()]);
    let end = tokens.len() as TokenId - 1;
    // In another order than they were made in, some merges come before those of their parts.
    let turned = pairs.len() / 3;
    pairs.rotate_left(turned);
    SectionParts::BytePairs(BytePairs::new(tokens, pairs, vec![end]).unwrap())
}

/// Unknown, beginning, end, the bytes, then pieces in the order of their scores; those of `pieces` that are new.
fn scored(pieces: &[String]) -> SectionParts {
    let mut tokens = vec![b"<unk>".to_vec(), Vec::new(), Vec::new()];
    tokens.extend((0..=u8::MAX).map(|byte| vec![byte]));
    let mut ranks = vec![None; tokens.len()];
    let mut seen = HashSet::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        ranks.push(Some((pieces.len() + 7 - tokens.len() % 7) as u32).filter(|_| seen.insert(piece)));
        tokens.push(piece.clone().into_bytes());
    }
    let bytes = std::array::from_fn(|byte| Some(3 + byte as TokenId));
    SectionParts::Scored(ScoredTokens::new(tokens, ranks, bytes, true).unwrap())
}

/// The byte pairs as a BPE by ranks, whose pieces are tokens before they merge, or are not.
fn ranked_bytes(merges: &[(Index, Index)], ignores_merges: bool) -> SectionParts {
    let SectionParts::BytePairs(pairs) = byte_pairs(merges) else { unreachable!("byte pairs") };
    let rules = Rules { ignores_merges, split: Split::Llama3, ..Rules::PLAIN };
    let (tokens, mut seen) = (pairs.tokens().to_vec(), HashSet::new());
    let [end] = pairs.specials() else { unreachable!("one special token") };
    let of_text = |&id: &TokenId| ignores_merges && id != *end && seen.insert(tokens[id as usize].clone());
    let texts = (0..tokens.len() as TokenId).filter(|&id| !tokens[id as usize].is_empty()).filter(of_text).collect();
    let merges =
        pairs.merges().iter().zip(pairs.merged()).map(|(&(left, right), &whole)| [left, right, whole]).collect();
    let bytes = std::array::from_fn(|byte| Some(byte as TokenId));
    let added = vec![added(*end, "<|end|>")];
    SectionParts::Ranked(Box::new(
        RankedTokens::new(RankedParts { rules, tokens, bytes, merges, texts, added }).unwrap(),
    ))
}

fn added(token: TokenId, text: &str) -> AddedToken {
    let (is_normalized, takes_before, takes_behind, is_special) = (false, false, false, true);
    AddedToken { is_normalized, text: text.to_owned(), token, takes_before, takes_behind, is_special }
}

/// An unknown token, the bytes, a few characters, and what pairs of these come to.
fn ranked_characters(merges: &[(Index, Index)]) -> SectionParts {
    let mut tokens = vec![b"<unk>".to_vec()];
    tokens.extend((0..=u8::MAX).map(|byte| vec![byte]));
    let characters = tokens.len() as TokenId;
    tokens.extend(["a", "b", "é", " "].map(|c| c.as_bytes().to_vec()));
    let texts: Vec<TokenId> = (characters..tokens.len() as TokenId).collect();
    let mut ranked: Vec<[TokenId; 3]> = Vec::new();
    for (left, right) in merges {
        let grown: Vec<TokenId> = (characters..tokens.len() as TokenId).collect();
        let (left, right) = (*left.get(&grown), *right.get(&grown));
        let whole = [tokens[left as usize].as_slice(), &tokens[right as usize]].concat();
        if whole.len() <= 12 && !ranked.iter().any(|merge| merge[..2] == [left, right]) {
            let known = tokens[characters as usize..].iter().position(|token| *token == whole);
            let id = known.map_or(tokens.len() as TokenId, |at| characters + at as TokenId);
            ranked.push([left, right, id]);
            if known.is_none() {
                tokens.push(whole);
            }
        }
    }
    let rules = Rules {
        unit: Unit::Characters,
        split: Split::Whole,
        spaces: Spaces::Normalized('▁'),
        unknown: Some(0),
        ..Rules::PLAIN
    };
    let bytes = std::array::from_fn(|byte| Some(1 + byte as TokenId));
    let added = vec![added(0, "<unk>")];
    let parts = RankedParts { rules, tokens, bytes, merges: ranked, texts, added };
    SectionParts::Ranked(Box::new(RankedTokens::new(parts).unwrap()))
}

fn ids(parts: &SectionParts, text: &str) -> Vec<TokenId> {
    Tokenizer::from_parts(parts.clone(), "a test").unwrap().encode(text).unwrap()
}

/// Cuts a vocabulary by `texts` to a share of what may go, and checks all that is promised of what is left.
fn check(parts: &SectionParts, n_vocab: u32, texts: &[String], others: &[String], share: f64) {
    let rows: Vec<Vec<TokenId>> = texts.iter().map(|text| ids(parts, text)).collect();
    let counts = count(rows.iter().map(Vec::as_slice), n_vocab);
    let named = [(1, 1), (2, 2)];
    let stay = [1, 2];
    let need = prune(parts, n_vocab, &stay, &counts, 0).unwrap_err().need;
    let keep = need + (f64::from(n_vocab - need) * share) as u32;
    let Pruned { parts: left, kept, needed } = prune(parts, n_vocab, &stay, &counts, keep).unwrap();
    assert_eq!((kept.count(), kept.of()), (keep, n_vocab));
    let makings = makings(parts);
    for (id, making) in (0..).zip(&makings) {
        assert!(!making.stays || kept.place(id).is_some(), "token {id} stays");
        let is_kept = |id: TokenId| kept.place(id).is_some();
        assert!(!is_kept(id) || making.parts.into_iter().flatten().all(is_kept), "what {id} is merged of stays");
    }
    for text in texts.iter().chain(others) {
        let short = Tokenizer::from_parts(left.clone(), "a test").unwrap();
        assert_eq!(short.decode(&short.encode(text).unwrap()).unwrap(), *text);
    }
    if keep >= needed {
        for (text, row) in texts.iter().zip(&rows) {
            let back: Vec<TokenId> = ids(&left, text).into_iter().map(|id| kept.ids()[id as usize]).collect();
            assert_eq!(back, *row, "{text:?}");
        }
    }
    let found = full_ids(Vocabulary { parts: &left, n_vocab: keep }, Vocabulary { parts, n_vocab }, &named);
    assert_eq!(found.unwrap(), kept);
}

proptest! {
    #[test]
    fn byte_pairs_that_are_left_encode_all_text(
        merges in prop::collection::vec(any::<(Index, Index)>(), 0..40),
        texts in prop::collection::vec("[abc ]{0,30}|(<\\|end\\|>|a|b|é){0,9}", 1..4),
        others in prop::collection::vec(any::<String>(), 1..4),
        (padding, share) in (0u32..5, 0.0..=1.0),
    ) {
        let parts = byte_pairs(&merges);
        let n_tokens = makings(&parts).len() as u32;
        check(&parts, n_tokens + padding, &texts, &others, share);
    }

    #[test]
    fn ranked_bytes_that_are_left_encode_all_text(
        merges in prop::collection::vec(any::<(Index, Index)>(), 0..40),
        texts in prop::collection::vec("[abc ]{0,30}|(<\\|end\\|>|a|b|é){0,9}", 1..4),
        others in prop::collection::vec(any::<String>(), 1..4),
        (ignores_merges, padding, share) in (any::<bool>(), 0u32..5, 0.0..=1.0),
    ) {
        let parts = ranked_bytes(&merges, ignores_merges);
        let n_tokens = makings(&parts).len() as u32;
        check(&parts, n_tokens + padding, &texts, &others, share);
    }

    #[test]
    fn ranked_characters_that_are_left_encode_all_text(
        merges in prop::collection::vec(any::<(Index, Index)>(), 0..40),
        texts in prop::collection::vec("[ab é日]{0,30}", 1..4),
        others in prop::collection::vec("[ab é]{0,9}[^▁<]{0,9}", 1..4),
        (padding, share) in (0u32..5, 0.0..=1.0),
    ) {
        let parts = ranked_characters(&merges);
        let n_tokens = makings(&parts).len() as u32;
        check(&parts, n_tokens + padding, &texts, &others, share);
    }

    #[test]
    fn scored_pieces_that_are_left_encode_all_text(
        pieces in prop::collection::vec("[abc ]{1,6}|[aé日]{1,3}", 0..60),
        texts in prop::collection::vec("[abc é日]{0,30}", 1..4),
        others in prop::collection::vec("[^ ]{0,3}\\PC{0,9}", 1..4),
        (padding, share) in (0u32..5, 0.0..=1.0),
    ) {
        let pieces: Vec<String> = ["a", "b", "c", " ", "é"].map(String::from).into_iter().chain(pieces).collect();
        let parts = scored(&pieces);
        let n_tokens = makings(&parts).len() as u32;
        check(&parts, n_tokens + padding, &texts, &others, share);
    }
}

/// Tokens after the bytes of a vocabulary of words, whose merges are `merges`, and how often each is there.
fn left(merges: &[(&str, &str)], text: &str, keep: u32) -> Vec<String> {
    let mut tokens: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    let id = |tokens: &[Vec<u8>], part: &str| tokens.iter().position(|token| token == part.as_bytes()).unwrap();
    let mut pairs = Vec::new();
    for (left, right) in merges {
        pairs.push((id(&tokens, left) as TokenId, id(&tokens, right) as TokenId));
        tokens.push([left.as_bytes(), right.as_bytes()].concat());
    }
    let n_vocab = tokens.len() as u32;
    let parts = SectionParts::BytePairs(BytePairs::new(tokens, pairs, vec![]).unwrap());
    let counts = count([ids(&parts, text).as_slice()], n_vocab);
    let kept = prune(&parts, n_vocab, &[], &counts, 256 + keep).unwrap().kept;
    let text = |&id: &TokenId| String::from_utf8(parts.token_bytes(id).unwrap()).unwrap();
    kept.ids().iter().filter(|&&id| id >= 256).map(text).collect()
}

#[test]
fn the_rarest_leave_first_then_the_last_merged() {
    let merges = [("a", "b"), ("ab", "c"), ("d", "e"), ("f", "g"), ("h", "i")];
    // `abc` is there twice, `de` once; `ab` only as a part.
    let text = "abc.abc.de";
    assert_eq!(left(&merges, text, 5), ["ab", "abc", "de", "fg", "hi"]);
    assert_eq!(left(&merges, text, 4), ["ab", "abc", "de", "fg"]);
    assert_eq!(left(&merges, text, 3), ["ab", "abc", "de"]);
    assert_eq!(left(&merges, text, 2), ["ab", "abc"]);
    // A text then has the parts of what left.
    assert_eq!(left(&merges, text, 1), ["ab"]);
    assert_eq!(left(&merges, text, 0), [""; 0]);
    assert_eq!(left(&merges, "abc.de.de.de", 1), ["de"]);
}

#[test]
fn what_no_text_comes_to_leaves_before_all_else() {
    let parts = byte_pairs(&[]);
    let kept = |keep: u32| prune(&parts, 261, &[], &[0; 261], keep).map(|pruned| pruned.kept.ids()[256..].to_vec());
    // Padding, what has no text, what no merge makes; never the special token.
    assert_eq!(kept(261), Ok(vec![256, 257, 258, 259, 260]));
    assert_eq!(kept(259), Ok(vec![256, 257, 258]));
    assert_eq!(kept(258), Ok(vec![256, 258]));
    assert_eq!(kept(257), Ok(vec![258]));
    assert_eq!(kept(256), Err(TooFew { need: 257, have: 256 }));
    assert!(prune(&parts, 261, &[260], &[0; 261], 258).unwrap().kept.ids().ends_with(&[258, 260]));
}

#[test]
fn characters_all_stay() {
    let parts = SectionParts::Chars(vec!['a', 'b', 'é']);
    assert_eq!(prune(&parts, 5, &[], &[9, 0, 0, 0, 0], 3).unwrap().kept.ids(), [0, 1, 2]);
    assert_eq!(prune(&parts, 5, &[], &[9, 0, 0, 0, 0], 2).unwrap_err(), TooFew { need: 3, have: 2 });
}

#[test]
fn a_token_of_another_tokenizer_is_named() {
    let parts = |list: &[char]| SectionParts::Chars(list.to_vec());
    let find = |left: &[char], full: &[char]| {
        let (left, full) = (parts(left), parts(full));
        let vocabulary = |parts| Vocabulary { parts, n_vocab: makings(parts).len() as u32 };
        full_ids(vocabulary(&left), vocabulary(&full), &[]).map_err(|error| error.to_string())
    };
    assert_eq!(find(&['a', 'c'], &['a', 'b', 'c']).unwrap().ids(), [0, 2]);
    let why = find(&['a', 'x'], &['a', 'b', 'c']).unwrap_err();
    assert!(why.starts_with("token 1 (\"x\") of the vocabulary that was cut is none of the 3"), "{why}");
    assert!(find(&['c', 'a'], &['a', 'b', 'c']).is_err());
}

#[test]
fn a_cut_of_gpt_2_s_takes_the_texts_as_they_were() {
    let parts = Tokenizer::gpt2().unwrap().section_parts().unwrap();
    let text = "The quick brown fox jumps over the lazy dog.\n\n  Once upon a time, 1234 naïve cafés — 日本語 🦊!";
    let row = ids(&parts, text);
    let counts = count([row.as_slice()], 50_257);
    for keep in [400, 4096, 50_256] {
        let Pruned { parts: left, kept, needed } = prune(&parts, 50_257, &[50_256], &counts, keep).unwrap();
        assert!(needed < 400, "{needed}");
        let back: Vec<TokenId> = ids(&left, text).into_iter().map(|id| kept.ids()[id as usize]).collect();
        assert_eq!((back.as_slice(), kept.count()), (row.as_slice(), keep));
        assert_eq!(left.token_bytes(keep - 1).as_deref(), Some(b"<|endoftext|>".as_slice()));
    }
    assert_eq!(prune(&parts, 50_257, &[50_256], &counts, 256).unwrap_err(), TooFew { need: 257, have: 256 });
}
