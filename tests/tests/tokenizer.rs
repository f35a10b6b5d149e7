//! Core's tokeniser against those that its vocabularies come from: the same tokens for any text, and the text back.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use emberlm::text::tokenizer::byte_pairs::BytePairs;
use emberlm::text::tokenizer::{SectionParts, Tokenizer as HostTokenizer, section};
use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::{Class, EncodeError, MAX_SHORT_PIECE, Tokenizer};
use emberlm_tests::{class_table, fixtures, on_device};
use proptest::prelude::*;
use tiktoken_rs::CoreBPE;

const TORTURE: &str = include_str!("../fixtures/torture.txt");

/// A section, the host's own tokenizer, and the crate that is right about their tokens.
struct Vocabulary {
    section: Vec<u8>,
    host: HostTokenizer,
    reference: Reference,
}

enum Reference {
    Tiktoken(Box<CoreBPE>),
    HuggingFace(Box<tokenizers::Tokenizer>),
}

static VOCABULARIES: LazyLock<[Vocabulary; 2]> = LazyLock::new(|| {
    let vocabulary = |host: HostTokenizer, reference| {
        let section = section::encode(&host.section_parts().expect("a section"));
        Vocabulary { section, host, reference }
    };
    let json = fs::read(fixtures::bundled("shakespeare-bpe512").join("tokenizer.json")).expect("a tokenizer");
    let bundled = tokenizers::Tokenizer::from_bytes(&json).expect("a tokenizer");
    [
        vocabulary(
            HostTokenizer::gpt2().expect("GPT-2's"),
            Reference::Tiktoken(Box::new(tiktoken_rs::r50k_base().expect("GPT-2's"))),
        ),
        vocabulary(
            HostTokenizer::from_tokenizer_json(&json, "bundled").expect("the bundled one"),
            Reference::HuggingFace(Box::new(bundled)),
        ),
    ]
});

impl Vocabulary {
    fn open(&self) -> Tokenizer<'_> {
        Tokenizer::open(&self.section, 60_000).expect("a sound section")
    }

    fn reference(&self, text: &str) -> Vec<TokenId> {
        match &self.reference {
            Reference::Tiktoken(table) => table.encode_with_special_tokens(text),
            Reference::HuggingFace(tokenizer) => tokenizer.encode_fast(text, false).expect("ids").get_ids().to_vec(),
        }
    }

    fn check(&self, tokenizer: &Tokenizer<'_>, text: &str) {
        let ids = encode(tokenizer, text);
        assert!(ids == self.reference(text), "{text:?} became {ids:?}");
        assert!(self.host.encode(text).as_ref() == Ok(&ids), "the host has other tokens for {text:?}");
        assert_eq!(on_device::decode(tokenizer, &ids), text);
    }
}

fn encode(tokenizer: &Tokenizer<'_>, text: &str) -> Vec<TokenId> {
    on_device::encode(tokenizer, text, text.len())
}

/// Checks each of `texts` with both vocabularies.
fn check_all<'t>(texts: impl IntoIterator<Item = &'t str> + Clone) {
    for vocabulary in &*VOCABULARIES {
        let tokenizer = vocabulary.open();
        texts.clone().into_iter().for_each(|text| vocabulary.check(&tokenizer, text));
    }
}

#[test]
fn the_documented_lengths_are_those_of_the_sections() {
    let format = include_str!("../../FORMAT.md");
    for Vocabulary { section, .. } in &*VOCABULARIES {
        let bytes = section.len();
        let spelled = match bytes / 1000 {
            thousands if thousands < 1000 => format!("{thousands},{:03}", bytes % 1000),
            thousands => format!("{},{:03},{:03}", thousands / 1000, thousands % 1000, bytes % 1000),
        };
        assert!(format.contains(&spelled), "FORMAT.md does not say that a section has {spelled} bytes");
    }
}

#[test]
fn the_bundled_text() {
    check_all([fixtures::as_you_like_it().as_str()]);
}

