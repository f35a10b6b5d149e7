//! Tokenizers as models are published with them, in small: trained on the bundled play by the `tokenizers` crate, with the
//! settings of SmolLM2, Llama 3, Qwen, Llama 2, Gemma, and others that are put together of the same steps.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{
    DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer, TokenizerBuilder,
};

use crate::fixtures;

/// Llama 3's pattern, with Qwen 2's in place of `{1,3}`.
const LINES: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// GPT-2's.
const WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// A tokenizer as it is published.
pub struct Published {
    /// Whose settings it has.
    pub name: &'static str,
    /// Its `tokenizer.json`.
    pub json: Vec<u8>,
    /// What lies beside it as `tokenizer_config.json`.
    pub config: Value,
    /// The texts of its added tokens.
    pub added: Vec<String>,
}

impl Published {
    fn new(name: &'static str, json: &Value) -> Self {
        let list = json["added_tokens"].as_array().map_or(&[][..], Vec::as_slice);
        let added = list.iter().filter_map(|token| token["content"].as_str().map(str::to_owned)).collect();
        let bytes = serde_json::to_vec(json).expect("JSON");
        Self { name, json: bytes, config: json!({}), added }
    }

    /// The tokenizer of that name.
    ///
    /// # Panics
    /// If there is none.
    pub fn named(name: &str) -> &'static Self {
        PUBLISHED.iter().find(|published| published.name == name).expect("one of the names")
    }

    /// What the crate makes of it.
    ///
    /// # Panics
    /// If it is none to the crate.
    pub fn reference(&self) -> Tokenizer {
        Tokenizer::from_bytes(&self.json).expect("a tokenizer")
    }
}

/// All of them.
pub static PUBLISHED: LazyLock<Vec<Published>> = LazyLock::new(|| {
    let mut all = vec![smollm2(), llama3(), qwen2(), pythia(), roberta(), llama2(), gemma()];
    all.extend(metaspaces());
    all.extend([across_words(), kept_spaces(), unknown_fused(), unknown_apart(), some_bytes()]);
    all
});

fn added(id: usize, content: &str, flags: &[&str]) -> Value {
    let is = |flag: &str| flags.contains(&flag);
    json!({"id": id, "content": content, "single_word": false, "lstrip": is("lstrip"), "rstrip": is("rstrip"),
           "normalized": is("normalized"), "special": is("special")})
}

/// Adds tokens behind those of the vocabulary.
fn with_added(mut json: Value, tokens: &[(&str, &[&str])]) -> Value {
    let mut next = json["model"]["vocab"].as_object().map_or(0, Map::len);
    let mut list = json["added_tokens"].as_array().cloned().unwrap_or_default();
    for (content, flags) in tokens {
        let id = json["model"]["vocab"].get(*content).and_then(Value::as_u64).map_or(next, |id| id as usize);
        next += usize::from(id == next);
        list.push(added(id, content, flags));
    }
    json["added_tokens"] = list.into();
    json
}

