//! Models of other families than GPT-2, as people run them.

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
fn every_verb_takes_every_family() {
    let folder = tempfile::tempdir().unwrap();
    for name in FAMILIES {
        let golden = fixtures::golden(name);
        let tokens = rows(&folder, &json!(golden.tokens));
        let model = text(&fixtures::path(name));
        let blob = text(&folder.path().join(name));
        for (weights, off) in [("q8", 0.03), ("auto:6bpw", 0.1)] {
            run("convert", 0, &["convert", &model, "-o", &blob, "--weights", weights]);
            let loss = run("eval", 0, &["eval", &blob, "--tokens", &tokens])["loss"].as_f64().unwrap();
            assert!((loss - golden.loss).abs() <= off, "{name}, {weights}: {loss} for {}", golden.loss);
        }
        let wide = ["--max-delta-nll", "1", "--max-kl", "1", "--min-top1", "0"];
        let verified = run("verify", 0, &[&["verify", &model, &blob, "--tokens", &tokens][..], &wide].concat());
        let reference = verified["results"][0]["loss_checkpoint"].as_f64().unwrap();
        assert!((reference - golden.loss).abs() <= MAX_REFERENCE_ERROR, "{name}: {reference} for {}", golden.loss);
        let compared = run("compare", 0, &["compare", &model, "--tokens", &tokens, "--weights", "q8,q4"]);
        assert_eq!(compared["results"].as_array().unwrap().len() % 2, 0, "{compared}");
        let surprisal = run("surprisal", 0, &["surprisal", &blob, "--tokens", &tokens]);
        assert_eq!(surprisal["tokens_scored"], golden.nll.concat().len());
        run("plan", 0, &["plan", &model, "--board", "mps2-an386"]);
        let inspected = run("inspect", 0, &["inspect", &blob]);
        let of_checkpoint = run("inspect_checkpoint", 0, &["inspect", &model]);
        assert_eq!(inspected["config"], of_checkpoint["architecture"]);
    }
}

#[test]
fn stories_begin_with_the_token_that_texts_begin_with() {
    let (folder, stories) = (tempfile::tempdir().unwrap(), fixtures::bundled("stories260K"));
    let blob = text(&folder.path().join("stories.blob"));
    let (model, tokenizer) = (text(&stories.join("stories260K.bin")), text(&stories.join("tok512.bin")));
    run("convert", 0, &["convert", &model, "-o", &blob, "--tokenizer", &tokenizer, "--long-self-test"]);
    let inspected = run("inspect", 0, &["inspect", &blob]);
    assert_eq!(inspected["text"], json!({"bos": 1, "adds_bos": true, "ends": [1, 2]}));
    assert_eq!(inspected["self_test"]["long_tokens"], 513);
    let story = text(&stories.join("story.txt"));
    let eval = |more: &[&str]| run("eval", 0, &[&["eval", &blob, "--text", &story][..], more].concat());
    let (auto, without) = (eval(&[]), eval(&["--bos", "none"]));
    assert_eq!((&auto["bos"], &without["bos"]), (&json!("text"), &json!("none")));
    let n = |value: &Value, key: &str| value[key].as_u64().unwrap();
    assert_eq!(n(&auto, "tokens_scored"), n(&without, "tokens_scored") + 1);
    assert_eq!((n(&auto, "tokens_skipped"), n(&without, "tokens_skipped")), (1, 1));
    let windows = eval(&["--bos", "window", "--n-ctx", "16"]);
    assert_eq!((n(&windows, "tokens_scored"), &windows["bos"]), (n(&auto, "tokens_scored"), &json!("window")));
    assert_eq!(n(&windows, "tokens_skipped"), n(&auto, "tokens_scored").div_ceil(16));
    for refused in
        [vec!["--bos", "window", "--convention", "sliding"], vec!["--bos", "window", "--convention", "llamacpp"]]
    {
        let error = run("error", 2, &[&["eval", &blob, "--text", &story][..], &refused].concat());
        assert_eq!(error["error"]["kind"], "usage");
    }
    // A GPT-2 has no such token of its own accord.
    let char_model = text(&fixtures::bundled("shakespeare-char"));
    assert_eq!(run("eval", 0, &["eval", &char_model, "--prompt", "ROMEO:"])["bos"], "none");
    let error = run("error", 2, &["eval", &char_model, "--prompt", "ROMEO:", "--bos", "text"]);
    assert!(error["error"]["message"].as_str().unwrap().contains("bos_token_id"), "{error}");
    // The prompt may be empty: something is there.
    let told = run("generate", 0, &["generate", &blob, "--prompt", "", "--temperature", "0", "--max-tokens", "5"]);
    assert_eq!((&told["prompt_tokens"], &told["text"]), (&json!(1), &json!("Once upon a time,")));
}

