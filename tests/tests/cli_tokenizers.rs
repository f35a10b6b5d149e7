//! The files of a tokenizer, as people have them: what lies beside them, what does not fit the model, and what is no
//! tokenizer at all.

mod common;

use std::fs;
use std::path::Path;

use common::{command, run};
use emberlm_tests::models::Spec;
use emberlm_tests::published::Published;
use emberlm_tests::{fixtures, hf_writer};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// Bytes, and five merges.
const N_TOKENS: usize = 261;

/// The 256 bytes as GPT-2 spells them, and what "h e", "l l", "o \n", " t" and " t he" merge into.
fn vocab() -> Map<String, Value> {
    let prints = |byte: &u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut others = 256..;
    let spelled = (0..256u32).map(|byte| if prints(&byte) { byte } else { others.next().unwrap() });
    let names = spelled.map(|code| char::from_u32(code).unwrap().to_string());
    let merged = ["he", "ll", "oĊ", "Ġt", "Ġthe"].map(str::to_owned);
    names.chain(merged).zip(0..).map(|(name, id)| (name, json!(id))).collect()
}

const MERGES: &str = "#version: 0.2\nh e\nl l\no Ċ\nĠ t\nĠt he\n";

fn tokenizer_json() -> Value {
    json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocab(), "merges": MERGES.lines().skip(1).collect::<Vec<_>>()},
    })
}

fn added(id: usize, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
           "normalized": false, "special": true})
}

/// A folder with a checkpoint of `n_vocab` tokens, and files.
struct Folder {
    folder: TempDir,
    path: String,
}

impl Folder {
    fn new(n_vocab: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        hf_writer::write(&Spec { n_vocab, ..Spec::SMALL }.model(5), folder.path()).unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        Self { folder, path }
    }

    fn with(self, name: &str, contents: impl ToString) -> Self {
        fs::write(self.folder.path().join(name), contents.to_string()).unwrap();
        self
    }

    fn with_vocab(self) -> Self {
        self.with("vocab.json", Value::Object(vocab())).with("merges.txt", MERGES)
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn set_config(&self, key: &str, value: Value) {
        let path = self.folder.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config[key] = value;
        fs::write(path, config.to_string()).unwrap();
    }

    fn ids(&self, text: &str) -> Value {
        run("tokenize", 0, &["tokenize", "--tokenizer", &self.path, text])["ids"].clone()
    }

    /// What a command says on standard error.
    fn said(&self, args: &[&str], code: i32) -> String {
        let output = command().args(args).assert().code(code).get_output().clone();
        String::from_utf8(output.stderr).unwrap()
    }

    fn convert(&self) -> (String, String) {
        let blob = self.file("model.blob");
        let said = self.said(&["convert", &self.path, "-o", &blob, "--weights", "f32"], 0);
        (blob, said)
    }
}

fn error(args: &[&str]) -> String {
    let error = run("error", 2, args)["error"]["message"].clone();
    error.as_str().unwrap().to_owned()
}

/// The single line that a failed command says, besides what it opened before.
fn one_line(args: &[&str]) -> String {
    let output = command().args(args).assert().code(2).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !["layout ", "architecture: ", "tokenizer "].iter().any(|note| line.starts_with(note)))
        .collect();
    assert!(matches!(lines[..], [line] if line.starts_with("error: ")), "{said}");
    said
}

