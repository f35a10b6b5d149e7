//! Formats are spelled in one way, and come to one size, in every verb that takes them.

mod common;

use std::fs;

use common::run;
use emberlm_tests::fixtures;
use serde_json::json;

/// Words for formats, each as reports spell it.
const NAMED: [&str; 4] = ["f16", "q8", "q4+head=q8+embeddings=q8", "q3+embeddings=f16+vectors=f16"];

/// The same by budget.
const BY_BUDGET: [&str; 1] = ["auto:5bpw+head=q8+vectors=f16"];

/// What `convert` writes, what `compare` prints and what `plan` prints are the same, for a model and a choice of tokenizer.
fn assert_agreement(model: &str, tokenizer: &[&str], words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (blob, tokens) = (folder.path().join("a.blob"), folder.path().join("tokens.json"));
    fs::write(&tokens, "[1, 2, 3, 4, 5, 6, 7]").unwrap();
    let (blob, tokens) = (blob.to_str().unwrap(), tokens.to_str().unwrap());
    let model = fixtures::path(model);
    let model = model.to_str().unwrap();
    let list = words.join(",");
    let compare = ["compare", model, "--tokens", tokens, "--weights", &list];
    // Text that names are not measured on decides no size.
    let calibrate: &[&str] = if list.contains("auto") { &[] } else { &["--calibrate", "none"] };
    let compared = run("compare", 0, &[compare.as_slice(), tokenizer, calibrate].concat());
    for (word, row) in words.iter().zip(compared["results"].as_array().unwrap()) {
        let name = row["weights"].as_str().unwrap();
        let convert = ["convert", model, "-o", blob, "--weights", name];
        let converted = run("convert", 0, &[convert.as_slice(), tokenizer, calibrate].concat());
        assert_eq!([name, converted["weights"].as_str().unwrap()], [*word; 2]);
        assert_eq!((&row["bytes"], &row["bits_per_weight"]), (&converted["bytes"], &converted["bits_per_weight"]));
        assert_eq!(converted["bytes"], fs::metadata(blob).unwrap().len());
        let plan = ["plan", model, "--board", "mps2-an386", "--weights", name];
        let planned = run("plan", 0, &[plan.as_slice(), tokenizer].concat());
        let parts = planned["flash"]["parts"].as_array().unwrap();
        let planned_bytes = &parts.iter().find(|part| part["name"] == "model").unwrap()["bytes"];
        assert_eq!((&planned["weights"], planned_bytes), (&json!(word), &converted["bytes"]));
    }
}

/// A tied and an untied model, with a tokenizer and without.
#[test]
fn compare_and_plan_name_the_formats_and_bytes_that_convert_writes() {
    let folder = tempfile::tempdir().unwrap();
    let chars = folder.path().join("chars.json");
    let letters: Vec<char> = ('A'..='Z').chain('a'..='z').collect();
    fs::write(&chars, json!(letters).to_string()).unwrap();
    let (with, without) = (["--tokenizer", chars.to_str().unwrap()], ["--no-tokenizer"]);
    for model in ["hf-tied", "hf-untied-ragged"] {
        assert_agreement(model, &with, &NAMED);
        assert_agreement(model, &without, &NAMED);
    }
    assert_agreement("hf-tied", &with, &BY_BUDGET);
    assert_agreement("hf-untied-ragged", &without, &BY_BUDGET);
}

/// The tokenizer is within the budget.
#[test]
fn a_budget_in_bytes_is_that_of_the_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let blob = folder.path().join("a.blob");
    let model = fixtures::bundled("shakespeare-char");
    let convert = |weights: &str| {
        let words = ["convert", model.to_str().unwrap(), "-o", blob.to_str().unwrap(), "--weights", weights];
        let text = folder.path().join("text.txt");
        fs::write(&text, &fixtures::as_you_like_it()[..200]).unwrap();
        let value = run("convert", 0, &[words.as_slice(), &["--calibrate", text.to_str().unwrap()]].concat());
        (value["bytes"].as_u64().unwrap(), value["tokenizer_bytes"].as_u64().unwrap())
    };
    let (q4, tokenizer_bytes) = convert("q4");
    let (auto, _) = convert(&format!("auto:{}", q4 - 1));
    assert!(tokenizer_bytes > 0 && auto < q4 && auto > q4 - 20_000, "{auto} {q4}");
}

#[test]
fn a_budget_beyond_8_bits_leaves_8_bits() {
    let folder = tempfile::tempdir().unwrap();
    let blob = folder.path().join("a.blob");
    let model = fixtures::path("hf-tied");
    let bits = |weights: &str| {
        let words = ["convert", model.to_str().unwrap(), "-o", blob.to_str().unwrap(), "--weights", weights];
        run("convert", 0, &words)["bits_per_weight"].clone()
    };
    assert_eq!([bits("auto:20bpw"), bits("auto:10M")], [bits("q8"), bits("q8")]);
}

#[test]
fn a_blob_has_its_formats() {
    let folder = tempfile::tempdir().unwrap();
    let blob = folder.path().join("a.blob");
    let blob = blob.to_str().unwrap();
    run("convert", 0, &["convert", fixtures::path("hf-tied").to_str().unwrap(), "-o", blob]);
    for option in [["--weights", "q4"], ["--calibrate", "none"]] {
        let error = run("error", 2, &[["plan", blob, "--board", "microbit"].as_slice(), &option].concat());
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("--weights and --calibrate are for a checkpoint"), "{message}");
    }
}
