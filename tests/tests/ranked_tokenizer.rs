//! Tokenizers as models are published with them, on host and device, against the `tokenizers` crate: the same tokens for any
//! text, and the same text for any tokens.

use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use emberlm::text::tokenizer::{Tokenizer as HostTokenizer, TokenizerError, section};
use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::{Digits, EncodeError, Kind, NormalForm, Prefix, Rules, Spaces, Split, Tokenizer, Unit};
use emberlm_tests::fixtures;
use emberlm_tests::on_device;
use emberlm_tests::published::{PUBLISHED, Published};
use emberlm_tests::tokenizer_sizes;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use tokenizers::{NormalizedString, Normalizer, normalizers};

const TORTURE: &str = include_str!("../fixtures/torture.txt");

/// A tokenizer, everywhere.
struct Everywhere {
    published: &'static Published,
    reference: tokenizers::Tokenizer,
    host: HostTokenizer,
    section: Vec<u8>,
    /// The host's, of what the section holds.
    again: HostTokenizer,
}

static ALL: LazyLock<Vec<Everywhere>> = LazyLock::new(|| PUBLISHED.iter().map(Everywhere::new).collect());

impl Everywhere {
    fn new(published: &'static Published) -> Self {
        let host = HostTokenizer::from_tokenizer_json(&published.json, published.name).expect(published.name);
        let parts = host.section_parts().expect(published.name);
        let section = section::encode(&parts);
        let device = Tokenizer::open(&section, 60_000).expect(published.name);
        assert_eq!(device.kind(), Kind::RankedBpe, "{}", published.name);
        let again = section::parts(&device).expect("sound parts");
        assert!(section::encode(&again) == section, "{}", published.name);
        let again = HostTokenizer::from_parts(again, "the section").expect("sound parts");
        Self { published, reference: published.reference(), host, section, again }
    }

    fn device(&self) -> Tokenizer<'_> {
        Tokenizer::open(&self.section, 60_000).expect("a sound section")
    }

    /// The text as it has to be for the device.
    fn normal(&self, text: &str) -> String {
        let mut normal = NormalizedString::from(text);
        match self.device().ranked().expect("tables").rules().form {
            NormalForm::Any => Ok(()),
            NormalForm::Nfc => normalizers::NFC.normalize(&mut normal),
            NormalForm::Nfkc => normalizers::NFKC.normalize(&mut normal),
            other => panic!("{other:?}"),
        }
        .expect("a text that can be normalised");
        normal.get().to_owned()
    }

    fn check(&self, text: &str) {
        let name = self.published.name;
        let expected = |text: &str| self.reference.encode_fast(text, false).expect("ids").get_ids().to_vec();
        let theirs = expected(text);
        let ours = match self.host.encode(text) {
            Ok(ours) => ours,
            // The crate leaves out a character that nothing stands for.
            Err(TokenizerError::Unrepresentable { c, .. }) => panic!("{name}: nothing for {c:?} of {text:?}"),
            Err(error) => panic!("{name}: {error}"),
        };
        assert!(ours == theirs, "{name}: {text:?} became {ours:?} and not {theirs:?}");
        assert_eq!(self.again.encode(text), Ok(theirs), "{name}: {text:?}");
        let normal = self.normal(text);
        let theirs = expected(&normal);
        let device = encode(&self.device(), &normal);
        assert!(device == theirs, "{name}: on the device {normal:?} became {device:?} and not {theirs:?}");
        self.check_ids(&theirs);
    }

    fn check_ids(&self, ids: &[TokenId]) {
        let name = self.published.name;
        let theirs = self.reference.decode(ids, false).expect("a text");
        assert_eq!(self.host.decode(ids).as_ref(), Ok(&theirs), "{name}: {ids:?}");
        assert_eq!(on_device::decode(&self.device(), ids), theirs, "{name}: {ids:?}");
    }
}

/// The tokens of a text, in the room that is said to be enough.
fn encode(tokenizer: &Tokenizer<'_>, text: &str) -> Vec<TokenId> {
    on_device::encode(tokenizer, text, 2 * text.len() + 1)
}

