//! Core's BPE by scores against the host's and llama2.c's own way: the same tokens for any text, and the text back.

use std::fs;
use std::sync::LazyLock;

use emberlm::text::tokenizer::{Tokenizer as HostTokenizer, section};
use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::{Decoder, EncodeError, Kind, Tokenizer};
use emberlm_tests::fixtures;
use emberlm_tests::llama2c_tokenizer::Llama2cTokenizer;
use emberlm_tests::on_device;
use proptest::prelude::*;
use serde_json::Value;

const TORTURE: &str = include_str!("../fixtures/torture.txt");

/// Characters of a text that llama2.c's way, of order `n^2`, is asked for.
const SHORT: usize = 300;

/// A section, the host's own tokenizer, and what is right about their tokens.
struct Vocabulary {
    section: Vec<u8>,
    host: HostTokenizer,
    /// The host's, from the section.
    again: HostTokenizer,
    reference: Llama2cTokenizer,
}

static STORIES: LazyLock<Vocabulary> = LazyLock::new(|| {
    let file = fs::read(fixtures::bundled("stories260K").join("tok512.bin")).expect("a tokenizer");
    Vocabulary::new(Llama2cTokenizer::read(&file))
});

impl Vocabulary {
    fn new(reference: Llama2cTokenizer) -> Self {
        let host = HostTokenizer::from_tokenizer_bin(&reference.file(), "the file").expect("a tokenizer");
        let section = section::encode(&host.section_parts().expect("a section"));
        let again = host_of(&Tokenizer::open(&section, 60_000).expect("a sound section"));
        Self { section, host, again, reference }
    }

    fn open(&self) -> Tokenizer<'_> {
        Tokenizer::open(&self.section, 60_000).expect("a sound section")
    }

    fn check(&self, text: &str) {
        let tokenizer = self.open();
        let ids = encode(&tokenizer, text);
        assert!(self.host.encode(text).as_ref() == Ok(&ids), "{text:?} became {ids:?}");
        assert!(self.again.encode(text).as_ref() == Ok(&ids), "the section's tokens on the host differ: {text:?}");
        if text.len() <= SHORT {
            assert!(self.reference.encode(text) == ids, "llama2.c has other tokens for {text:?} than {ids:?}");
        }
        assert_eq!(on_device::decode(&tokenizer, &ids), text);
        assert_eq!(self.host.decode(&ids).as_deref(), Ok(text));
    }
}

/// The host's tokenizer of a section.
fn host_of(section: &Tokenizer<'_>) -> HostTokenizer {
    HostTokenizer::from_parts(section::parts(section).expect("sound parts"), "the section").expect("sound parts")
}

fn encode(tokenizer: &Tokenizer<'_>, text: &str) -> Vec<TokenId> {
    on_device::encode(tokenizer, text, text.len() + 1)
}

#[test]
fn stories260k_has_llama2cs_ids_and_text() {
    let golden = fs::read_to_string(fixtures::bundled("stories260K").join("golden.json")).expect("llama2.c's outcome");
    let golden: Value = serde_json::from_str(&golden).expect("JSON");
    let ids = |value: &Value| serde_json::from_value::<Vec<TokenId>>(value.clone()).expect("ids");
    let tokenizer = STORIES.open();
    assert_eq!((tokenizer.kind(), tokenizer.n_tokens()), (Kind::ScoredBpe, 512));
    let text = golden["encode"]["text"].as_str().expect("a text");
    // The first one begins the text, and is not of it.
    let expected = ids(&golden["encode"]["ids"]);
    assert_eq!(encode(&tokenizer, text), expected[1..]);
    assert_eq!(on_device::decode(&tokenizer, &expected), text);
    // What a model writes goes on where its prompt ends.
    let (prompt, all) = (ids(&golden["greedy_prompt_ids"]), ids(&golden["greedy_ids"]));
    let (mut decoder, mut rest) = (Decoder::after(tokenizer, &prompt), String::new());
    all[prompt.len()..].iter().for_each(|&id| decoder.push(id, &mut rest).expect("a known token"));
    let story = golden["greedy_text"].as_str().expect("a text").replace("<0x0A>", "\n");
    assert_eq!(on_device::decode(&tokenizer, &prompt) + &rest, story.trim_start());
    assert_eq!(Decoder::after(tokenizer, &[1]).is_whole(), Decoder::new(tokenizer).is_whole());
}