#[test]
fn families_are_initialised_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, n_layer) in [("tinystories-1m", 8), ("stories260k", 5), ("stories15m", 6)] {
        let path = text(&folder.path().join(name));
        let made = run("init", 0, &["init", "--config", name, "-o", &path]);
        let found = run("inspect_checkpoint", 0, &["inspect", &path]);
        assert_eq!((&made["config"], &found["architecture"]["n_layer"]), (&found["architecture"], &json!(n_layer)));
        // Once more over its own.
        run("init", 0, &["init", "--config", name, "-o", &path]);
    }
}

/// The page's examples behind their downloads, on checkpoints of the same shape.
mod examples {
    use super::*;
    use emberlm_tests::document::{self, Document};
    use emberlm_tests::llama2c_writer;

    /// Runs the commands behind the download of `model`, in a folder that has it.
    fn run_behind_the_download(model: &str, folder: &tempfile::TempDir) {
        let blocks = Document::open("docs/models.md").blocks("sh");
        let example = blocks.into_iter().find(|block| block.contains(&format!("hf download {model} "))).expect(model);
        let commands = document::commands(&[example]);
        let ours: Vec<_> = commands.iter().filter(|words| words[0] == "emberlm").collect();
        assert!(ours.len() >= 2, "{commands:?}");
        for words in ours {
            let output = command().current_dir(folder).args(&words[1..]).output().unwrap();
            assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    fn init(config: &str, folder: &tempfile::TempDir) {
        run("init", 0, &["init", "--config", config, "-o", &text(&folder.path().join(config))]);
    }

    #[test]
    fn tiny_stories() {
        let folder = tempfile::tempdir().unwrap();
        init("tinystories-1m", &folder);
        run_behind_the_download("roneneldan/TinyStories-1M", &folder);
    }

    #[test]
    fn stories_of_15_million() {
        let folder = tempfile::tempdir().unwrap();
        let stories = folder.path().join("stories15m");
        fs::create_dir(&stories).unwrap();
        let shape = llama2c_writer::Shape { dim: 288, hidden: 768, n_layer: 6, n_head: 6, n_vocab: 32_000, n_ctx: 256 };
        fs::write(stories.join("stories15M.bin"), shape.random()).unwrap();
        fs::write(stories.join("tokenizer.bin"), llama2c_writer::tokenizer(shape.n_vocab)).unwrap();
        run_behind_the_download("karpathy/tinyllamas", &folder);
    }

    #[test]
    #[ignore = "takes a minute"]
    fn smol_lm2() {
        let folder = tempfile::tempdir().unwrap();
        init("smollm2-135m", &folder);
        // A tokenizer of the same kind.
        let tokenizer = fixtures::bundled("shakespeare-bpe512").join("tokenizer.json");
        fs::copy(tokenizer, folder.path().join("smollm2-135m/tokenizer.json")).unwrap();
        run_behind_the_download("HuggingFaceTB/SmolLM2-135M", &folder);
    }
}