#[test]
fn the_bundled_text() {
    let play = fixtures::as_you_like_it();
    let play = &play[..play.floor_char_boundary(40_000)];
    ALL.iter().for_each(|all| all.check(play));
}

#[test]
fn many_scripts_and_no_script() {
    for all in &*ALL {
        all.check(TORTURE);
        TORTURE.lines().for_each(|line| all.check(line));
        let ends = TORTURE.char_indices().map(|(at, _)| at).step_by(7);
        ends.for_each(|at| all.check(&TORTURE[TORTURE.floor_char_boundary(at.saturating_sub(40))..at]));
    }
}

#[test]
fn the_shortest_texts() {
    let spaces = [" ", "▁", "_", "\n", "\r\n", "\t", "\u{a0}", "\u{3000}", "\u{85}"];
    for all in &*ALL {
        for first in spaces.iter().chain(&["", "a", "1", "!", "'s", "é", "<s>"]) {
            for second in spaces.iter().chain(&["", "a", "12", "'ſ", "<s>", "[X]"]) {
                all.check(&format!("{first}{second}"));
                all.check(&format!("{first}{second}{first}"));
                all.check(&format!("x{first}{second} "));
            }
        }
    }
}

/// A text that is put together at random.
fn random_text(rng: &mut Pcg64, added: &[String]) -> String {
    const PARTS: &[&str] = &[
        " ",
        " ",
        "  ",
        "   ",
        "\n",
        "\r\n",
        "\n\n",
        "\n\n\n",
        "\t",
        "\u{b}",
        "\u{85}",
        "\u{a0}",
        "\u{1680}",
        "\u{2028}",
        "\u{3000}",
        "\u{feff}",
        "\u{0}",
        "\u{1b}",
        "\u{7f}",
        "\u{200b}",
        "\u{200d}",
        "\u{ad}",
        "▁",
        "_",
        "'",
        "'s",
        "'S",
        "'ſ",
        "'LL",
        "'Re",
        "’t",
        "the",
        "The ",
        "ing",
        "and ",
        "you",
        "é",
        "e\u{301}",
        "\u{301}",
        "a\u{30a}",
        "q\u{323}\u{307}",
        "ﬁ",
        "①",
        "Å",
        "K",
        "ſ",
        "ß",
        "İ",
        "日本語",
        "漢字",
        "한국",
        "\u{1112}\u{1161}\u{11ab}",
        "привет",
        "ไทย",
        "हिन्दी",
        "7",
        "1234",
        "٣٤",
        "१२",
        "²",
        "½",
        "Ⅷ",
        "𝟘",
        "🙂",
        "👍🏽",
        "👩\u{200d}👧",
        "🇩🇪",
        "(a)",
        "--",
        "...",
        "!?",
        "<",
        "<|",
        "<0x41>",
        "<0xE2>",
        "a b",
        "\u{e000}",
        "\u{378}",
        "\u{10ffff}",
    ];
    let mut text = String::new();
    for _ in 0..rng.random_range(0..25) {
        match rng.random_range(0..10) {
            0 => text.extend(char::from_u32(rng.random_range(0..=0x10_ffff))),
            1 => text.extend(char::from_u32(rng.random_range(0..0x3000))),
            2 => text.push(char::from(rng.random_range(b'a'..=b'z'))),
            3 => text.push_str(added.choose(rng).map_or("", String::as_str)),
            _ => text.push_str(PARTS.choose(rng).expect("a list")),
        }
    }
    text
}

#[test]
fn random_texts() {
    for all in &*ALL {
        let mut rng = Pcg64::seed_from_u64(17);
        for _ in 0..2500 {
            all.check(&random_text(&mut rng, &all.published.added));
        }
    }
}

#[test]
fn random_tokens() {
    for all in &*ALL {
        let (mut rng, n) = (Pcg64::seed_from_u64(4), all.host.n_vocab() as TokenId);
        // Ids from a range in which few tokens are anything but bytes, too.
        for most in [n, 300.min(n)] {
            for _ in 0..1000 {
                let ids: Vec<TokenId> = (0..rng.random_range(0..30)).map(|_| rng.random_range(0..most)).collect();
                if ids.iter().all(|&id| all.reference.id_to_token(id).is_some()) {
                    all.check_ids(&ids);
                }
            }
        }
    }
}

