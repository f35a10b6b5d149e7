//! Models of other families than GPT-2 on boards: the host's bits, PyTorch's losses, and stories that are told to the end.

mod common;
mod console;

use std::fs;
use std::path::{Path, PathBuf};

use common::run;
use console::type_to;
use emberlm_core::config::TokenId;
use emberlm_tests::fixtures::{self, FAMILIES};
use serde_json::{Value, json};

/// Nats between a blob's loss in f32 weights and f32 KV and PyTorch's.
const MAX_STORY_ERROR: f64 = 1e-5;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn convert(checkpoint: &Path, blob: &Path, more: &[&str]) {
    let paths = ["convert", text(checkpoint), "-o", text(blob), "--force", "--calibrate", "none"];
    run("convert", 0, &[&paths[..], more].concat());
}

/// Scores rows on a board and on the host, to the same bits.
fn check_on_board(board: &str, blob: &Path, rows: &Value, more: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens.json");
    fs::write(&tokens, rows.to_string()).unwrap();
    let args = ["device", "score", text(blob), "--board", board, "--tokens", text(&tokens), "--check"];
    let report = run("device_score", 0, &[&args, more, &["--timeout", "1500"]].concat());
    assert_eq!((&report["equals_host"], &report["nll_bits"]), (&json!(true), &report["host_nll_bits"]), "{report}");
    report
}

/// Each family in floats and in integers, with every type of KV cache once.
fn every_family(board: &str) {
    let folder = tempfile::tempdir().unwrap();
    let blob = folder.path().join("model.blob");
    for name in FAMILIES {
        let golden = fixtures::golden(name);
        for (weights, activations, kv) in [("f32", "i16", "f32"), ("q8", "i16", "f16"), ("q4", "i8", "i8")] {
            convert(&fixtures::path(name), &blob, &["--weights", weights, "--activations", activations]);
            let report = check_on_board(board, &blob, &json!(golden.tokens), &["--kv", kv]);
            if weights == "f32" {
                let loss = report["loss"].as_f64().unwrap();
                assert!((loss - golden.loss).abs() <= 1e-4, "{name}: {loss} for {}", golden.loss);
            }
        }
    }
}

#[test]
fn the_m4f_has_the_hosts_bits_of_every_family() {
    every_family("mps2-an386");
}

#[test]
fn risc_v_has_the_hosts_bits_of_every_family() {
    every_family("virt-rv32imc");
}

struct Story {
    golden: Value,
    folder: tempfile::TempDir,
}

