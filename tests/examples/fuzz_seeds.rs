//! Writes what the fuzzers start from: `tests/fuzz/seeds/TARGET/NAME`, small inputs that come to something.

use std::fs;
use std::path::Path;

use emberlm::text::tokenizer::{Tokenizer, section};
use emberlm_core::model::Model;
use emberlm_core::source::Mapped;
use emberlm_tests::family_models::{Llama, write_llama};
use emberlm_tests::hostile::blob::sound_blobs;
use emberlm_tests::hostile::checkpoint::{SOUND, shard_names, sound_llama2c};
use emberlm_tests::hostile::forward;
use emberlm_tests::llama2c_tokenizer::Llama2cTokenizer;
use emberlm_tests::llama2c_writer::Version;
use emberlm_tests::models::{NormPlaces, Positions, Spec};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};

const TURNING: Positions = Positions::Rotary { dim: 2, two_tables: false };

fn main() {
    for (i, (_, blob)) in sound_blobs().iter().enumerate() {
        write("blob", &format!("sound-{i}"), &[&[0], &blob[..]].concat());
        let model = Model::open(Mapped::new(blob).expect("an aligned blob")).expect("a sound blob");
        if let Ok(Some(tokenizer)) = model.tokenizer() {
            let bytes = section::encode(&section::parts(&tokenizer).expect("a sound section"));
            write("tokenizer", &format!("section-{i}"), &[b"\0\x08ab abcba", &bytes[..]].concat());
        }
    }
    let pieces = ["b", "ab", " a", "a", " ", "é", "ab"].iter().enumerate();
    let scored = Llama2cTokenizer::new(pieces.map(|(i, piece)| (-(i as f32), piece.as_bytes().to_vec())));
    let scored = Tokenizer::from_tokenizer_bin(&scored.file(), "made up").expect("a tokenizer");
    let bytes = section::encode(&scored.section_parts().expect("a section"));
    write("tokenizer", "section-scored", &[b"\0\x09ab a\xc3\xa9!ba", &bytes[..]].concat());
    for (name, json) in ranked() {
        let ranked = Tokenizer::from_tokenizer_json(json.to_string().as_bytes(), name).expect("a tokenizer");
        let bytes = section::encode(&ranked.section_parts().expect("a section"));
        let text = "ab 1 <s>a\u{e9}";
        write("tokenizer", &format!("section-{name}"), &[&[0, text.len() as u8], text.as_bytes(), &bytes].concat());
        write("tokenizer_json", name, format!("{text}\0{json}").as_bytes());
    }
    let random = |seed| {
        let mut bytes = vec![0_u8; 160];
        Pcg64::seed_from_u64(seed).fill(&mut bytes[..]);
        bytes
    };
    for seed in 0..4 {
        write("tokenizer", &format!("pairs-{seed}"), &[&[1], &random(seed)[..]].concat());
    }
    // Most models of noise come to nothing.
    let shapes = (0..).map(random).filter(|bytes| forward::run(bytes)).take(4);
    shapes.enumerate().for_each(|(i, bytes)| write("forward", &format!("random-{i}"), &bytes));
    checkpoints();
    tokenizers();
    records();
    write("input", "row", b"[0, 299, 7]");
    write("input", "rows", b"[[0, 1], [2], [3, 4, 5]]");
    write("input", "text", "ab\né日".as_bytes());
}

fn records() {
    let text = |n: u64| json!({"files": ["a.txt"], "tokens_crc32": "00000000", "tokens_scored": n});
    let run = json!({"model_crc32": "00000000", "arithmetic": 3, "activations": "i16", "kv": "f32",
                     "convention": "sliding", "n_ctx": 8, "stride": 4, "bos": "none", "texts": [text(3), text(0), text(2)],
                     "tokens_skipped": 3, "windows": 2, "shards": 1});
    let part = json!({"shard": 1, "first_window": 0, "windows": 2, "tokens_scored": 5, "bytes": 7});
    let header = json!({"emberlm_records": 1, "run": run, "part": part}).to_string();
    let losses = [1.0_f32, 2.5, 0.25, f32::INFINITY, 3.0].map(f32::to_le_bytes).concat();
    write("records", "whole", &[header.as_bytes(), b"\n", &losses].concat());
}

