//! The ids of the tokenizers library, its limits, and errors where it would panic.

use super::*;
use proptest::prelude::*;

/// A byte-level BPE of all bytes with a normaliser, and the library's own tokenizer.
fn with_normalizer(normalizer: Value) -> (Other, Tokenizer) {
    let vocab: HashMap<String, u32> = (0..=255u8).map(|byte| (byte_level::to_text(&[byte]), byte.into())).collect();
    let file = json!({
        "version": "1.0", "normalizer": normalizer,
        "added_tokens": [
            {"id": 256, "content": "<S>", "single_word": false, "lstrip": false, "rstrip": true, "normalized": false,
             "special": true},
            {"id": 257, "content": "École", "single_word": true, "lstrip": true, "rstrip": false, "normalized": true,
             "special": false}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    });
    let json = serde_json::to_vec(&file).unwrap();
    let other = Other::new(&Document::of_json(&json).unwrap(), String::new()).unwrap();
    (other, Tokenizer::from_bytes(&json).unwrap())
}

fn normalizers() -> Vec<Value> {
    let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    let sequence = |steps: &[Value]| json!({"type": "Sequence", "normalizers": steps});
    let kind = |name: &str| json!({"type": name});
    vec![
        kind("NFC"),
        kind("NFD"),
        kind("NFKC"),
        kind("NFKD"),
        kind("Lowercase"),
        kind("StripAccents"),
        kind("Nmt"),
        json!({"type": "Strip", "strip_left": true, "strip_right": true}),
        json!({"type": "Prepend", "prepend": "▁"}),
        json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
               "lowercase": true}),
        replace(json!({"String": " "}), "▁"),
        replace(json!({"Regex": "\\p{M}+|(?<=a)b"}), ""),
        replace(json!({"Regex": "[aé]"}), "Éco"),
        sequence(&[kind("NFD"), kind("StripAccents"), kind("Lowercase")]),
        sequence(&[sequence(&[kind("NFKD"), replace(json!({"String": "e"}), "ee")]), kind("NFC")]),
    ]
}

fn check(normalizer: &Value, text: &str) {
    // Each case has its own tokenizers once a thread.
    thread_local! {
        static MADE: std::cell::RefCell<HashMap<String, &'static (Other, Tokenizer)>> = std::cell::RefCell::default();
    }
    let (ours, library) = MADE.with(|made| {
        *made
            .borrow_mut()
            .entry(normalizer.to_string())
            .or_insert_with(|| Box::leak(Box::new(with_normalizer(normalizer.clone()))))
    });
    let expected = library.encode(text, false).unwrap();
    assert_eq!(ours.encode(text).as_deref(), Ok(expected.get_ids()), "{text:?} by {normalizer}");
}

fn text() -> impl Strategy<Value = String> {
    const PARTS: &[&str] = &[
        "é",
        "e\u{301}",
        "École",
        " école ",
        "<S>",
        " ",
        "\n",
        "a",
        "ab",
        "日本",
        "ﬁ",
        "ß",
        "İ",
        "🙂",
        "👨\u{200d}👩",
        "\u{1112}\u{1161}\u{11ab}",
        "한",
        "\u{fdfa}",
        "\u{344}",
        "q\u{323}\u{307}",
        "\u{0}",
        "\u{ad}",
        "Å",
        "①",
        "\u{a0}",
    ];
    let part = prop_oneof![prop::sample::select(PARTS).prop_map(str::to_owned), any::<char>().prop_map(String::from)];
    prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn normalised_text_has_the_librarys_ids(text in text(), normalizer in prop::sample::select(normalizers())) {
        check(&normalizer, &text);
    }
}

#[test]
fn every_normaliser_takes_every_kind_of_text() {
    for normalizer in normalizers() {
        for text in
            ["", " ", "cafe\u{301}", "\u{1106}\u{1161}\u{110b}\u{1175}", "Écolé <S>  École\n", "\u{301}a", "①\u{fdfa}ﬁ"]
        {
            check(&normalizer, text);
        }
    }
}

fn other(file: &Value) -> Result<Other, String> {
    Other::new(&Document::of_json(&serde_json::to_vec(file).unwrap())?, String::new())
}

fn letters(more: Value) -> Value {
    let mut file = json!({
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}
    });
    for (key, value) in more.as_object().unwrap() {
        file[key] = value.clone();
    }
    file
}

