//! Models of other families than GPT-2, as people run them: what works on a checkpoint's float reference works, and what
//! needs core says that it does not.

mod common;

use std::fs;

use common::{command, run};
use emberlm_tests::fixtures::{self, FAMILIES};
use serde_json::{Value, json};

/// Nats between the loss of a checkpoint's float reference and PyTorch's.
const MAX_REFERENCE_ERROR: f64 = 1e-5;

fn text(path: &std::path::Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A file of rows of token ids.
fn rows(folder: &tempfile::TempDir, rows: &Value) -> String {
    let path = folder.path().join("tokens.json");
    fs::write(&path, rows.to_string()).unwrap();
    text(&path)
}

#[test]
fn eval_gives_pytorchs_loss_of_every_family_and_says_what_the_model_is() {
    let folder = tempfile::tempdir().unwrap();
    for name in FAMILIES {
        let golden = fixtures::golden(name);
        let tokens = rows(&folder, &json!(golden.tokens));
        let path = fixtures::path(name);
        let files = [path.clone(), path.join("llama2c.bin")];
        for model in files.into_iter().filter(|path| path.exists()) {
            let value = run("eval", 0, &["eval", &text(&model), "--tokens", &tokens]);
            let loss = value["loss"].as_f64().unwrap();
            assert!((loss - golden.loss).abs() <= MAX_REFERENCE_ERROR, "{name}: {loss} for {}", golden.loss);
        }
    }
    let golden = fs::read_to_string(fixtures::bundled("stories260K").join("golden.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let tokens = rows(&folder, &golden["tokens"]);
    let stories = text(&fixtures::bundled("stories260K").join("stories260K.bin"));
    let value = run("eval", 0, &["eval", &stories, "--tokens", &tokens]);
    assert!((value["loss"].as_f64().unwrap() - golden["loss"].as_f64().unwrap()).abs() <= MAX_REFERENCE_ERROR);
    let surprisals = run("surprisal", 0, &["surprisal", &stories, "--tokens", &tokens]);
    assert_eq!(surprisals["loss"], value["loss"]);

    let output = command().args(["eval", &stories, "--tokens", &tokens]).output().unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    let architecture = "architecture: 5 layers, n_embd 64, 8 heads of 8 (4 of keys and values), n_ff 172 (gated SiLU), \
                        RMS norm with epsilon 1e-5, rotary positions (8 of 8), tied head";
    assert!(notes.contains(architecture), "{notes}");
}

#[test]
fn inspect_shows_a_checkpoints_architecture() {
    let inspect = |path: &std::path::Path| run("inspect_checkpoint", 0, &["inspect", &text(path)]);
    let neo = inspect(&fixtures::path("neo-local"));
    assert_eq!((&neo["layout"], &neo["architecture"]["windows"]), (&json!("neo"), &json!([null, 8, null, 8])));
    let llama = inspect(&fixtures::path("llama-gqa"));
    let stated =
        ["n_head", "n_kv_head", "head_dim", "rotary_dim", "n_ff"].map(|key| llama["architecture"][key].as_u64());
    assert_eq!(stated, [Some(6), Some(2), Some(8), Some(8), Some(100)]);
    let gpt2 = inspect(&fixtures::bundled("shakespeare-char"));
    assert_eq!((&gpt2["parameters"], &gpt2["architecture"]["tied_head"]), (&json!(818_048), &json!(true)));
    let output = command().args(["inspect", &text(&fixtures::path("mistral-window"))]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    for line in
        ["seen         7 in every layer", "heads        5 of 8, 1 of keys and values", "192x40  h.0.mlp.c_fc.weight"]
    {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn what_needs_core_refuses_in_one_line_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let blob = text(&folder.path().join("model.blob"));
    let of_gpt2 = text(&folder.path().join("gpt2.blob"));
    run("convert", 0, &["convert", &text(&fixtures::path("hf-tied")), "-o", &of_gpt2]);
    let tokens = rows(&folder, &json!([[1, 2, 3, 4]]));
    let llama2c = fixtures::path("llama-gqa").join("llama2c.bin");
    let has = [
        ("neo-local", "attention in windows"),
        ("llama-gqa", "RMS norms"),
        ("llama-tied", "RMS norms"),
        ("llama3-rope", "RMS norms"),
        ("mistral-window", "RMS norms"),
    ];
    let models = has.map(|(name, lacks)| (text(&fixtures::path(name)), lacks));
    for (model, lacks) in models.into_iter().chain([(text(&llama2c), "RMS norms")]) {
        let refused = |args: &[&str]| {
            let value = run("error", 2, args);
            assert_eq!(value["error"]["kind"], "not_of_core", "{args:?}");
            let message = value["error"]["message"].as_str().unwrap();
            let expected = format!("this build converts GPT-2 only: the checkpoint has {lacks} ");
            assert!(message.starts_with(&expected) && !message.contains('\n'), "{args:?}: {message}");
        };
        refused(&["convert", &model, "-o", &blob]);
        refused(&["convert", &model, "-o", &blob, "--weights", "auto:64K"]);
        refused(&["compare", &model, "--tokens", &tokens]);
        refused(&["verify", &model, &of_gpt2, "--tokens", &tokens]);
        refused(&["plan", &model, "--board", "rp2040"]);
    }
    assert!(!fs::exists(&blob).unwrap());
}
