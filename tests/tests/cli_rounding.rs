//! How `convert` rounds weights: on which text, in which formats, within which budget.

mod common;

use std::fs;

use common::{command, run};
use emberlm_tests::fixtures;
use serde_json::Value;
use tempfile::TempDir;

/// Tokens of the play on which blobs are compared, and where the text that they are calibrated on begins.
const COMPARED: usize = 1025;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, contents: &str) -> String {
        fs::write(self.path(name), contents).unwrap();
        self.path(name)
    }

    /// Converts the bundled model of characters; its report.
    fn convert(&self, name: &str, args: &[&str]) -> Value {
        run("convert", 0, &[["convert", &char_model(), "-o", &self.path(name)].as_slice(), args].concat())
    }

    /// Mean divergences of blobs on the beginning of the play.
    fn divergences(&self, names: &[&str]) -> Vec<f64> {
        let blobs: Vec<String> = names.iter().map(|name| self.path(name)).collect();
        let blobs: Vec<&str> = blobs.iter().map(String::as_str).collect();
        let (model, play) = (char_model(), &fixtures::as_you_like_it()[..COMPARED]);
        let lenient = ["--prompt", play, "--max-kl", "9", "--max-delta-nll", "9", "--min-top1", "0"];
        let value = run("verify", 0, &[["verify", &model].as_slice(), &blobs, &lenient].concat());
        value["results"].as_array().unwrap().iter().map(|result| result["kl_mean"].as_f64().unwrap()).collect()
    }
}

fn char_model() -> String {
    fixtures::bundled("shakespeare-char").to_str().unwrap().to_owned()
}

/// All that the command says on standard error before it gives up.
fn refusal_of_all(args: &[&str]) -> String {
    let output = command().args(["convert", &char_model(), "-o", "nowhere.blob"]).args(args).assert().code(2);
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

/// Its last line.
fn refusal(args: &[&str]) -> String {
    refusal_of_all(args).lines().last().unwrap().to_owned()
}

#[test]
fn calibration_loses_less_on_a_text_that_it_has_not_seen() {
    let folder = Folder::new();
    let text = folder.write("text.txt", &fixtures::as_you_like_it()[COMPARED..][..4096]);
    for (name, calibrate) in [("none", "none"), ("own", "own"), ("text", &text)] {
        folder.convert(name, &["--weights", "q4", "--calibrate", calibrate]);
    }
    let [none, own, text] = folder.divergences(&["none", "own", "text"]).try_into().unwrap();
    assert!(own < 0.5 * none && text < 0.5 * none, "{none} {own} {text}");
}

#[test]
fn the_same_words_give_the_same_bytes_on_any_number_of_threads() {
    let folder = Folder::new();
    let read = |name: &str| fs::read(folder.path(name)).unwrap();
    for (name, threads) in [("first", "1"), ("second", "2"), ("third", "5")] {
        folder.convert(name, &["--weights", "q3", "--threads", threads]);
    }
    folder.convert("none", &["--weights", "q3", "--calibrate", "none"]);
    assert!(read("first") == read("second") && read("first") == read("third"));
    assert!(read("first") != read("none"));
}

#[test]
fn a_short_text_is_warned_of_and_no_worse_than_none() {
    let folder = Folder::new();
    let text = folder.write("text.txt", "To be, or not to be: that is the question.");
    folder.convert("none", &["--weights", "q4", "--calibrate", "none"]);
    let path = folder.path("short");
    let words = ["convert", &char_model(), "-o", &path, "--weights", "q4", "--calibrate", &text];
    let output = command().args(words).assert().code(0).get_output().clone();
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains("has 42 tokens, which say little of matrices with 512 inputs"), "{notes}");
    let [none, short] = folder.divergences(&["none", "short"]).try_into().unwrap();
    assert!(short < none, "{short} {none}");
}

#[test]
fn parts_of_the_model_have_formats_of_their_own() {
    let folder = Folder::new();
    let args = ["--weights", "q4+head=q8", "--calibrate", "none"];
    let value = folder.convert("blob", &args);
    assert_eq!(value["weights"], "q4+head=q8");
    let format = |name: &str| {
        let tensors = value["tensors"].as_array().unwrap();
        tensors.iter().find(|tensor| tensor["name"] == name).unwrap()["format"].clone()
    };
    let have = ["wte.weight", "wpe.weight", "h.0.mlp.c_fc.weight", "ln_f.weight"].map(format);
    assert_eq!(have, ["q8", "q4", "q4", "f32"]);
    let conflict = refusal(&["--weights", "q8+head=q8+embeddings=q6"]);
    assert!(conflict.contains("the head is tied to wte, so one matrix cannot be both q8 and q6"), "{conflict}");
}

#[test]
fn a_budget_is_spent_where_it_helps() {
    let folder = Folder::new();
    let uniform = folder.convert("q4", &["--weights", "q4"]);
    let bytes = uniform["bytes"].as_u64().unwrap();
    let auto = folder.convert("auto", &["--weights", &format!("auto:{bytes}")]);
    assert!(auto["bytes"].as_u64().unwrap() <= bytes);
    let [q4, auto] = folder.divergences(&["q4", "auto"]).try_into().unwrap();
    assert!(auto < 0.8 * q4, "{auto} {q4}");
}

#[test]
fn budgets_that_make_no_sense_are_refused() {
    for (word, why) in [
        ("auto", "auto needs a budget: auto:512K for bytes of the blob, or auto:4.5bpw"),
        ("auto:4.5", "`4.5` is no budget"),
        ("auto:100K", "no formats meet a budget of 102400 bytes: the smallest possible is "),
        ("auto:3bpw", "no formats meet a budget of 3 bits a weight: the smallest possible is 3.44 bits"),
        ("auto:4bpw+head=q8+embeddings=q6", "the head is tied to wte, so one matrix cannot be both q8 and q6"),
    ] {
        let said = refusal_of_all(&["--weights", word]);
        assert!(said.contains(why), "{said}");
    }
    assert!(refusal(&["--weights", "auto:4bpw", "--calibrate", "none"]).contains("`--calibrate none` leaves none"));
}