#[test]
fn a_character_that_normalised_text_lacks_a_token_for_is_named_where_it_came_from() {
    let lower = other(&letters(json!({"normalizer": {"type": "Lowercase"}}))).unwrap();
    assert_eq!(lower.encode("ABab").unwrap(), [2, 2]);
    let message = |other: &Other, text| other.encode(text).unwrap_err().to_string();
    assert_eq!(message(&lower, "AB\nab"), "the tokenizer has no token for '\\n' (U+000A) at line 1, column 3 (byte 2)");
    assert_eq!(message(&lower, "AÉb"), "the tokenizer has no token for 'É' (U+00C9) at line 1, column 2 (byte 1)");
    let unknown = json!({"type": "WordLevel", "vocab": {"a": 0, "b": 1, "?": 2}, "unk_token": "?"});
    let words = letters(json!({"pre_tokenizer": {"type": "WhitespaceSplit"}, "model": unknown,
                               "normalizer": {"type": "NFKC"}}));
    let words = other(&words).unwrap();
    assert_eq!(words.encode(" a  ? ｂ").unwrap(), [0, 2, 1]);
    assert_eq!(message(&words, "a ⅷ b"), "the tokenizer has no token for 'ⅷ' (U+2177) at line 1, column 3 (byte 2)");
    let bare = other(&letters(json!({"pre_tokenizer": null}))).unwrap();
    assert_eq!(bare.encode("ab a\nb").unwrap(), [2, 2]);
    assert!(message(&bare, "ab xa").contains("'x' (U+0078) at line 1, column 4"));
}

#[test]
fn what_the_library_cannot_do_in_bounds_is_an_error() {
    let replace = |pattern: Value, content: String| json!({"type": "Replace", "pattern": pattern, "content": content});
    let grow = replace(json!({"String": "a"}), "a".repeat(1000));
    let chain = json!({"type": "Sequence", "normalizers": [grow, grow, grow, grow]});
    let doubling = |step: Value, list: &str| json!({"type": "Sequence", list: vec![step; 40]});
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let decoders = json!(vec![grow.clone(); 4]);
    let late = |file: Value, why: &str| {
        let other = other(&letters(file)).unwrap();
        let said = other.encode(&"éab ".repeat(50)).and_then(|ids| other.decode(&ids)).unwrap_err().to_string();
        assert!(said.contains(why) && !said.contains('\n'), "{said}");
    };
    let more = "more than 16 times as much";
    late(json!({"normalizer": chain}), more);
    late(json!({"normalizer": doubling(json!({"type": "ByteLevel"}), "normalizers")}), more);
    late(json!({"normalizer": doubling(json!({"type": "Prepend", "prepend": "x".repeat(5000)}), "normalizers")}), more);
    late(json!({"pre_tokenizer": doubling(byte_level, "pretokenizers")}), more);
    let both = json!({"type": "Sequence", "decoders": decoders});
    let other_decoder = other(&letters(json!({"decoder": both, "pre_tokenizer": null}))).unwrap();
    assert!(other_decoder.decode(&[0; 100]).unwrap_err().to_string().contains(more));
    // The crate panics where something is put before the first character.
    late(json!({"normalizer": replace(json!({"Regex": "^"}), "x".into())}), "gave up");
    late(json!({"normalizer": replace(json!({"Regex": "(?=(?:a*)*c)b"}), String::new())}), "");

    let early = |file: Value, why: &str| {
        let said = other(&letters(file)).err().unwrap_or_else(|| "nothing".into());
        assert!(said.contains(why) && !said.contains('\n'), "{said}");
    };
    early(json!({"normalizer": replace(json!({"String": ""}), "x".into())}), "its Replace has an empty pattern");
    early(json!({"normalizer": replace(json!({"Regex": "("}), "x".into())}), "its Replace");
    early(json!({"normalizer": {"type": "Shout"}}), "its Shout");
    early(json!({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAA="}}), "gave up");
    early(
        json!({"normalizer": doubling(doubling(json!({"type": "NFC"}), "normalizers"), "normalizers")}),
        "more than 64",
    );
    early(json!({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.5}}), "dropout 0.5");
    early(json!({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}), "");
    early(json!({"model": {"type": "WordPiece", "vocab": {"a": 0}, "max_input_chars_per_word": 1_000_000}}), "1000000");
    let gap = json!([{"id": 9, "content": "<x>", "single_word": false, "lstrip": true, "rstrip": false,
                      "normalized": false, "special": true}]);
    early(json!({"added_tokens": gap}), "the added token \"<x>\" has the id 9 and would get 3");
}

#[test]
fn nested_sequences_are_read_in_time() {
    let mut nested = json!({"type": "NFC"});
    for _ in 0..50 {
        nested = json!({"type": "Sequence", "normalizers": [nested]});
    }
    assert_eq!(other(&letters(json!({"normalizer": nested}))).unwrap().encode("ab").unwrap(), [2]);
}
