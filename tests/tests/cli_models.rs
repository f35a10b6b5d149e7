//! The verbs that handle models, run as people run them: `init`, `convert`, `inspect`, `eval`, `verify`.

mod common;

use std::fs;
use std::path::Path;

use common::{command, run};
use emberlm_tests::fixtures::{self, NAMES};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Nats between the loss of a checkpoint's float reference and PyTorch's.
const MAX_REFERENCE_ERROR: f64 = 1e-5;
/// Nats between the loss of an f32 blob and PyTorch's.
const MAX_F32_ERROR: f64 = 1e-4;
/// Nats between the loss of a q8 blob and PyTorch's, where weights are large and random.
const MAX_Q8_ERROR: f64 = 0.03;
/// The same where weights are trained.
const MAX_Q8_ERROR_TRAINED: f64 = 0.002;

/// A folder for what a test writes.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        text(&self.0.path().join(name))
    }

    fn write(&self, name: &str, contents: &str) -> String {
        fs::write(self.0.path().join(name), contents).unwrap();
        self.path(name)
    }

    /// Converts a checkpoint.
    fn blob(&self, checkpoint: &str, weights: &str) -> String {
        let blob = self.path(&format!("{weights}.blob"));
        run("convert", 0, &["convert", checkpoint, "-o", &blob, "--weights", weights]);
        blob
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn char_model() -> String {
    text(&fixtures::bundled("shakespeare-char"))
}

/// The first `n` bytes of the bundled play.
fn play(n: usize) -> String {
    fixtures::as_you_like_it()[..n].to_owned()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn golden_fixtures_convert_and_evaluate() {
    for name in NAMES {
        let (golden, folder, checkpoint) = (fixtures::golden(name), Folder::new(), text(&fixtures::path(name)));
        let tokens = folder.write("tokens.json", &serde_json::to_string(&golden.tokens).unwrap());
        let (f32_blob, q8_blob) = (folder.blob(&checkpoint, "f32"), folder.blob(&checkpoint, "q8"));
        for (model, most) in [(&checkpoint, MAX_REFERENCE_ERROR), (&f32_blob, MAX_F32_ERROR), (&q8_blob, MAX_Q8_ERROR)]
        {
            let value = run("eval", 0, &["eval", model, "--tokens", &tokens]);
            let error = (number(&value, "loss") - golden.loss).abs();
            assert!(error <= most, "{name}: {model} is off by {error}");
            assert_eq!(value["tokens_skipped"], json!(golden.tokens.len()));
            assert!((number(&value, "perplexity").ln() - number(&value, "loss")).abs() < 1e-12);
        }
    }
}

#[test]
fn the_bundled_model_loses_what_pytorch_says() {
    let folder = Folder::new();
    let play = folder.write("play.txt", &play(2049));
    let expected = fixtures::reference("shakespeare-char")["first_2048_tokens_scored"]["loss"].as_f64().unwrap();
    let (f32_blob, q8_blob) = (folder.blob(&char_model(), "f32"), folder.blob(&char_model(), "q8"));
    for (model, most) in
        [(&char_model(), MAX_REFERENCE_ERROR), (&f32_blob, MAX_F32_ERROR), (&q8_blob, MAX_Q8_ERROR_TRAINED)]
    {
        let value = run("eval", 0, &["eval", model, "--text", &play]);
        let error = (number(&value, "loss") - expected).abs();
        assert!(error <= most, "{model} is off by {error}");
        assert_eq!((&value["tokens_scored"], &value["tokens_skipped"]), (&json!(2048), &json!(1)));
        // Every token is one byte.
        assert_eq!(value["bits_per_byte"], value["bits_per_token"]);
    }
}

#[test]
fn bits_depend_on_neither_threads_nor_how_rows_are_given() {
    let folder = Folder::new();
    let blob = folder.blob(&char_model(), "q8");
    let play = play(700);
    let ids = run("tokenize", 0, &["tokenize", &play, "--tokenizer", &char_model()])["ids"].clone();
    let tokens = folder.write("tokens.json", &ids.to_string());
    let expected = run("eval", 0, &["eval", &blob, "--prompt", &play, "--threads", "1"]);
    for args in [["--prompt", &play, "--threads", "3"], ["--tokens", &tokens, "--convention", "disjoint"]] {
        let mut value = run("eval", 0, &[["eval", &blob].as_slice(), &args].concat());
        value.as_object_mut().unwrap().remove("texts");
        assert_eq!(value, expected);
    }
}

#[test]
fn conventions_score_what_they_say() {
    let folder = Folder::new();
    let (blob, play) = (folder.blob(&char_model(), "q8"), play(300));
    let eval = |args: &[&str]| run("eval", 0, &[&["eval", &blob, "--prompt", &play, "--n-ctx", "64"], args].concat());
    for (args, scored, stride) in [
        (["--convention", "disjoint"].as_slice(), 299, 64),
        (&["--convention", "sliding"], 299, 32),
        (&["--convention", "sliding", "--stride", "64"], 295, 64),
        (&["--convention", "llamacpp"], 4 * 31, 64),
    ] {
        let value = eval(args);
        let figures = (&value["convention"], &value["tokens_scored"], &value["tokens_skipped"], &value["stride"]);
        assert_eq!(figures, (&json!(args[1]), &json!(scored), &json!(300 - scored), &json!(stride)));
        assert_eq!(value["n_ctx"], json!(64));
    }
}

#[test]
fn rows_of_ids_are_scored_each_on_their_own() {
    let folder = Folder::new();
    let blob = folder.blob(&char_model(), "q8");
    let eval = |tokens: &str| run("eval", 0, &["eval", &blob, "--tokens", &folder.write("t.json", tokens)]);
    let (a, b, both) = (eval("[1, 2, 3, 4]"), eval("[9, 8, 7]"), eval("[[1, 2, 3, 4], [9, 8, 7]]"));
    assert_eq!((&both["tokens_scored"], &both["tokens_skipped"]), (&json!(5), &json!(2)));
    let mean = (3.0 * number(&a, "loss") + 2.0 * number(&b, "loss")) / 5.0;
    assert!((number(&both, "loss") - mean).abs() < 1e-12);

    let row: Vec<u32> = (0..130).map(|id| id % 65).collect();
    let long = folder.write("long.json", &json!([[1, 2], row]).to_string());
    let error = run("error", 2, &["eval", &blob, "--tokens", &long]);
    let message = "row 1 has 130 tokens, more than the 129 of one window of n_ctx 128: \
                   name the windows with --convention";
    assert_eq!(error["error"]["message"], json!(message));
    assert_eq!(
        run("eval", 0, &["eval", &blob, "--tokens", &long, "--convention", "disjoint"])["tokens_scored"],
        json!(130)
    );
    let other = folder.write("other.json", "[[1, 2], [3, 65]]");
    let error = run("error", 2, &["eval", &blob, "--tokens", &other]);
    let message = "token 65 at index 1 of row 1 is out of range: n_vocab is 65";
    assert_eq!(error["error"], json!({"kind": "token_out_of_range", "message": message}));
}

#[test]
fn one_token_has_no_loss() {
    let folder = Folder::new();
    for model in [char_model(), folder.blob(&char_model(), "q8")] {
        let value = run("eval", 2, &["eval", &model, "--prompt", "a"]);
        let figures = [&value["loss"], &value["perplexity"], &value["loss_stderr"], &value["nll_bits"]];
        assert_eq!(figures, [&Value::Null; 4]);
        assert_eq!(value["error"]["kind"], json!("nothing_to_score"));
        let output = command().args(["eval", &model, "--prompt", "a"]).assert().code(2).get_output().clone();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.ends_with("error: the prompt is one token: there is nothing to predict\n"), "{error}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_an_error() {
    let folder = Folder::new();
    let blob = folder.blob(&char_model(), "q8");
    let mut damaged = fs::read(&blob).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    let damaged_path = folder.path("damaged.blob");
    fs::write(&damaged_path, damaged).unwrap();
    for (model, args, kind) in [
        (blob.as_str(), ["--prompt", "4"], "unrepresentable_text"),
        (&blob, ["--prompt", ""], "input"),
        (&blob, ["--text", "no-such-file"], "io"),
        (&damaged_path, ["--prompt", "hello"], "blob"),
        ("no-such-blob", ["--prompt", "hello"], "io"),
        (&text(folder.0.path()), ["--prompt", "hello"], "no_checkpoint"),
    ] {
        let error = run("error", 2, &[&["eval", model], args.as_slice()].concat());
        assert_eq!(error["error"]["kind"], json!(kind), "{error}");
    }
}

#[test]
fn verify_passes_q8_and_fails_what_exceeds_a_tolerance() {
    let folder = Folder::new();
    let (checkpoint, play) = (char_model(), play(1000));
    let (f32_blob, q8_blob) = (folder.blob(&checkpoint, "f32"), folder.blob(&checkpoint, "q8"));
    let verify = |code, args: &[&str]| {
        run("verify", code, &[&["verify", &checkpoint, &f32_blob, &q8_blob, "--prompt", &play], args].concat())
    };
    let value = verify(0, &[]);
    let (f32_result, q8_result) = (&value["results"][0], &value["results"][1]);
    assert_eq!((&value["tokens_scored"], &value["passed"]), (&json!(999), &json!(true)));
    assert_eq!(q8_result["loss_blob"], run("eval", 0, &["eval", &q8_blob, "--prompt", &play])["loss"]);
    let expected = number(&run("eval", 0, &["eval", &checkpoint, "--prompt", &play]), "loss");
    assert!((number(q8_result, "loss_checkpoint") - expected).abs() < 1e-6);
    let delta = number(q8_result, "loss_blob") - number(q8_result, "loss_checkpoint");
    assert!((number(q8_result, "delta_nll") - delta).abs() < 1e-9);
    assert!(number(f32_result, "kl_max") < 1e-9 && number(f32_result, "max_logit_error") < 1e-3);
    let [mean, p99, max] = ["kl_mean", "kl_p99", "kl_max"].map(|key| number(q8_result, key));
    assert!(0.0 < mean && mean < p99 && p99 < max && max < 0.05, "{q8_result}");
    assert!(number(q8_result, "bits_per_weight") < 8.5);

    let value = verify(1, &["--max-kl", "1e-6"]);
    let passed = (&value["results"][0]["passed"], &value["results"][1]["passed"], &value["passed"]);
    assert_eq!(passed, (&json!(true), &json!(false), &json!(false)));
    verify(1, &["--max-delta-nll", "1e-7"]);
    verify(1, &["--min-top1", "0.9999"]);
}

#[test]
fn every_kv_cache_evaluates_and_verifies() {
    let (folder, play) = (Folder::new(), play(400));
    let blob = folder.blob(&char_model(), "f32");
    let results = ["f32", "f16", "i8"].map(|kv| {
        let loss = run("eval", 0, &["eval", &blob, "--prompt", &play, "--kv", kv]);
        let verified = run("verify", 0, &["verify", &char_model(), &blob, "--prompt", &play, "--kv", kv]);
        assert_eq!((&loss["kv"], &verified["kv"]), (&json!(kv), &json!(kv)));
        assert_eq!(loss["loss"], verified["results"][0]["loss_blob"]);
        number(&verified["results"][0], "kl_mean")
    });
    let [f32_kl, f16_kl, i8_kl] = results;
    assert!(f32_kl < 1e-10 && f32_kl < f16_kl && f16_kl < 1e-6 && f16_kl < i8_kl && i8_kl < 1e-4, "{results:?}");
    let by_default = run("eval", 0, &["eval", &blob, "--prompt", &play]);
    assert_eq!(by_default, run("eval", 0, &["eval", &blob, "--prompt", &play, "--kv", "f32"]));
}

#[test]
fn a_kv_cache_that_is_not_there_is_an_error() {
    let error = run("error", 2, &["eval", &char_model(), "--prompt", "hello", "--kv", "f16"]);
    let message = "--kv is for blobs: a checkpoint's float reference keeps no cache";
    assert_eq!(error["error"], json!({"kind": "usage", "message": message}));
    let error = run("error", 2, &["eval", &char_model(), "--prompt", "hello", "--kv", "i4"]);
    assert!(error["error"]["message"].as_str().unwrap().contains("\"i4\" is none of f32, f16, i8"), "{error}");
}

#[test]
fn verify_refuses_what_does_not_belong_together() {
    let folder = Folder::new();
    let other = folder.blob(&text(&fixtures::path("hf-tied")), "q8");
    let error = run("error", 2, &["verify", &char_model(), &other, "--prompt", "hello"]);
    assert_eq!(error["error"]["kind"], json!("usage"));
}

#[test]
fn inspect_shows_what_convert_wrote() {
    let folder = Folder::new();
    let blob = folder.path("q8.blob");
    let converted = run("convert", 0, &["convert", &char_model(), "-o", &blob]);
    let inspected = run("inspect", 0, &["inspect", &blob]);
    for key in ["bytes", "bits_per_weight", "model_crc32", "arithmetic", "activations"] {
        assert_eq!(inspected[key], converted[key], "{key}");
    }
    assert_eq!(inspected["tokenizer"], json!({"kind": "chars", "n_tokens": 65, "n_merges": 0}));
    assert_eq!(inspected["parameters"], json!(818_048));
    assert_eq!(inspected["tied_head"], json!(true));
    assert_eq!(inspected["self_test"]["tokens"], converted["self_test"]["tokens"]);
    let tensors = |value: &Value| value["tensors"].as_array().unwrap().len();
    assert_eq!(tensors(&inspected), tensors(&converted));
}

#[test]
fn init_writes_what_an_untrained_model_is() {
    let folder = Folder::new();
    let checkpoint = folder.path("checkpoint");
    let value = run("init", 0, &["init", "--config", "nano-bpe512", "-o", &checkpoint]);
    assert_eq!((&value["seed"], &value["qkv_bias"], &value["tied_head"]), (&json!(0), &json!(false), &json!(false)));
    let tokenizer = text(&fixtures::bundled("shakespeare-bpe512"));
    let args = ["eval", &checkpoint, "--prompt", &play(2000), "--tokenizer", &tokenizer];
    let loss = number(&run("eval", 0, &args), "loss");
    assert!((loss - 512f64.ln()).abs() < 0.3, "{loss}");
    let error = run("error", 2, &["init", "--config", "gpt2-7b", "-o", &checkpoint]);
    assert_eq!(error["error"]["kind"], json!("usage"));
}

#[test]
fn details_name_the_shape_of_the_logits() {
    let output =
        command().args(["eval", &char_model(), "--prompt", "hello", "-v"]).assert().success().get_output().clone();
    let details = String::from_utf8(output.stderr).unwrap();
    assert!(details.contains("logits (windows, inputs, n_vocab): (1, 4, 65)"), "{details}");
}

#[test]
fn the_readme_quotes_the_demo() {
    let models = text(fixtures::bundled("shakespeare-char").parent().unwrap());
    let output = command().args(["demo", "--no-board", "--models", &models]).assert().success().get_output().clone();
    let story = String::from_utf8(output.stdout).unwrap();
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted: Vec<String> = readme.lines().map(words).collect();
    let results = story.lines().filter(|line| line.starts_with("checkpoint, ") || line.starts_with("blob, "));
    let results: Vec<String> = results.map(words).collect();
    assert_eq!(results.len(), 2, "{story}");
    assert!(results.iter().all(|line| quoted.contains(line)), "{results:?}");
}

#[test]
fn the_demo_tells_its_story_without_a_board() {
    let models = text(fixtures::bundled("shakespeare-char").parent().unwrap());
    let args = ["demo", "--no-board", "--tokens", "300", "--models", &models];
    let value = run("demo", 0, &args);
    common::check("eval", &value["reference"]);
    common::check("eval", &value["blob"]);
    let verified = json!({"checkpoint": "", "tokens_scored": 300, "bos": "none", "kv": "f32", "results": [value["verify"]], "passed": true});
    common::check("verify", &verified);
    assert_eq!((&value["device"], &value["passed"]), (&Value::Null, &json!(true)));
    assert_eq!(value["blob"]["loss"], value["verify"]["loss_blob"]);
    let output = command().args(args).assert().success().get_output().clone();
    let story = String::from_utf8(output.stdout).unwrap();
    let bits = value["blob"]["nll_bits"].as_str().unwrap();
    assert_eq!(story.lines().filter(|line| line.contains(bits)).count(), 2, "{story}");
    let error = run("error", 2, &["demo", "--models", "no-such-folder"]);
    assert_eq!(error["error"]["kind"], json!("io"));
}