fn checkpoints() {
    let n_header = 8 + usize::try_from(u64::from_le_bytes(SOUND.tensors[..8].try_into().expect("eight bytes")))
        .expect("a header in memory");
    let (header, tensors) = (&SOUND.tensors[8..n_header], &SOUND.tensors[n_header..]);
    write("checkpoint", "hf", &[&SOUND.config[..], b"\0", header, b"\0", tensors].concat());
    let heads: &[u8] = br#"{"n_head": 2, "tie_word_embeddings": false}"#;
    write("checkpoint", "heads-alone", &[heads, b"\0", header, b"\0", tensors].concat());
    write("config", "hf", &SOUND.config);
    let nanogpt =
        json!({"vocab_size": 9, "block_size": 4, "n_embd": 4, "n_head": 2, "n_layer": 1, "tie_word_embeddings": false});
    write("config", "nanogpt", nanogpt.to_string().as_bytes());

    for (name, version) in [("zero", Version::Zero), ("one", Version::One), ("two", Version::Two(2))] {
        write("llama2c", name, &sound_llama2c(version));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let spec = Llama { n_vocab: 5, n_embd: 4, n_layer: 1, head_dim: 2, n_ff: 6, tied: true, ..Llama::SMALL };
    let mut config = spec.config("mistral");
    (config["sliding_window"], config["max_position_embeddings"]) = (2.into(), 4.into());
    write_llama(&spec.model(1), &config, folder.path()).expect("a checkpoint that can be written");
    let file = fs::read(folder.path().join("model.safetensors")).expect("the file that was written");
    let n_header = 8 + u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
    let parts = [config.to_string().as_bytes(), b"\0", &file[8..n_header], b"\0", &file[n_header..]].concat();
    write("checkpoint", "mistral", &parts);

    for (model_type, places) in
        [("qwen3", NormPlaces { heads: true, ..NormPlaces::GPT2 }), ("gemma3_text", Spec::GEMMA.norm_places)]
    {
        let small =
            Spec { n_vocab: 5, n_ctx: 4, n_embd: 4, n_head: 2, n_kv_head: Some(1), head_dim: Some(2), ..Spec::LLAMA };
        let small = Spec { n_layer: 1, n_ff: 6, untied: false, norm_places: places, positions: TURNING, ..small };
        let mut config = spec.config(model_type);
        (config["num_attention_heads"], config["num_key_value_heads"]) = (2.into(), 1.into());
        (config["sliding_window"], config["max_position_embeddings"]) = (2.into(), 4.into());
        write_llama(&small.model(1), &config, folder.path()).expect("a checkpoint that can be written");
        let file = fs::read(folder.path().join("model.safetensors")).expect("the file that was written");
        let n_header = 8 + u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
        let parts = [config.to_string().as_bytes(), b"\0", &file[8..n_header], b"\0", &file[n_header..]].concat();
        write("checkpoint", model_type, &parts);
    }

    let (first, second) = shard_names(&SOUND.tensors);
    let shards = [("a.safetensors", first), ("b.safetensors", second)];
    let in_shard = shards.into_iter().flat_map(|(file, names)| names.into_iter().map(move |name| (name, file.into())));
    let map: Map<String, Value> = in_shard.collect();
    write("shard_index", "two", json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string().as_bytes());

    let names: Map<String, Value> = SafeTensors::deserialize(&SOUND.tensors)
        .expect("a sound file")
        .names()
        .into_iter()
        .map(|name| {
            let canonical = name.trim_start_matches("transformer.").replace("h.0.", "h.{layer}.");
            (canonical, json!(name.replace("transformer.", "{prefix}").replace("h.0.", "h.{layer}.")))
        })
        .collect();
    let layout = json!({"description": "a test's", "orientation": "in_out", "prefixes": ["transformer.", ""],
                        "tensors": names, "skip": ["{prefix}h.{layer}.attn.bias"]});
    write("name_map", "hf", layout.to_string().as_bytes());
}

/// Tokenizers by ranks: of bytes cut by a pattern, of characters behind a space, of pieces that are tokens, of what is unknown.
fn ranked() -> [(&'static str, Value); 4] {
    let added = |normalized: bool| {
        json!([{"id": 7, "content": "<s>", "single_word": false, "lstrip": normalized,
                                           "rstrip": !normalized, "normalized": normalized, "special": true}])
    };
    let lines = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let decoder = json!({"type": "Sequence", "decoders": [
        replace("▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]});
    let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    let bytes = json!({"a": 0, "b": 1, "Ġ": 2, "1": 3, "Ã": 4, "©": 5, "ab": 6, "<s>": 7, "é": 8, "Ġ1": 9});
    let characters =
        json!({"▁": 0, "a": 1, "b": 2, "1": 3, "ab": 4, "▁a": 5, "<0xC3>": 6, "<s>": 7, "<0xA9>": 8, "<unk>": 9});
    let merges = json!([["a", "b"]]);
    [
        (
            "lines",
            json!({
            "added_tokens": added(false), "normalizer": {"type": "NFC"}, "decoder": byte_level(true),
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": lines}, "behavior": "Isolated", "invert": false}, byte_level(false)]},
            "model": {"type": "BPE", "vocab": bytes, "merges": merges, "ignore_merges": true}}),
        ),
        (
            "digits",
            json!({
            "added_tokens": added(true), "decoder": byte_level(true),
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Digits", "individual_digits": true}, byte_level(true)]},
            "model": {"type": "BPE", "vocab": bytes, "merges": merges}}),
        ),
        (
            "prepended",
            json!({
            "added_tokens": added(true), "decoder": decoder,
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace(" ", "▁")]},
            "model": {"type": "BPE", "vocab": characters, "merges": [["a", "b"], ["▁", "a"]], "byte_fallback": true}}),
        ),
        (
            "unknown",
            json!({
            "added_tokens": added(false), "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"},
            "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true},
            "model": {"type": "BPE", "vocab": characters, "merges": merges, "unk_token": "<unk>", "fuse_unk": true}}),
        ),
    ]
}

fn tokenizers() {
    let added = json!([{"id": 5, "content": "<é>", "single_word": false, "lstrip": false, "rstrip": false,
                        "normalized": false, "special": true}]);
    let byte_level = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": added,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
                  "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4}, "merges": [["a", "b"], ["Ġ", "ab"]]}
    });
    let mut normalised = byte_level.clone();
    normalised["normalizer"] = json!({"type": "Sequence", "normalizers": [
        {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "Replace", "pattern": {"String": "c"}, "content": "ab"}]});
    let unigram = json!({
        "normalizer": null, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
                  "vocab": [["<unk>", 0.0], ["▁", -1.0], ["a", -2.0], ["b", -2.5], ["ab", -3.0]]}
    });
    let words = json!({
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "a": 1, "##b": 2, "ab": 3}}
    });
    for (name, json) in [("byte-level", byte_level), ("normalised", normalised), ("unigram", unigram), ("words", words)]
    {
        let config = json!({"add_bos_token": false, "eos_token": "<é>", "model_max_length": 4});
        let files = ["ab ab".to_owned(), json.to_string(), config.to_string()];
        write("tokenizer_json", name, files.join("\0").as_bytes());
    }
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    fs::create_dir_all(&folder).expect("a folder that can be made");
    fs::write(folder.join(name), bytes).expect("a file that can be written");
}
