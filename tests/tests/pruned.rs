//! Vocabularies that were cut: what is left encodes every text, and its loss is that of the whole model renormalised.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{command, run};
use emberlm::engine::Blob;
use emberlm::text::tokenizer::Tokenizer;
use emberlm_tests::models::{Biases, Spec};
use emberlm_tests::oracle::Model;
use emberlm_tests::{fixtures, hf_writer, log_sum_exp};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Nats between a blob of f32 weights, or the float reference, and the oracle.
const MAX_ERROR: f64 = 1e-5;

/// Sixteen tokens or fewer, for a window.
const PROMPT: &str = "What, all the world?\n";

/// A model beside the 512 tokens of a bundled tokenizer, some more than these, with texts to cut by.
struct Case {
    folder: TempDir,
    model: Model,
    tokenizer: Tokenizer,
}

const N_VOCAB: usize = 520;

impl Case {
    fn new(untied: bool) -> Self {
        let biases = Biases { head: true, ..Biases::GPT2 };
        let model = Spec { n_vocab: N_VOCAB, n_ctx: 32, untied, biases, ..Spec::SMALL }.model(17);
        let folder = tempfile::tempdir().unwrap();
        hf_writer::write(&model, folder.path()).unwrap();
        let json = fs::read(fixtures::bundled("shakespeare-bpe512").join("tokenizer.json")).unwrap();
        fs::write(folder.path().join("tokenizer.json"), &json).unwrap();
        let play = fixtures::as_you_like_it();
        let (first, second) = play.split_at(play.floor_char_boundary(1500));
        fs::write(folder.path().join("first.txt"), format!("{PROMPT}{first}")).unwrap();
        fs::write(folder.path().join("second.txt"), &second[..second.floor_char_boundary(700)]).unwrap();
        Self { folder, model, tokenizer: Tokenizer::from_tokenizer_json(&json, "a test").unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn checkpoint(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// A blob cut by both texts.
    fn convert(&self, name: &str, keep: usize, more: &[&str]) -> Value {
        let (blob, keep) = (self.text(name), keep.to_string());
        let [first, second] = ["first.txt", "second.txt"].map(|text| self.text(text));
        let args = ["convert", self.checkpoint(), "-o", &blob, "--prune-vocab", &first, &second, "--keep", &keep];
        run("convert", 0, &[&args, more].concat())
    }

    /// The tokenizer of a blob, and for each of its tokens the id that it had.
    fn left(&self, blob: &Path) -> (Tokenizer, Vec<u32>) {
        let parts = Blob::open(blob).unwrap().section().unwrap().unwrap();
        let left = Tokenizer::from_parts(parts, "a blob").unwrap();
        let full_id = |id: u32| {
            let bytes = left.token_bytes(id).unwrap();
            (0..N_VOCAB as u32).find(|&full| self.tokenizer.token_bytes(full).as_deref() == Some(&*bytes)).unwrap()
        };
        let ids = (0..left.n_vocab() as u32).map(full_id).collect();
        (left, ids)
    }

    /// The mean nll of the prompt as the blob's tokenizer has it, over its tokens alone.
    fn renormalised(&self, (left, ids): (&Tokenizer, &[u32])) -> f64 {
        let tokens: Vec<u32> = left.encode(PROMPT).unwrap().into_iter().map(|id| ids[id as usize]).collect();
        let logits = self.model.logits(&tokens[..tokens.len() - 1]);
        let nll = |(row, target): (&Vec<f64>, &u32)| {
            let kept = ids.iter().map(|&id| row[id as usize]);
            log_sum_exp::nll(kept, ids.iter().position(|id| id == target).unwrap()).unwrap()
        };
        let nlls: Vec<f64> = logits.iter().zip(&tokens[1..]).map(nll).collect();
        nlls.iter().sum::<f64>() / nlls.len() as f64
    }
}

fn close(loss: &Value, want: f64) {
    let loss = loss.as_f64().unwrap();
    assert!((loss - want).abs() <= MAX_ERROR, "{loss} for {want}");
}

#[test]
fn without_a_cut_texts_are_as_they_were_and_losses_are_renormalised() {
    for untied in [false, true] {
        let case = Case::new(untied);
        let converted = case.convert("b", 480, &["--weights", "f32"]);
        let (pruned, lengths) = (&converted["pruned"], &converted["pruned"]["tokens_of_texts"]);
        assert_eq!((&pruned["from"], &pruned["to"]), (&json!(520), &json!(480)));
        assert!(pruned["needed"].as_u64().unwrap() <= 480 && pruned["left_out"] == 0, "{pruned}");
        assert_eq!(lengths["whole"], lengths["pruned"]);

        let (left, ids) = case.left(&case.path("b"));
        assert!(ids.len() == 480 && ids.is_sorted());
        for name in ["first.txt", "second.txt"] {
            let text = fs::read_to_string(case.path(name)).unwrap();
            let back: Vec<u32> = left.encode(&text).unwrap().into_iter().map(|id| ids[id as usize]).collect();
            assert_eq!(back, case.tokenizer.encode(&text).unwrap());
        }

        let want = case.renormalised((&left, &ids));
        let sizes = json!({"from": 520, "to": 480});
        let blob = case.text("b");
        let evaluated = run("eval", 0, &["eval", &blob, "--prompt", PROMPT]);
        close(&evaluated["loss"], want);
        assert_eq!(evaluated["pruned"], sizes);
        let verified = run("verify", 0, &["verify", case.checkpoint(), &blob, "--prompt", PROMPT]);
        close(&verified["results"][0]["loss_checkpoint"], want);
        assert_eq!((&verified["pruned"], &verified["passed"]), (&sizes, &json!(true)));
        assert_eq!(verified["softmax"], "renormalised over the kept tokens");
        // Over the whole vocabulary it is another quantity.
        let whole = run("eval", 0, &["eval", case.checkpoint(), "--prompt", PROMPT])["loss"].as_f64().unwrap();
        assert!(whole > want + 0.01 && whole - want < 1.0, "{whole} {want}");
    }
}

#[test]
fn every_report_of_a_loss_says_that_the_vocabulary_is_pruned() {
    let case = Case::new(false);
    let text =
        |args: &[&str]| String::from_utf8(command().args(args).assert().success().get_output().stdout.clone()).unwrap();
    let [first, second, blob, records] = ["first.txt", "second.txt", "b", "r"].map(|name| case.text(name));
    let prune = ["--prune-vocab", &first, &second, "--keep", "400", "--calibrate", "none"];
    let said = "pruned from 520 to 400 tokens";
    let converted = text(&[&["convert", case.checkpoint(), "-o", &blob], &prune[..]].concat());
    assert!(converted.contains(&format!("{said}: the texts need ")), "{converted}");
    let scored = ["--text", &second, "--n-ctx", "16"];
    let eval = ["eval", &blob];
    let shard = ["--shard", "1/2", "--records", &records];
    let other = case.text("s");
    let last = ["--shard", "2/2", "--records", &other];
    for args in [
        &[&eval, &scored[..]].concat(),
        &[&eval, &scored[..], &shard].concat(),
        &[&eval, &scored[..], &last].concat(),
        &vec!["merge", &records, &other],
        &vec!["inspect", &blob],
        &vec!["plan", &blob, "--board", "rp2040"],
        &[&["plan", case.checkpoint(), "--board", "rp2040"], &prune[..5]].concat(),
        &[&["compare", case.checkpoint(), "--weights", "f32"], &prune[..], &scored].concat(),
    ] {
        let text = text(args);
        assert!(text.contains(said), "{args:?}: {text}");
    }
    let verified = text(
        &[
            &["verify", case.checkpoint(), &blob, "--max-kl", "9", "--max-delta-nll", "9", "--min-top1", "0"],
            &scored[..],
        ]
        .concat(),
    );
    let line = format!("{said}; the checkpoint's softmax is renormalised over the kept tokens");
    assert!(verified.contains(&line), "{verified}");
    for (schema, args) in [
        ("inspect", vec!["inspect", &blob]),
        ("plan", vec!["plan", &blob, "--board", "rp2040"]),
        ("eval", vec!["merge", &records, &other]),
        ("compare", [&["compare", case.checkpoint(), "--weights", "f32"], &prune[..], &scored].concat()),
    ] {
        assert_eq!(run(schema, 0, &args)["pruned"], json!({"from": 520, "to": 400}), "{args:?}");
    }
    // Of a whole vocabulary nothing is said.
    run("convert", 0, &["convert", case.checkpoint(), "-o", &blob, "--force", "--calibrate", "none"]);
    assert_eq!(run("eval", 0, &[&eval, &scored[..]].concat()).get("pruned"), None);
}

#[test]
fn what_is_cut_is_still_encoded() {
    let case = Case::new(false);
    // Weights are rounded by a text of the model's own, which is of its tokens.
    let converted = case.convert("b", 300, &["--weights", "q8"]);
    let (pruned, lengths) = (&converted["pruned"], &converted["pruned"]["tokens_of_texts"]);
    let needed = pruned["needed"].as_u64().unwrap();
    assert_eq!((&pruned["to"], &pruned["left_out"]), (&json!(300), &json!(needed - 300)));
    assert!(needed > 300 && lengths["pruned"].as_u64() > lengths["whole"].as_u64(), "{pruned}");
    let (left, ids) = case.left(&case.path("b"));
    let torture = fs::read_to_string(fixtures::path("torture.txt")).unwrap();
    let play: String = fixtures::as_you_like_it().chars().take(5000).collect();
    for text in [torture.as_str(), &play, "", "\u{0}\u{10FFFF}"] {
        assert_eq!(left.decode(&left.encode(text).unwrap()).unwrap(), *text);
    }
    let bytes =
        (0..=u8::MAX).filter(|&byte| ids.iter().any(|&id| case.tokenizer.token_bytes(id).as_deref() == Some(&[byte])));
    assert_eq!(bytes.count(), 256);
    let blob = case.text("b");
    let lenient = ["--max-kl", "9", "--max-delta-nll", "9", "--min-top1", "0"];
    let verified =
        run("verify", 0, &[&["verify", case.checkpoint(), &blob, "--prompt", PROMPT], &lenient[..]].concat());
    close(&verified["results"][0]["loss_checkpoint"], case.renormalised((&left, &ids)));
}

#[test]
fn a_tokenizer_by_scores_keeps_its_bytes_and_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let stories = fixtures::bundled("stories260K");
    let [model, tokenizer] =
        ["stories260K.bin", "tok512.bin"].map(|name| stories.join(name).to_str().unwrap().to_owned());
    let [blob, text] = ["b", "t"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let story = "Once upon a time, there was a little girl named Lily. She loved to play outside.";
    fs::write(&text, story).unwrap();
    let args = ["convert", &model, "--tokenizer", &tokenizer, "-o", &blob, "--weights", "f32"];
    let converted = run("convert", 0, &[&args[..], &["--prune-vocab", &text, "--keep", "350"]].concat());
    assert_eq!((&converted["pruned"]["from"], &converted["pruned"]["left_out"]), (&json!(512), &json!(0)));
    let verified = run("verify", 0, &["verify", &model, &blob, "--tokenizer", &tokenizer, "--text", &text]);
    assert_eq!((&verified["pruned"], &verified["bos"]), (&json!({"from": 512, "to": 350}), &json!("text")));
    // By the whole vocabulary the story is the same tokens, among more of them.
    let whole = run("eval", 0, &["eval", &model, "--tokenizer", &tokenizer, "--text", &text]);
    let pruned = run("eval", 0, &["eval", &blob, "--text", &text]);
    assert_eq!(whole["tokens_scored"], pruned["tokens_scored"]);
    let [whole, pruned] = [whole, pruned].map(|report| report["loss"].as_f64().unwrap());
    assert!(pruned < whole && whole - pruned < 1.0, "{whole} {pruned}");
    let made = run("generate", 0, &["generate", &blob, "--prompt", "é日", "--temperature", "0", "--max-tokens", "5"]);
    assert_eq!(made["bos"], "text");
}

#[test]
fn texts_come_from_standard_input_too() {
    let case = Case::new(false);
    let blob = case.text("b");
    let args =
        ["convert", case.checkpoint(), "-o", &blob, "--calibrate", "none", "--prune-vocab", "-", "--keep", "300"];
    command().args(args).write_stdin(PROMPT.repeat(3)).assert().success();
    let (left, ids) = case.left(&case.path("b"));
    let back: Vec<u32> = left.encode(PROMPT).unwrap().into_iter().map(|id| ids[id as usize]).collect();
    assert_eq!(back, case.tokenizer.encode(PROMPT).unwrap());
}

#[test]
fn what_cannot_be_cut_is_refused() {
    let case = Case::new(false);
    let [first, blob] = ["first.txt", "b"].map(|name| case.text(name));
    let refuse = |more: &[&str]| {
        let args = ["convert", case.checkpoint(), "-o", &blob, "--calibrate", "none"];
        let error = run("error", 2, &[&args, more].concat())["error"].clone();
        assert!(!case.path("b").exists());
        assert_eq!(error["kind"], "usage");
        error["message"].as_str().unwrap().to_owned()
    };
    let few = refuse(&["--prune-vocab", &first, "--keep", "100"]);
    assert!(few.starts_with("--keep 100 is too few: need 256, for bytes") && few.ends_with(", have 100"), "{few}");
    assert!(refuse(&["--keep", "300"]).contains("--prune-vocab"));
    assert!(refuse(&["--prune-vocab", &first]).contains("--keep"));
    refuse(&["--prune-vocab", &first, "--keep", "0"]);
    refuse(&["--prune-vocab", &first, "--keep", "300", "--no-tokenizer"]);
    fs::remove_file(case.path("tokenizer.json")).unwrap();
    let none = refuse(&["--prune-vocab", &first, "--keep", "300"]);
    assert_eq!(none, "--prune-vocab cuts the vocabulary of a tokenizer, and there is none: --tokenizer names one");
}

#[test]
fn a_vocabulary_that_is_kept_whole_is_not_pruned() {
    let case = Case::new(false);
    let [first, blob, whole] = ["first.txt", "b", "w"].map(|name| case.text(name));
    for keep in ["520", "16777216"] {
        let args = ["convert", case.checkpoint(), "-o", &blob, "--force", "--calibrate", "none"];
        let converted = run("convert", 0, &[&args[..], &["--prune-vocab", &first, "--keep", keep]].concat());
        assert_eq!(converted.get("pruned"), None);
    }
    run("convert", 0, &["convert", case.checkpoint(), "-o", &whole, "--calibrate", "none"]);
    assert!(fs::read(&blob).unwrap() == fs::read(&whole).unwrap());
}

#[test]
fn a_blob_is_verified_against_what_it_was_cut_from_alone() {
    let case = Case::new(false);
    let [blob, other, whole] = ["b", "c", "w"].map(|name| case.text(name));
    case.convert("b", 400, &["--calibrate", "none"]);
    case.convert("c", 401, &["--calibrate", "none"]);
    run("convert", 0, &["convert", case.checkpoint(), "-o", &whole, "--calibrate", "none"]);
    let refuse = |blobs: &[&str]| {
        let args = [&["verify", case.checkpoint()], blobs, &["--prompt", PROMPT]].concat();
        run("error", 2, &args)["error"]["message"].as_str().unwrap().to_owned()
    };
    for blobs in [[&blob, &other], [&whole, &blob], [&blob, &whole]] {
        assert!(refuse(&blobs.map(String::as_str)).contains("have different vocabularies"));
    }
    let model = fixtures::bundled("shakespeare-bpe512");
    let args = ["verify", model.to_str().unwrap(), &blob, "--prompt", PROMPT];
    let error = run("error", 2, &args)["error"]["message"].as_str().unwrap().to_owned();
    assert!(error.ends_with("was pruned from 520 tokens, and the checkpoint has 512"), "{error}");
    // Another tokenizer of the same size has other tokens.
    let mut json: Value = serde_json::from_slice(&fs::read(case.path("tokenizer.json")).unwrap()).unwrap();
    let vocab = json["model"]["vocab"].as_object_mut().unwrap();
    for (name, id) in [("!", vocab["?"].clone()), ("?", vocab["!"].clone())] {
        vocab[name] = id;
    }
    fs::write(case.path("tokenizer.json"), json.to_string()).unwrap();
    let error = refuse(&[&blob]);
    assert!(error.contains("of the vocabulary that was cut is none of the 520 of the whole"), "{error}");
}