/// The processor's time of this thread, where the system tells it, and else what a clock says.
fn thread_time(clock: Instant) -> Duration {
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = told.and_then(|told| told.split(' ').next()?.parse().ok());
    spent.map_or_else(|| clock.elapsed(), Duration::from_nanos)
}

/// Time of order `n log n`: for eight times the text not 64 times as much.
#[test]
fn long_texts_without_a_space() {
    let letters = |n: usize| -> String {
        let letter = |i: u32| char::from(b'a' + (i.wrapping_mul(2_654_435_761) >> 20) as u8 % 26);
        (0..n as u32).map(letter).collect()
    };
    let (runs, clock) = (|n: usize| "日本".repeat(n / 6), Instant::now());
    for name in ["smollm2", "llama2", "across words"] {
        let all = ALL.iter().find(|all| all.published.name == name).expect("one of the names");
        for text in [&letters as &dyn Fn(usize) -> String, &runs] {
            let time = |n: usize, times: usize| {
                let text = text(n);
                let once = || {
                    let start = thread_time(clock);
                    let ids = all.host.encode(&text).expect("bytes for every character");
                    assert!(!ids.is_empty());
                    thread_time(clock) - start
                };
                (0..times).map(|_| once()).min().expect("some times")
            };
            let (short, long) = (time(1 << 17, 3), time(1 << 20, 1));
            assert!(long < 32 * short.max(Duration::from_millis(2)), "{name}: {short:?}, then {long:?}");
        }
    }
}

/// The page's table is what is measured.
#[test]
fn the_documented_sizes() {
    let page = include_str!("../../docs/memory.md");
    for row in tokenizer_sizes::rows() {
        assert!(page.contains(&row), "docs/memory.md does not have the row {row}");
    }
    assert!(page.contains("1,000 bytes of the bundled play") && tokenizer_sizes::TEXT_BYTES == 1000);
}

/// FORMAT.md's table of rules, and its pattern.
#[test]
fn the_documented_rules() {
    let format = include_str!("../../FORMAT.md");
    let table = format.split("The rules are bytes and two words:").nth(1).expect("a table");
    let plain = Rules::PLAIN;
    let splits = [
        (Split::Whole, "whole"),
        (Split::Gpt2, "GPT-2's pattern"),
        (Split::Llama3, "Llama 3's"),
        (Split::Qwen2, "Qwen 2's"),
        (Split::BeforeSpaces, "before each space"),
        (Split::AfterSpaces, "behind each space"),
        (Split::BeforeRunsOfSpaces, "before each space that follows another character"),
    ];
    let digits =
        [(Digits::Kept, "kept"), (Digits::Runs, "runs of numbers cut out"), (Digits::Single, "each number cut out")];
    let prefixes = [
        (Prefix::Never, "never"),
        (Prefix::First, "first"),
        (Prefix::Always, "always"),
        (Prefix::Inserted, "inserted"),
    ];
    let spaces = [
        (Spaces::Kept, "kept"),
        (Spaces::Normalized('▁'), "replaced when normalised"),
        (Spaces::Replaced('▁'), "replaced when cut"),
    ];
    let forms = [NormalForm::Any, NormalForm::Nfc, NormalForm::Nfd, NormalForm::Nfkc, NormalForm::Nfkd];
    let units = [(Unit::Bytes, "bytes"), (Unit::Characters, "characters")];
    let flags = [
        (Rules { ignores_merges: true, ..plain }, "merges are ignored for a piece that is a token"),
        (Rules { fuses_unknown: true, ..plain }, "unknown characters in a row are one token"),
        (Rules { drops_first_spaces: true, ..plain }, "the first token loses all of its spaces when decoded"),
    ];
    let mut all: Vec<(usize, Rules, &str)> = Vec::new();
    all.extend(units.map(|(unit, name)| (0, Rules { unit, ..plain }, name)));
    all.extend(splits.map(|(split, name)| (1, Rules { split, ..plain }, name)));
    all.extend(digits.map(|(digits, name)| (2, Rules { digits, ..plain }, name)));
    all.extend(prefixes.map(|(prefix, name)| (3, Rules { prefix, ..plain }, name)));
    all.extend(spaces.map(|(spaces, name)| (4, Rules { spaces, ..plain }, name)));
    all.extend(forms.map(|form| (5, Rules { form, ..plain }, form.name().unwrap_or("any"))));
    all.extend(flags.map(|(rules, name)| (6, rules, name)));
    for (offset, rules, name) in all {
        let bytes: Vec<u8> = rules.to_words().iter().flat_map(|word| word.to_le_bytes()).collect();
        let row = table.lines().find(|line| line.starts_with(&format!("| {offset} | ")));
        let row = row.expect("a row for each rule");
        assert!(row.contains(&format!("{} {name}", bytes[offset])), "{row} does not say {} {name}", bytes[offset]);
    }
    let pattern = Published::named("llama3").reference().get_pre_tokenizer().map(|step| format!("{step:?}"));
    let pattern = pattern.expect("a pre-tokeniser").replace("\\\\", "\\");
    let said = format.split("pattern is `").nth(1).and_then(|rest| rest.split('`').next()).expect("a pattern");
    assert!(pattern.contains(said), "{said} is not in {pattern}");
    assert!(format.contains("more than 128 bytes for text"));
}