#[test]
fn bundled_texts() {
    STORIES.check(&fixtures::as_you_like_it());
    STORIES.check(&fs::read_to_string(fixtures::bundled("stories260K").join("story.txt")).expect("a story"));
}

#[test]
fn many_scripts_and_no_script() {
    STORIES.check(TORTURE);
    TORTURE.lines().for_each(|line| STORIES.check(line));
    for text in
        ["", " ", "  ", "\n", "\0\x01\x7f", " a", "a ", "<s>", "<0x41>", "<unk>", "\u{feff}x", "e\u{301}🙂\u{200d}"]
    {
        STORIES.check(text);
    }
    // Every way to cut the text off, and to begin late.
    let ends = TORTURE.char_indices().map(|(at, _)| at).step_by(7);
    ends.for_each(|at| STORIES.check(&TORTURE[TORTURE.floor_char_boundary(at.saturating_sub(40))..at]));
}

#[test]
fn long_runs() {
    for run in ["a", " ", "\n", "é", "ab", "日本", "the", "one day", "once upon "] {
        STORIES.check(&run.repeat(10_000 / run.len()));
    }
    let letter = |i: u32| char::from(b'a' + (i.wrapping_mul(2_654_435_761) >> 20) as u8 % 26);
    STORIES.check(&(0..4000).map(letter).collect::<String>());
}

#[test]
fn words_need_no_more_room_than_their_tokens() {
    let tokenizer = STORIES.open();
    let text = fixtures::as_you_like_it();
    let text = &text[..text.floor_char_boundary(3000)];
    let ids = encode(&tokenizer, text);
    let (mut out, have) = (vec![0; ids.len()], ids.len() - 1);
    assert_eq!(tokenizer.encode(text, &mut out), Ok(ids.len()));
    assert_eq!(out, ids);
    let error = EncodeError::TooManyTokens { need: ids.len(), have };
    assert_eq!(tokenizer.encode(text, &mut out[..have]), Err(error));
}

/// A section with any byte altered is refused, or is another sound one: host and core read the same in it.
#[test]
fn a_section_damaged_at_any_byte() {
    let text = "Once upon a time,  there was\n\té日 <0x41>";
    let (mut refused, mut accepted) = (0, 0);
    for at in 0..STORIES.section.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = STORIES.section.clone();
            bytes[at] ^= flip;
            let Ok(tokenizer) = Tokenizer::open(&bytes, 512) else {
                refused += 1;
                continue;
            };
            accepted += 1;
            let ids = encode(&tokenizer, text);
            assert_eq!(on_device::decode(&tokenizer, &ids), text, "byte {at}");
            if at % 16 == 0 {
                assert_eq!(host_of(&tokenizer).encode(text), Ok(ids), "byte {at}");
            }
        }
    }
    assert!(refused > accepted && accepted > 1000, "{refused} refused, {accepted} accepted");
    for len in 0..STORIES.section.len() {
        assert!(Tokenizer::open(&STORIES.section[..len], 512).is_err(), "{len} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text(text in prop_oneof![any::<String>(), "[ a-z']{0,200}", "[a-e]{100,400}", "( |the|\n|ing|é|日|🙂){0,60}"]) {
        STORIES.check(&text);
    }

    /// Scores of a few letters' tokens meet in every way: ties, overlaps, pairs that give way to others, tokens that go on
    /// with a space, texts that two tokens have.
    #[test]
    fn any_scores(
        pieces in prop::collection::vec(("[abc ]{1,3}|[ab]{1,6}|é|[a ]{1,2}", 0..6_u8), 0..60),
        text in prop_oneof!["[abcé]{0,300}", "[ab]{0,2000}", "a{0,600}", "(ab){0,300}", "[abc ]{0,200}", "[abc]{60,100}"],
    ) {
        let pieces = pieces.into_iter().map(|(piece, score)| (-f32::from(score), piece.into_bytes()));
        Vocabulary::new(Llama2cTokenizer::new(pieces)).check(&text);
    }

    #[test]
    fn any_tokens_decode_as_the_host_has_it(ids in prop::collection::vec(0..512_u32, 0..60)) {
        let text = on_device::decode(&STORIES.open(), &ids);
        prop_assert_eq!(STORIES.host.decode(&ids), Ok(text.clone()));
        prop_assert_eq!(STORIES.again.decode(&ids), Ok(text));
    }
}