fn template(token: &str, id: usize) -> Value {
    json!({"type": "TemplateProcessing",
           "single": [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
           "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}}})
}

fn sequence(list: &str, steps: &[Value]) -> Value {
    json!({"type": "Sequence", list: steps})
}

fn replace(from: &str, to: &str) -> Value {
    json!({"type": "Replace", "pattern": {"String": from}, "content": to})
}

fn split(pattern: Value, behavior: &str) -> Value {
    json!({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": false})
}

fn byte_level(add_prefix_space: bool, use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": true, "use_regex": use_regex})
}

fn metaspace(scheme: &str, is_split: bool) -> Value {
    json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": is_split})
}

/// What Llama's tokens go through.
fn decoder(strips: bool) -> Value {
    let strip = json!({"type": "Strip", "content": " ", "start": 1, "stop": 0});
    let mut steps = vec![replace("▁", " "), json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
    steps.extend(strips.then_some(strip));
    sequence("decoders", &steps)
}

/// A `tokenizer.json` with a vocabulary of `n_vocab` tokens, trained on the play and on words of other scripts.
fn trained(n_vocab: usize, normalizer: Value, pre_tokenizer: Value, alphabet: HashSet<char>) -> Value {
    let play = fixtures::as_you_like_it();
    let other = "the théâtre naïve 日本語のテキスト 漢字 한국어 привет мир 1234 56 789 10 2024 🙂🙂 👍🏽 don't DON'T we'll (a) -- ...\n";
    let texts: Vec<String> =
        play.lines().take(1500).map(|line| format!("{line}\n")).chain([other.repeat(20)]).collect();
    let parse = |value: &Value| serde_json::from_value::<PreTokenizerWrapper>(value.clone()).expect("a step");
    let builder =
        TokenizerBuilder::<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>::new()
            .with_model(BPE::default())
            .with_normalizer(serde_json::from_value(normalizer.clone()).expect("a normaliser or none"))
            .with_pre_tokenizer(Some(parse(&pre_tokenizer)));
    let mut tokenizer = builder.build().expect("all that it needs");
    let trainer = BpeTrainer::builder().vocab_size(n_vocab).show_progress(false).initial_alphabet(alphabet);
    tokenizer.train(&mut trainer.build(), texts.iter().map(String::as_str)).expect("texts that train");
    let json = tokenizer.to_string(false).expect("a tokenizer that is JSON");
    let mut json: Value = serde_json::from_str(&json).expect("JSON");
    (json["normalizer"], json["pre_tokenizer"]) = (normalizer, pre_tokenizer);
    json
}

/// A byte-level tokenizer.
fn of_bytes(n_vocab: usize, normalizer: Value, pre_tokenizer: Value) -> Value {
    let mut json = trained(n_vocab, normalizer, pre_tokenizer, ByteLevel::alphabet().into_iter().collect());
    json["decoder"] = byte_level(true, true);
    json
}

fn smollm2() -> Published {
    let digits = json!({"type": "Digits", "individual_digits": true});
    let pre = sequence("pretokenizers", &[digits, byte_level(false, true)]);
    let special: &[&str] = &["special"];
    let tokens = [("<|endoftext|>", special), ("<|im_start|>", special), ("<|im_end|>", special)];
    let json = with_added(of_bytes(700, Value::Null, pre), &tokens);
    let config = json!({"bos_token": "<|im_start|>", "add_prefix_space": false});
    Published { config, ..Published::new("smollm2", &json) }
}

fn llama3() -> Published {
    let pre = sequence("pretokenizers", &[split(json!({"Regex": LINES}), "Isolated"), byte_level(false, false)]);
    let mut json = of_bytes(800, Value::Null, pre);
    // Words that merges do not come to are tokens all the same.
    json["model"]["ignore_merges"] = true.into();
    let merges = json["model"]["merges"].as_array().expect("a list").clone();
    let kept = merges.iter().enumerate().filter(|(rank, _)| rank % 5 != 3).map(|(_, merge)| merge.clone());
    json["model"]["merges"] = kept.collect();
    let special: &[&str] = &["special"];
    let tokens = [("<|begin_of_text|>", special), ("<|eot_id|>", special), ("<|reserved_special_token_1|>", special)];
    let mut json = with_added(json, &tokens);
    let bos = json["added_tokens"][0]["id"].as_u64().unwrap_or_default() as usize;
    json["post_processor"] = sequence("processors", &[byte_level(true, true), template("<|begin_of_text|>", bos)]);
    Published::new("llama3", &json)
}

fn qwen2() -> Published {
    let pattern = LINES.replace("{1,3}", "");
    let pre = sequence("pretokenizers", &[split(json!({"Regex": pattern}), "Isolated"), byte_level(false, false)]);
    let special: &[&str] = &["special"];
    let tokens =
        [("<|endoftext|>", special), ("<|im_start|>", special), ("<tool_call>", &[][..]), ("é!", &["normalized"])];
    let mut json = with_added(of_bytes(700, json!({"type": "NFC"}), pre), &tokens);
    json["post_processor"] = byte_level(false, false);
    let config = json!({"bos_token": null, "add_bos_token": false, "eos_token": "<|endoftext|>"});
    Published { config, ..Published::new("qwen2", &json) }
}

/// Added tokens that are spaces, and that take spaces.
fn pythia() -> Published {
    let json = of_bytes(600, json!({"type": "NFC"}), byte_level(false, true));
    let normal: &[&str] = &["normalized"];
    let tokens = [
        ("<|endoftext|>", &["special"][..]),
        ("   ", normal),
        ("  ", normal),
        ("<mask>", &["special", "lstrip"]),
        ("<tail>", &["rstrip", "normalized"]),
        ("<both>", &["lstrip", "rstrip"]),
    ];
    Published::new("pythia", &with_added(json, &tokens))
}

fn roberta() -> Published {
    let special: &[&str] = &["special"];
    let mut json =
        with_added(of_bytes(500, Value::Null, byte_level(true, true)), &[("<s>", special), ("</s>", special)]);
    json["model"]["unk_token"] = "<s>".into();
    Published::new("roberta", &json)
}

/// A tokenizer of characters behind three special tokens and the bytes, without its decoder.
fn of_characters(n_vocab: usize, normalizer: Value, pre_tokenizer: Value) -> Value {
    let mut json = trained(n_vocab, normalizer, pre_tokenizer, HashSet::new());
    let first = ["<unk>", "<s>", "</s>"].map(str::to_owned).into_iter();
    let first: Vec<String> = first.chain((0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>"))).collect();
    let vocab = json["model"]["vocab"].as_object().expect("a vocabulary").clone();
    let moved = vocab.into_iter().map(|(name, id)| (name, json!(id.as_u64().unwrap_or_default() + first.len() as u64)));
    let all: Map<String, Value> = first.iter().cloned().zip((0..).map(|id| json!(id))).chain(moved).collect();
    json["model"]["vocab"] = all.into();
    for (key, value) in [("unk_token", json!("<unk>")), ("byte_fallback", json!(true)), ("fuse_unk", json!(true))] {
        json["model"][key] = value;
    }
    with_added(json, &[("<unk>", &["special"]), ("<s>", &["special"]), ("</s>", &["special"])])
}

/// Llama's normaliser.
fn prepended() -> Value {
    sequence("normalizers", &[json!({"type": "Prepend", "prepend": "▁"}), replace(" ", "▁")])
}

fn llama2() -> Published {
    let mut json = of_characters(600, prepended(), metaspace("never", true));
    (json["pre_tokenizer"], json["decoder"]) = (Value::Null, decoder(true));
    json["post_processor"] = template("<s>", 1);
    let json = with_added(
        json,
        &[("[INST]", &["normalized"]), ("<pad>", &["special", "normalized", "rstrip"]), ("<0x41>", &[])],
    );
    let config = json!({"bos_token": {"content": "<s>"}, "add_bos_token": true, "add_eos_token": false});
    Published { config, ..Published::new("llama2", &json) }
}

fn gemma() -> Published {
    let mut json = of_characters(600, replace(" ", "▁"), metaspace("never", true));
    json["pre_tokenizer"] = split(json!({"String": " "}), "MergedWithPrevious");
    json["decoder"] = decoder(false);
    json["post_processor"] = template("<s>", 1);
    let tokens = [
        ("<start_of_turn>", &["special"][..]),
        ("\n\n", &[]),
        ("\n\n\n", &[]),
        ("▁▁", &[]),
        ("<table>", &[]),
        ("a b", &["normalized"]),
    ];
    Published::new("gemma", &with_added(json, &tokens))
}

/// Every way to put a space before a text.
fn metaspaces() -> Vec<Published> {
    let names = ["first", "first, split", "always", "always, split", "never", "never, split"];
    let all = names.into_iter().map(|name| {
        let (scheme, is_split) = (name.split(',').next().unwrap_or(name), name.contains("split"));
        let mut json = of_characters(500, Value::Null, metaspace(scheme, true));
        json["pre_tokenizer"] = metaspace(scheme, is_split);
        let first = metaspace(scheme, is_split);
        let fallback = json!({"type": "ByteFallback"});
        json["decoder"] = match is_split {
            true => sequence("decoders", &[first, fallback, json!({"type": "Fuse"})]),
            false => decoder(scheme != "never"),
        };
        Published::new(name, &with_added(json, &[("[X]", &["normalized"]), ("<sep>", &["special", "lstrip"])]))
    });
    all.collect()
}

/// Tokens of more than one word.
fn across_words() -> Published {
    let mut json = of_characters(700, prepended(), metaspace("never", false));
    (json["pre_tokenizer"], json["decoder"]) = (Value::Null, decoder(true));
    Published::new("across words", &json)
}

/// Characters whose spaces are spaces.
fn kept_spaces() -> Published {
    let pre = sequence(
        "pretokenizers",
        &[json!({"type": "Digits", "individual_digits": false}), split(json!({"String": " "}), "MergedWithNext")],
    );
    let mut json = of_characters(500, json!({"type": "NFKC"}), pre);
    json["decoder"] = sequence("decoders", &[json!({"type": "ByteFallback"}), json!({"type": "Fuse"})]);
    Published::new("kept spaces", &json)
}

/// Characters without bytes to fall back to.
fn unknown_fused() -> Published {
    let mut json = of_characters(400, Value::Null, split(json!({"Regex": WORDS}), "Isolated"));
    json["model"]["byte_fallback"] = false.into();
    json["decoder"] = json!({"type": "Fuse"});
    Published::new("unknown, fused", &json)
}

fn unknown_apart() -> Published {
    let mut json = of_characters(400, replace(" ", "_"), split(json!({"String": "_"}), "MergedWithPrevious"));
    (json["model"]["byte_fallback"], json["model"]["fuse_unk"]) = (false.into(), false.into());
    json["decoder"] = replace("_", " ");
    Published::new("unknown, apart", &json)
}

/// Characters of which not every one has bytes to fall back to.
fn some_bytes() -> Published {
    let mut json = of_characters(400, prepended(), metaspace("never", true));
    let vocab = json["model"]["vocab"].as_object_mut().expect("a vocabulary");
    vocab.retain(|name, _| !(name.starts_with("<0xE") || name.starts_with("<0xF")));
    (json["pre_tokenizer"], json["decoder"]) = (Value::Null, decoder(true));
    Published::new("some bytes", &json)
}