#[test]
fn added_tokens_have_their_ids_in_text_and_in_blobs() {
    let special = json!({"additional_special_tokens": ["<sep>"], "pad_token": "<pad>", "eos_token": "he"});
    let folder = Folder::new(N_TOKENS + 3)
        .with_vocab()
        .with("added_tokens.json", json!({"<sep>": N_TOKENS, "<pad>": N_TOKENS + 1, "über": N_TOKENS + 2}))
        .with("special_tokens_map.json", special);
    assert_eq!(folder.ids("t<sep>hell"), json!([116, 261, 256, 257]));
    // A special token that merges make as well is cut out of words.
    assert_eq!(folder.ids(" the über"), json!([259, 256, 32, 263]));
    let (blob, said) = folder.convert();
    assert!(!said.contains("is no token"), "{said}");
    let prompt = "t<sep>hell über the";
    for verb in ["eval", "surprisal"] {
        let of = |model: &str| run(verb, 0, &[verb, model, "--prompt", prompt]);
        let (ours, theirs) = (of(&blob), of(&folder.path));
        assert_eq!(ours["tokens_scored"], theirs["tokens_scored"]);
        assert_eq!(ours["bytes_scored"], theirs["bytes_scored"]);
    }
    let surprisal = run("surprisal", 0, &["surprisal", &blob, "--prompt", prompt]);
    let ids: Vec<&Value> =
        surprisal["rows"][0]["tokens"].as_array().unwrap().iter().map(|token| &token["id"]).collect();
    assert_eq!(json!(ids), folder.ids(prompt));
}