#[test]
fn many_scripts_and_no_script() {
    check_all([TORTURE]);
    check_all(TORTURE.lines());
    // Every way to cut the text off, and to begin late.
    let ends = TORTURE.char_indices().map(|(at, _)| at).step_by(7);
    let near: Vec<&str> = ends.map(|at| &TORTURE[TORTURE.floor_char_boundary(at.saturating_sub(40))..at]).collect();
    check_all(near);
}

#[test]
fn long_runs() {
    let letters: String =
        (0..4000u32).map(|i| char::from(b'a' + (i.wrapping_mul(2_654_435_761) >> 20) as u8 % 26)).collect();
    let runs: Vec<String> =
        ["a", " ", "\n", "!", "0", "é", "ab", "日本"].iter().map(|run| run.repeat(10_000 / run.len())).collect();
    check_all(runs.iter().chain([&letters]).map(String::as_str));
}

/// A merge at the start of a block of a long piece makes a better pair with the block before: that one comes next, and takes
/// the token that the next pair of the block would.
#[test]
fn a_better_pair_across_blocks() {
    let tokens = ["a", "b", "c", "x", "bc", "abc", "abcb"].map(|token| token.as_bytes().to_vec());
    let pairs = BytePairs::new(tokens.into(), vec![(0, 4), (5, 1), (1, 2)], Vec::new()).expect("sound byte pairs");
    let section = section::encode(&SectionParts::BytePairs(pairs.clone()));
    let device = Tokenizer::open(&section, 7).expect("a sound section");
    let host = HostTokenizer::from_parts(SectionParts::BytePairs(pairs), "made up").expect("sound parts");
    for before in MAX_SHORT_PIECE..2 * MAX_SHORT_PIECE {
        let text = "x".repeat(before) + "abcbc";
        let ids = encode(&device, &text);
        assert_eq!(ids[before..], [6, 2], "{before}");
        assert_eq!(host.encode(&text), Ok(ids));
    }
}

/// A mebibyte without a space: in time of order `n^2` this takes minutes.
#[test]
fn one_long_word() {
    let n = 1 << 20;
    let letters = |step: u32| -> String {
        let letter = |i: u32| char::from(b'a' + (i.wrapping_mul(step) >> 20) as u8 % 26);
        (0..n).map(letter).collect()
    };
    for text in [letters(2_654_435_761), "a".repeat(n as usize), "ab".repeat(n as usize / 2), letters(1 << 19)] {
        for vocabulary in &*VOCABULARIES {
            let start = Instant::now();
            let ids = vocabulary.host.encode(&text).expect("every byte is a token");
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
            assert!(vocabulary.host.decode(&ids).expect("known tokens") == text);
        }
    }
}

#[test]
fn room_for_the_tokens_is_enough_for_short_pieces() {
    for vocabulary in &*VOCABULARIES {
        let tokenizer = vocabulary.open();
        let text = fixtures::as_you_like_it();
        let text = &text[..text.floor_char_boundary(3000)];
        let ids = encode(&tokenizer, text);
        let (mut out, have) = (vec![0; ids.len()], ids.len() - 1);
        assert_eq!(tokenizer.encode(text, &mut out), Ok(ids.len()));
        assert_eq!(out, ids);
        let error = EncodeError::TooManyTokens { need: ids.len(), have };
        assert_eq!(tokenizer.encode(text, &mut out[..have]), Err(error));
        let long = "a".repeat(MAX_SHORT_PIECE + 1);
        let error = EncodeError::TooManyTokens { need: long.len(), have: MAX_SHORT_PIECE };
        assert_eq!(tokenizer.encode(&long, &mut [0; MAX_SHORT_PIECE]), Err(error));
    }
}