#[test]
fn words_need_no_more_room_than_their_tokens() {
    let play = fixtures::as_you_like_it();
    let play = &play[..play.floor_char_boundary(3000)];
    for all in ALL.iter().filter(|all| all.published.name != "across words") {
        let text = all.normal(play);
        let ids = encode(&all.device(), &text);
        let (mut out, have) = (vec![0; ids.len()], ids.len() - 1);
        assert_eq!(all.device().encode(&text, &mut out), Ok(ids.len()), "{}", all.published.name);
        assert_eq!(out, ids);
        let error = EncodeError::TooManyTokens { need: ids.len(), have };
        assert_eq!(all.device().encode(&text, &mut out[..have]), Err(error));
    }
}

/// A section with any byte altered is refused, or is another sound one: host and device read the same in it.
#[test]
fn a_section_damaged_at_any_byte() {
    let text = "Once upon a time,  there was 123\n\té日 <0x41> <s>[INST] \u{301}";
    for name in ["llama3", "llama2", "pythia", "unknown, fused"] {
        let all = ALL.iter().find(|all| all.published.name == name).expect("one of the names");
        let (mut refused, mut accepted) = (0, 0);
        for at in 0..all.section.len() {
            let mut bytes = all.section.clone();
            bytes[at] ^= [0x01, 0x80, 0xff][at % 3];
            let Ok(device) = Tokenizer::open(&bytes, 60_000) else {
                refused += 1;
                continue;
            };
            accepted += 1;
            let mut ids = vec![0; 2 * text.len() + 1];
            let ours = device.encode(text, &mut ids).map(|n| ids[..n].to_vec());
            // From the last on: a long row of bytes goes wrong with its first.
            let all_ids: Vec<TokenId> = (0..device.n_tokens()).rev().collect();
            if at % 64 == 0 || at < 128 {
                let host = section::parts(&device).expect("what core takes has parts");
                let host = HostTokenizer::from_parts(host, "the section").expect("sound parts");
                if device.ranked().expect("tables").rules().form == NormalForm::Any {
                    assert_eq!(host.encode(text).ok(), ours.ok(), "{name}: byte {at}");
                }
                let known: Vec<TokenId> = all_ids.into_iter().filter(|&id| host.token_bytes(id).is_some()).collect();
                assert_eq!(host.decode(&known), Ok(on_device::decode(&device, &known)), "{name}: byte {at}");
            }
        }
        assert!(refused > 1000 && accepted > 300, "{name}: {refused} refused, {accepted} accepted");
        for len in (0..all.section.len()).step_by(97) {
            assert!(Tokenizer::open(&all.section[..len], 60_000).is_err(), "{len} bytes");
        }
    }
}