#[test]
fn what_a_blob_cannot_say_of_added_tokens_is_refused_for_it_alone() {
    let flags = json!({"content": "<mask>", "lstrip": false, "normalized": false, "rstrip": false,
                       "single_word": true, "special": true});
    let folder = Folder::new(N_TOKENS + 1)
        .with_vocab()
        .with("tokenizer_config.json", json!({"added_tokens_decoder": {"261": flags}, "mask_token": "<mask>"}));
    assert_eq!(folder.ids("t <mask> t"), json!([116, 32, 261, 259]));
    assert!(!folder.ids("t<mask>").as_array().unwrap().contains(&json!(261)));
    let convert = ["convert", &folder.path, "-o", &folder.file("b")];
    let said = one_line(&convert);
    assert!(
        said.contains("\"<mask>\" is of whole words only (single_word)") && said.contains("--no-tokenizer"),
        "{said}"
    );
    command().args(convert).arg("--no-tokenizer").assert().success();
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    let folder = || Folder::new(N_TOKENS + 1).with_vocab();
    for (folder, says) in [
        (folder().with("added_tokens.json", json!({"<x>": 3})), "the id 3 stands for two tokens"),
        (folder().with("added_tokens.json", json!({"he": 261})), "has the id 261, and elsewhere 256"),
        (folder().with("added_tokens.json", json!({"<x>": -1})), "added_tokens.json"),
        (folder().with("added_tokens.json", json!({"<x>": 4_000_000_000u32})), "far beyond"),
        (folder().with("added_tokens.json", json!(["<x>"])), "added_tokens.json"),
        (folder().with("tokenizer_config.json", "{"), "tokenizer_config.json"),
        (folder().with("tokenizer_config.json", json!({"added_tokens_decoder": {"x": {"content": "y"}}})), "\"x\""),
        (folder().with("special_tokens_map.json", json!({"pad_token": 3})), "pad_token"),
    ] {
        let said = one_line(&["tokenize", "--tokenizer", &folder.path, "the"]);
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn what_the_files_ask_for_is_done_or_said() {
    let config = |config: Value| Folder::new(N_TOKENS).with_vocab().with("tokenizer_config.json", config);
    let space = config(json!({"add_prefix_space": true}));
    assert_eq!(space.ids("the"), json!([260]));
    let (blob, _) = space.convert();
    assert_eq!(run("inspect", 0, &["inspect", &blob])["tokenizer"]["kind"], "ranked-bpe");
    let json = |change: &dyn Fn(&mut Value)| {
        let mut file = tokenizer_json();
        change(&mut file);
        Folder::new(N_TOKENS).with("tokenizer.json", file)
    };
    let template = json!({"type": "TemplateProcessing", "pair": [], "special_tokens": {},
                          "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]});
    for (folder, says) in [
        (config(json!({"bos_token": "<s>", "add_bos_token": true})), "no \"<s>\" is added to a text"),
        (config(json!({"unk_token": {"content": "<unk>"}})), "unk_token \"<unk>\" is no token of the vocabulary"),
        (config(json!({"tokenizer_class": "CLIPTokenizer"})), "CLIPTokenizer"),
        (config(json!({"do_lower_case": true})), "do_lower_case is not done"),
        (
            Folder::new(N_TOKENS).with_vocab().with("special_tokens_map.json", json!({"pad_token": "<pad>"})),
            "\"<pad>\"",
        ),
        (json(&|file| file["post_processor"] = template.clone()), "\"<s>\" are not added to a text"),
        (
            json(&|_| ()).with("tokenizer_config.json", json!({"add_prefix_space": true})),
            "add_prefix_space is true, in tokenizer.json false",
        ),
    ] {
        for args in [
            ["tokenize", "--tokenizer", &folder.path, "the"].as_slice(),
            &["eval", &folder.path, "--prompt", "the the"],
            &["convert", &folder.path, "-o", &folder.file("b"), "--weights", "f32"],
        ] {
            let said = folder.said(args, 0);
            assert!(said.contains(says), "{args:?}: {said}");
        }
    }
}

#[test]
fn tokens_that_the_model_lacks_are_left_out_of_blobs_and_named_in_texts() {
    let mut file = tokenizer_json();
    file["added_tokens"] = json!([added(N_TOKENS, "[PAD]"), added(N_TOKENS + 1, "[X]")]);
    let folder = Folder::new(N_TOKENS + 1).with("tokenizer.json", file);
    let (blob, said) = folder.convert();
    assert!(
        said.contains("left out of the blob's tokenizer: \"[X]\" (262)") && said.contains("n_vocab is 262"),
        "{said}"
    );
    run("eval", 0, &["eval", &blob, "--prompt", "the [PAD]"]);
    run("generate", 0, &["generate", &blob, "--prompt", "the", "--max-tokens", "3"]);
    let text = folder.file("text");
    fs::write(&text, "the [X]").unwrap();
    let prompt = ["--prompt", "the [X]"];
    let with_tokenizer = ["--prompt", "the [X]", "--tokenizer", &folder.path];
    for args in [
        [&["eval", &folder.path][..], &prompt].concat(),
        [&["surprisal", &folder.path][..], &prompt].concat(),
        [&["verify", &folder.path, &blob][..], &prompt].concat(),
        [&["compare", &folder.path, "--calibrate", "none"][..], &prompt].concat(),
        [&["eval", &blob][..], &with_tokenizer].concat(),
        [&["generate", &blob][..], &with_tokenizer].concat(),
        vec!["convert", &folder.path, "-o", &blob, "--calibrate", &text],
    ] {
        let said = error(&args);
        assert!(said.contains("token 262 (\"[X]\")") && said.contains("n_vocab is 262"), "{args:?}: {said}");
    }
}

#[test]
fn a_blob_is_refused_a_tokenizer_whose_merges_need_tokens_that_the_model_lacks() {
    let folder = Folder::new(N_TOKENS - 1).with_vocab();
    let said = one_line(&["convert", &folder.path, "-o", &folder.file("b")]);
    assert!(said.contains("it has 261 tokens, the model 260, and merge 4 needs"), "{said}");
    assert!(said.contains("--no-tokenizer") && !Path::new(&folder.file("b")).exists());
    let chars = Folder::new(2).with("chars.json", json!(["a", "b", "é"]));
    let (blob, said) = chars.convert();
    assert!(said.contains("\"é\" (2)"), "{said}");
    run("eval", 0, &["eval", &blob, "--prompt", "abba"]);
    assert!(error(&["eval", &chars.path, "--prompt", "abé"]).contains("token 2 (\"é\") at index 2"));
    // A vocabulary that is padded is no fault.
    let (blob, said) = Folder::new(N_TOKENS + 11).with_vocab().convert();
    assert!(!said.contains("left out"), "{said}");
    drop(blob);
}

#[test]
fn text_ends_at_the_checkpoints_end_tokens() {
    let folder = Folder::new(N_TOKENS + 1).with_vocab();
    let (blob, said) = folder.convert();
    assert!(!said.contains("eos_token_id"), "{said}");
    let greedy = ["--prompt", "the", "--temperature", "0", "--max-tokens", "8", "--tokenizer", &folder.path];
    let generate = || run("generate", 0, &[&["generate", &blob][..], &greedy].concat());
    let endless = generate();
    assert_eq!(endless["stopped"], "max_tokens");
    let tokens = endless["tokens"].as_array().unwrap();
    let end = tokens.iter().position(|token| *token != tokens[0]).expect("no text of one token alone");
    let check = || {
        let ended = generate();
        assert_eq!(ended["stopped"], "end_of_text");
        assert_eq!(ended["tokens"].as_array().unwrap()[..], tokens[..=end]);
        let text = ended["text"].as_str().unwrap();
        assert!(endless["text"].as_str().unwrap().starts_with(text) && ended["text"] != endless["text"]);
    };
    folder.set_config("eos_token_id", tokens[end].clone());
    check();
    // The blob keeps it.
    folder.convert();
    folder.set_config("eos_token_id", Value::Null);
    check();
    folder.convert();
    assert_eq!(generate()["stopped"], "max_tokens");
    // generation_config.json says it first, and may say several.
    folder.set_config("eos_token_id", tokens[0].clone());
    let generation = folder.folder.path().join("generation_config.json");
    fs::write(&generation, json!({"eos_token_id": [N_TOKENS, tokens[end]]}).to_string()).unwrap();
    check();
    folder.set_config("eos_token_id", Value::Null);
    fs::write(&generation, json!({"eos_token_id": [50256]}).to_string()).unwrap();
    assert_eq!(generate()["stopped"], "max_tokens");
    let (_, said) = folder.convert();
    assert!(said.contains("eos_token_id 50256 ends no text: n_vocab is 262"), "{said}");
    fs::write(&generation, json!({"eos_token_id": "</s>"}).to_string()).unwrap();
    assert!(one_line(&["convert", &folder.path, "-o", &blob]).contains("eos_token_id"));
}

#[test]
fn what_is_no_tokenizer_is_an_error_of_one_line() {
    let change = |pointer: &str, value: Value| {
        let mut file = tokenizer_json();
        *file.pointer_mut(pointer).unwrap() = value;
        file.to_string()
    };
    let replace =
        |pattern: &str, content: &str| json!({"type": "Replace", "pattern": {"String": pattern}, "content": content});
    let chain = json!({"type": "Sequence", "normalizers": vec![replace("h", &"h".repeat(1000)); 5]});
    let nested = |open: &str, close: &str, n: usize| format!("{}null{}", open.repeat(n), close.repeat(n));
    let cases = [
        change("/normalizer", replace("", "x")),
        change("/normalizer", chain),
        change("/normalizer", json!({"type": "Replace", "pattern": {"Regex": "(?:"}, "content": ""})),
        change("/normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "////"})),
        change("/normalizer", json!([])),
        change(
            "/pre_tokenizer",
            json!({"type": "Split", "pattern": {"String": ""}, "behavior": "Isolated", "invert": false}),
        ),
        change("/pre_tokenizer", json!(7)),
        change("/model", json!(null)),
        change("/model", json!({"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 7})),
        change("/model/type", json!("Trigram")),
        change("/model/vocab", json!({"a": 0, "b": 0})),
        change("/model/vocab", json!({"a": 2_147_483_648u32})),
        change("/model/vocab", json!({"a": -1})),
        change("/model/vocab", json!([3])),
        change("/model/merges", json!(["h q"])),
        change("/model/merges", json!([["h"]])),
        change("/model/merges", json!({"h": "e"})),
        change("/added_tokens", json!([{"id": 5}])),
        change("/added_tokens", json!([added(0, "<a>"), added(0, "<b>")])),
        change("/decoder", json!({"type": "Encoder"})),
        nested("{\"model\":", "}", 100_000),
        nested("[", "]", 100_000),
        format!(
            "{{\"model\": {{\"type\": \"BPE\", \"vocab\": {{}}, \"merges\": []}}, \"normalizer\": {}}}",
            nested("{\"type\":\"Sequence\",\"normalizers\":[", "]}", 200)
        ),
        "{\"model\"".into(),
        String::new(),
        "\u{0}".into(),
    ];
    for text in cases {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tokenizer.json"), &text).unwrap();
        let said = one_line(&["tokenize", "--tokenizer", folder.path().to_str().unwrap(), "the hell"]);
        assert!(said.len() < 1000, "{} bytes of error for {:.200}", said.len(), text);
    }
}

#[test]
fn a_blob_keeps_a_tokenizer_by_scores() {
    let file = fs::read(fixtures::bundled("stories260K").join("tok512.bin")).unwrap();
    let folder = |n_vocab| {
        let folder = Folder::new(n_vocab);
        fs::write(folder.file("tokenizer.bin"), &file).unwrap();
        folder
    };
    let whole = folder(512);
    let (blob, _) = whole.convert();
    let inspected = run("inspect", 0, &["inspect", &blob]);
    assert_eq!(inspected["tokenizer"], json!({"kind": "scored-bpe", "n_tokens": 512, "n_merges": 0}));
    let text = ["--prompt", "Once 日 <0x41>"];
    let [of_blob, of_folder] = [&blob, &whole.path].map(|model| {
        let report = run("surprisal", 0, &[&["surprisal", model][..], &text].concat());
        report["rows"][0]["tokens"].as_array().unwrap().iter().map(|token| token["id"].clone()).collect::<Vec<_>>()
    });
    assert_eq!(of_blob, of_folder);
    let few = folder(511);
    let said = error(&["convert", &few.path, "-o", &few.file("b")]);
    assert!(said.contains("it has 512 tokens, the model 511, and a text may have token 511"), "{said}");
}

/// A checkpoint with a tokenizer as it is published.
fn published(name: &str) -> (Folder, &'static Published) {
    let published = Published::named(name);
    let n_vocab = published.reference().get_vocab_size(true);
    let json = String::from_utf8(published.json.clone()).unwrap();
    (Folder::new(n_vocab).with("tokenizer.json", json).with("tokenizer_config.json", &published.config), published)
}

#[test]
fn a_blob_keeps_tokenizers_by_ranks() {
    let text = "It's  naïve: 1234 日本\n<s> cafe\u{301} <|im_start|>";
    for name in ["smollm2", "llama3", "qwen2", "llama2", "gemma"] {
        let (folder, published) = published(name);
        let (blob, said) = folder.convert();
        let inspected = run("inspect", 0, &["inspect", &blob]);
        assert_eq!(inspected["tokenizer"]["kind"], "ranked-bpe", "{name}");
        // What the device does not do is said.
        assert_eq!(said.contains("normal form NFC"), name == "qwen2", "{said}");
        assert_eq!(inspected["tokenizer"].get("normal_form"), (name == "qwen2").then(|| json!("NFC")).as_ref());
        let shown = command().args(["inspect", &blob]).assert().success().get_output().stdout.clone();
        assert_eq!(String::from_utf8(shown).unwrap().contains("normal form NFC"), name == "qwen2");
        let theirs = published.reference().encode_fast(text, false).unwrap().get_ids().to_vec();
        for model in [&blob, &folder.path] {
            let report = run("surprisal", 0, &["surprisal", model, "--prompt", text, "--bos", "none"]);
            let tokens = report["rows"][0]["tokens"].as_array().unwrap();
            let ids: Vec<u64> = tokens.iter().map(|token| token["id"].as_u64().unwrap()).collect();
            assert_eq!(ids, theirs.iter().copied().map(u64::from).collect::<Vec<_>>(), "{name}");
        }
    }
}

#[test]
fn texts_begin_as_each_tokenizer_asks() {
    for (name, begins) in [
        ("smollm2", None),
        ("llama3", Some("<|begin_of_text|>")),
        ("qwen2", None),
        ("llama2", Some("<s>")),
        ("gemma", Some("<s>")),
    ] {
        let (folder, published) = published(name);
        let id = begins.map(|token| published.reference().token_to_id(token).unwrap());
        let (blob, said) = folder.convert();
        assert!(!said.contains("added to a text"), "{said}");
        for model in [&blob, &folder.path] {
            let auto = run("eval", 0, &["eval", model, "--prompt", "the fool"]);
            assert_eq!(auto["bos"], if begins.is_some() { "text" } else { "none" }, "{name}");
        }
        let text = &run("inspect", 0, &["inspect", &blob])["text"];
        assert_eq!((&text["bos"], &text["adds_bos"]), (&json!(id), &json!(id.is_some())), "{name}");
    }
    // The folder's own words win.
    let (folder, _) = published("llama2");
    let folder = folder.with("tokenizer_config.json", json!({"add_bos_token": false, "bos_token": "<s>"}));
    assert_eq!(run("eval", 0, &["eval", &folder.path, "--prompt", "the fool"])["bos"], "none");
    let (folder, _) = published("smollm2");
    let folder = folder.with("tokenizer_config.json", json!({"add_bos_token": true, "bos_token": "<|im_start|>"}));
    assert_eq!(run("eval", 0, &["eval", &folder.path, "--prompt", "the fool"])["bos"], "text");
}

#[test]
fn what_a_blob_cannot_say_is_refused_by_its_name() {
    let change = |name: &str, changes: &[(&str, Value)]| {
        let mut file: Value = serde_json::from_slice(&Published::named(name).json).unwrap();
        for (pointer, value) in changes {
            *file.pointer_mut(pointer).unwrap() = value.clone();
        }
        file
    };
    let regex = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let strip = json!({"type": "Sequence", "decoders": [
        replace("▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 0, "stop": 1}]});
    let cases = [
        (change("smollm2", &[("/normalizer", json!({"type": "Lowercase"}))]), "it normalises text by Lowercase"),
        (change("smollm2", &[("/normalizer", replace("a", "b"))]), "it replaces {\"String\":\"a\"} by \"b\""),
        (change("llama3", &[("/pre_tokenizer/pretokenizers/0", regex(r"\w+"))]), "it cuts text by the pattern"),
        (
            change("llama3", &[("/pre_tokenizer/pretokenizers/0", json!({"type": "Whitespace"}))]),
            "it cuts text by Whitespace",
        ),
        (change("llama3", &[("/decoder", json!({"type": "Fuse"}))]), "its decoder is not ByteLevel"),
        (change("llama2", &[("/decoder", Value::Null)]), "it has no decoder"),
        (change("llama2", &[("/decoder", json!({"type": "Fuse"}))]), "does not begin with replacing '▁' by a space"),
        (change("llama2", &[("/decoder", strip)]), "its decoder strips texts as"),
        (
            change(
                "llama2",
                &[("/decoder", json!({"type": "Sequence", "decoders": [replace("▁", " "), {"type": "Fuse"}]}))],
            ),
            "ByteFallback",
        ),
        (change("llama2", &[("/normalizer", json!({"type": "Prepend", "prepend": "▁"}))]), "it puts '▁' before a text"),
        (change("llama2", &[("/model/ignore_merges", json!(true))]), "it ignores merges (ignore_merges)"),
        (change("gemma", &[("/model/end_of_word_suffix", json!("</w>"))]), "its model sets end_of_word_suffix"),
    ];
    for (file, why) in cases {
        let n_vocab = file["model"]["vocab"].as_object().unwrap().len() + 9;
        let folder = Folder::new(n_vocab).with("tokenizer.json", file);
        let convert = ["convert", &folder.path, "-o", &folder.file("b"), "--weights", "f32"];
        let said = one_line(&convert);
        assert!(said.contains(why) && said.contains("--no-tokenizer"), "{why}: {said}");
        command().args(convert).arg("--no-tokenizer").assert().success();
    }
}