impl Story {
    fn new() -> Self {
        let golden = fs::read(fixtures::bundled("stories260K").join("golden.json")).unwrap();
        Self { golden: serde_json::from_slice(&golden).unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    fn blob(&self, weights: &str) -> PathBuf {
        let (model, blob) = (fixtures::bundled("stories260K"), self.folder.path().join(weights));
        let tokenizer = model.join("tok512.bin");
        let more = ["--weights", weights, "--tokenizer", text(&tokenizer)];
        convert(&model.join("stories260K.bin"), &blob, &more);
        blob
    }

    /// The tokens that follow the golden prompt, most likely first, and their text on a host.
    fn host(&self, blob: &Path) -> (Vec<TokenId>, String) {
        let more = ["--temperature", "0", "--max-tokens", "60"];
        let made = run("generate", 0, &[&["generate", text(blob), "--prompt", "Once upon a time"], &more[..]].concat());
        assert_eq!(made["bos"], "text");
        let tokens = made["tokens"].as_array().unwrap().iter().map(|token| token.as_u64().unwrap() as TokenId);
        (tokens.collect(), made["text"].as_str().unwrap().to_owned())
    }

    /// The ids that PyTorch draws behind the prompt's.
    fn golden_ids(&self) -> Vec<TokenId> {
        let ids = |key: &str| serde_json::from_value::<Vec<TokenId>>(self.golden[key].clone()).unwrap();
        let (prompt, all) = (ids("greedy_prompt_ids"), ids("greedy_ids"));
        assert_eq!(all[..prompt.len()], prompt);
        all[prompt.len()..].to_vec()
    }

    fn on(&self, board: &str) {
        for weights in ["f32", "q8"] {
            let blob = self.blob(weights);
            let report = check_on_board(board, &blob, &self.golden["tokens"], &["--kv", "f32"]);
            let (loss, golden) = (report["loss"].as_f64().unwrap(), self.golden["loss"].as_f64().unwrap());
            let (ids, told) = self.host(&blob);
            if weights == "f32" {
                assert!((loss - golden).abs() <= MAX_STORY_ERROR, "{loss} for {golden}");
                assert_eq!(ids, self.golden_ids());
            }
            let typed = b":temperature 0\n:max-tokens 60\nOnce upon a time\n:bits on\nOnce upon a time\n";
            let shown = type_to(board, &blob, typed);
            let answers: Vec<&String> = shown.answers.iter().filter(|answer| !answer.is_empty()).collect();
            let (story, report) = answers[0].rsplit_once("\n-- ").unwrap();
            assert_eq!((story, report.starts_with("prompt: 5 tokens, ")), (told.as_str(), true), "{report}");
            let tokens = answers[1].lines().filter(|line| line.contains('\t')).count();
            assert_eq!(tokens, ids.len());
        }
    }
}

#[test]
fn the_m4f_tells_the_golden_story() {
    Story::new().on("mps2-an386");
}

#[test]
fn the_m55_tells_the_golden_story() {
    Story::new().on("mps3-an547");
}

#[test]
fn risc_v_tells_the_golden_story() {
    Story::new().on("virt-rv32imc");
}

#[test]
fn the_demo_tells_a_story_on_the_board() {
    let models = fixtures::bundled("stories260K");
    let models = text(models.parent().unwrap());
    let told = run("demo", 0, &["demo", "--model", "stories260K", "--models", models, "--timeout", "1500"]);
    assert_eq!((&told["passed"], &told["equals_host"]), (&json!(true), &json!(true)));
    assert!(told["story"].as_str().unwrap().starts_with("Once upon a time, there was a little girl named Lily."));
    assert_eq!(told["blob"]["bos"], "text");
}

/// The bundled play's model, as if lines ended its texts.
#[test]
fn texts_end_at_the_blobs_end_tokens_on_host_and_board() {
    let (folder, bundled) = (tempfile::tempdir().unwrap(), fixtures::bundled("shakespeare-char"));
    for file in fs::read_dir(&bundled).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let id = |text: &str| {
        let ids = run("tokenize", 0, &["tokenize", text, "--tokenizer", bundled.to_str().unwrap()]);
        ids["ids"][0].as_u64().unwrap()
    };
    let ends = json!({"eos_token_id": [id("\n"), id("!")]});
    fs::write(folder.path().join("generation_config.json"), ends.to_string()).unwrap();
    let blob = folder.path().join("model.blob");
    convert(folder.path(), &blob, &["--weights", "q8"]);
    let inspected = run("inspect", 0, &["inspect", text(&blob)]);
    assert_eq!(inspected["text"]["ends"], ends["eos_token_id"]);
    let made = run("generate", 0, &["generate", text(&blob), "--prompt", "ROMEO: What ", "--max-tokens", "100"]);
    assert_eq!(made["stopped"], "end_of_text", "{made}");
    let shown = type_to("mps2-an386", &blob, b":max-tokens 100\nROMEO: What \n");
    let answer = shown.answers.iter().find(|answer| !answer.is_empty()).unwrap();
    let (told, report) = answer.rsplit_once("\n-- ").unwrap();
    assert_eq!(Some(told), made["text"].as_str());
    assert!(report.ends_with("ended by end_of_text\n"), "{report}");
}