#[test]
fn the_table_of_classes_is_that_of_the_unicode_data() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(class_table::PATH);
    let written = fs::read_to_string(path).expect("the table");
    assert!(written == class_table::source(), "`cargo run -p emberlm-tests --example class_table` writes another");
    let classes = [(Class::Letter, r"\p{L}"), (Class::Number, r"\p{N}"), (Class::Space, r"\s")];
    let mut expected = vec![Class::Other; 0x11_0000];
    for (class, pattern) in classes {
        for (first, last) in class_table::ranges(pattern) {
            expected[first as usize..=last as usize].fill(class);
        }
    }
    for c in '\0'..=char::MAX {
        assert_eq!(Class::of(c), expected[c as usize], "{c:?}");
    }
}

/// Text of characters that GPT-2's pattern tells apart, and of the tokens' own.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(" "),
        Just("  "),
        Just("\n"),
        Just("\u{a0}"),
        Just("\u{3000}"),
        Just("'"),
        Just("'s"),
        Just("'ll"),
        Just("’t"),
        Just("the"),
        Just("ing"),
        Just("é"),
        Just("e\u{301}"),
        Just("日"),
        Just("7"),
        Just("٣"),
        Just("²"),
        Just("🙂"),
        Just("\u{200d}"),
        Just("\u{e000}"),
        Just("\u{378}"),
        Just("<|endoftext|>"),
        Just("<|end"),
        Just("-"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text(text in prop_oneof![any::<String>(), nasty(), "[ a-z']{0,200}", "[a-e]{100,400}"]) {
        check_all([text.as_str()]);
    }

    /// Merges of a few letters meet in every way: ties, overlaps, pairs that give way to others.
    #[test]
    fn any_merges(
        drawn in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..40),
        specials in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        text in prop_oneof!["[abc]{0,300}", "[ab]{0,2000}", "a{0,600}", "(ab){0,300}", "[abc ]{0,200}"],
    ) {
        let mut tokens: Vec<Vec<u8>> = [b"a", b"b", b"c", b" "].map(|letter| letter.to_vec()).into();
        let mut merges = Vec::new();
        for (left, right) in drawn {
            let pair = (left.index(tokens.len()), right.index(tokens.len()));
            let whole = [&tokens[pair.0][..], &tokens[pair.1]].concat();
            let pair = (pair.0 as TokenId, pair.1 as TokenId);
            if !merges.contains(&pair) && whole.len() < 40 {
                merges.push(pair);
                if !tokens.contains(&whole) {
                    tokens.push(whole);
                }
            }
        }
        let specials = specials.iter().map(|special| special.index(tokens.len()) as TokenId).collect();
        let parts = SectionParts::BytePairs(BytePairs::new(tokens, merges, specials).expect("sound byte pairs"));
        let section = section::encode(&parts);
        let device = Tokenizer::open(&section, 60_000).expect("a sound section");
        let host = HostTokenizer::from_parts(parts, "drawn").expect("sound parts");
        prop_assert_eq!(host.encode(&text), Ok(encode(&device, &text)));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let tokenizer = VOCABULARIES[0].open();
        let mut ids = vec![0; bytes.len()];
        match std::str::from_utf8(&bytes) {
            Ok(text) => VOCABULARIES[0].check(&tokenizer, text),
            Err(error) => {
                let expected = Err(EncodeError::NotUtf8 { offset: error.valid_up_to() });
                prop_assert_eq!(tokenizer.encode_utf8(&bytes, &mut ids), expected);
            }
        }
        check_all([&*String::from_utf8_lossy(&bytes)]);
    }

    #[test]
    fn any_tokens_decode_as_their_bytes_do(ids in prop::collection::vec(prop_oneof![0..256u32, 0..50_257u32], 0..60)) {
        let tokenizer = VOCABULARIES[0].open();
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| tokenizer.token_bytes(id, &mut [0; 4]).expect("a token").to_vec()).collect();
        prop_assert_eq!(on_device::decode(&tokenizer, &ids), String::from_utf8_lossy(&bytes));
    }
}
