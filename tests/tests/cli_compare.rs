//! `emberlm compare`, run as people run it.

mod common;

use std::fs;

use common::{command, run};
use emberlm_core::config::Activations;
use emberlm_core::format::Format;
use emberlm_core::kv_cache::KvType;
use emberlm_tests::fixtures;
use serde_json::{Value, json};

fn char_model() -> String {
    fixtures::bundled("shakespeare-char").to_str().unwrap().to_owned()
}

/// The first `n` bytes of the bundled play.
fn play(n: usize) -> String {
    fixtures::as_you_like_it()[..n].to_owned()
}

/// Compares with weights rounded to the nearest.
fn compare(code: i32, args: &[&str]) -> Value {
    let schema = if code == 0 { "compare" } else { "error" };
    run(schema, code, &[&["compare", &char_model(), "--calibrate", "none"], args].concat())
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn a_row_is_what_verify_says_of_the_blob() {
    let (play, folder) = (play(600), tempfile::tempdir().unwrap());
    let blob = folder.path().join("q8.blob");
    let blob = blob.to_str().unwrap();
    let compared = compare(0, &["--weights", "f32,q8", "--prompt", &play]);
    assert_eq!((&compared["checkpoint"], &compared["tokens_scored"]), (&json!(char_model()), &json!(599)));
    let converted = run("convert", 0, &["convert", &char_model(), "-o", blob, "--calibrate", "none"]);
    let verified = &run("verify", 0, &["verify", &char_model(), blob, "--prompt", &play])["results"][0];
    let row = &compared["results"][1];
    assert_eq!((&row["weights"], &row["activations"], &row["kv"]), (&json!("q8"), &json!("i16"), &json!("f32")));
    assert_eq!((&row["bytes"], &row["bits_per_weight"]), (&converted["bytes"], &converted["bits_per_weight"]));
    for key in ["delta_nll", "delta_nll_stderr", "kl_mean", "kl_p99", "kl_max", "top1_agreement"] {
        assert_eq!(row[key], verified[key], "{key}");
    }
    let (f32_rms, q8_rms) =
        (number(&compared["results"][0], "target_probability_rms"), number(row, "target_probability_rms"));
    assert!(f32_rms < 1e-5 && (1e-4..0.05).contains(&q8_rms), "{f32_rms} {q8_rms}");
}

#[test]
fn every_combination_has_a_row_in_the_order_given() {
    let activations = Activations::ALL.map(Activations::name);
    let kv_types = KvType::ALL.map(KvType::name);
    let args = ["--weights", "q8,f32", "--activations", &activations.join(","), "--kv", &kv_types.join(",")];
    let value = compare(0, &[args.as_slice(), &["--prompt", &play(200)]].concat());
    let names = |row: &Value| ["weights", "activations", "kv"].map(|key| row[key].as_str().unwrap().to_owned());
    let rows: Vec<[String; 3]> = value["results"].as_array().unwrap().iter().map(names).collect();
    let expected = ["q8", "f32"].into_iter().flat_map(|weights| {
        let with = move |activations| kv_types.map(|kv| [weights, activations, kv].map(String::from));
        activations.into_iter().flat_map(with)
    });
    assert_eq!(rows, expected.collect::<Vec<_>>());
}

#[test]
fn more_bits_cost_less_divergence() {
    let value = compare(0, &["--prompt", &play(1000)]);
    let rows = value["results"].as_array().unwrap();
    assert_eq!(rows.len(), Format::ALL.len());
    let mut by_bits: Vec<(f64, f64)> =
        rows.iter().map(|row| (number(row, "bits_per_weight"), number(row, "kl_mean"))).collect();
    by_bits.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(by_bits.is_sorted_by(|a, b| a.0 < b.0 && a.1 > b.1), "{by_bits:?}");
}

#[test]
fn parts_of_the_model_may_have_formats_of_their_own() {
    let value = compare(0, &["--weights", "q4,q4+head=q8,q4+head=q8+embeddings=q8", "--prompt", &play(600)]);
    let rows = value["results"].as_array().unwrap();
    assert_eq!(rows[2]["weights"], json!("q4+head=q8+embeddings=q8"));
    assert!(rows.is_sorted_by(|a, b| number(a, "bytes") < number(b, "bytes") && number(a, "kl_mean") > number(b, "kl_mean")));
}

#[test]
fn calibration_serves_every_format() {
    let (play, args) = (play(1000), ["--weights", "q5,q4", "--prompt"]);
    let nearest = compare(0, &[args.as_slice(), &[&play]].concat());
    let calibrated = run("compare", 0, &[["compare", &char_model()].as_slice(), &args, &[&play]].concat());
    for (nearest, calibrated) in
        nearest["results"].as_array().unwrap().iter().zip(calibrated["results"].as_array().unwrap())
    {
        assert_eq!(nearest["bytes"], calibrated["bytes"]);
        assert!(number(calibrated, "kl_mean") < 0.6 * number(nearest, "kl_mean"), "{nearest} {calibrated}");
    }
}

#[test]
fn the_first_windows_alone() {
    let (play, args) = (play(1000), ["--weights", "q8", "--max-windows", "2", "--prompt"]);
    let first = compare(0, &[args.as_slice(), &[&play]].concat());
    let alone = compare(0, &["--weights", "q8", "--prompt", &play[..257]]);
    assert_eq!(first, alone);
    let evaluated = run("eval", 0, &["eval", &char_model(), "--max-windows", "2", "--prompt", &play]);
    assert_eq!((&evaluated["tokens_scored"], &evaluated["tokens_skipped"]), (&json!(256), &json!(744)));
}

#[test]
fn tokens_in_place_of_text() {
    let (play, folder) = (play(300), tempfile::tempdir().unwrap());
    let ids = run("tokenize", 0, &["tokenize", &play, "--tokenizer", &char_model()])["ids"].clone();
    let file = folder.path().join("tokens.json");
    fs::write(&file, ids.to_string()).unwrap();
    let tokens = ["--weights", "q8", "--convention", "disjoint", "--tokens", file.to_str().unwrap()];
    assert_eq!(compare(0, &tokens), compare(0, &["--weights", "q8", "--prompt", &play, "--threads", "1"]));
}

#[test]
fn the_table_for_people_and_the_one_for_programs() {
    let (model, play) = (char_model(), play(300));
    let args = ["compare", &model, "--weights", "f32,q8", "--calibrate", "none", "--prompt", &play];
    let value = run("compare", 0, &args);
    let print = |more: &[&str]| {
        let output = command().args(args).args(more).assert().success().get_output().stdout.clone();
        String::from_utf8(output).unwrap()
    };
    let csv = print(&["--csv"]);
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let keys = lines.next().unwrap();
    assert_eq!(keys.len(), value["results"][0].as_object().unwrap().len());
    for (line, row) in lines.by_ref().zip(value["results"].as_array().unwrap()) {
        for (key, field) in keys.iter().zip(line) {
            match row[key].as_str() {
                Some(word) => assert_eq!(field, word),
                None => assert_eq!(field.parse::<f64>().unwrap(), number(row, key), "{key}"),
            }
        }
    }
    assert_eq!(csv.lines().count(), 3);
    let table = print(&[]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].contains("299 tokens scored, 1 skipped; disjoint, n_ctx 128, stride 128"), "{table}");
    assert!(lines[1].starts_with("weights  activations  kv cache") && lines[3].starts_with("q8 "), "{table}");
    assert!(lines[1..].iter().all(|line| line.chars().count() == lines[1].chars().count()), "{table}");
}

#[test]
fn a_tokenizer_is_named_once() {
    let (model, folder) = (char_model(), tempfile::tempdir().unwrap());
    let ids = folder.path().join("ids.json");
    fs::write(&ids, "[1, 2, 3]").unwrap();
    // What its files ask for and is not done is said once too.
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    for file in ["chars.json", "config.json", "model.safetensors"] {
        fs::copy(fixtures::bundled("shakespeare-char").join(file), other.join(file)).unwrap();
    }
    fs::write(other.join("added_tokens.json"), "{}").unwrap();
    let (ids, other) = (ids.to_str().unwrap(), other.to_str().unwrap());
    for model in [model.as_str(), other] {
        for input in [["--prompt", "to be"].as_slice(), &["--tokens", ids], &["--prompt", "to be", "--no-tokenizer"]] {
            let args = [&["compare", model, "--weights", "q8", "--calibrate", "none"], input].concat();
            let stderr = command().args(args).assert().success().get_output().stderr.clone();
            let stderr = String::from_utf8(stderr).unwrap();
            let mut lines: Vec<&str> = stderr.lines().collect();
            let about = |what: &str| lines.iter().filter(|line| line.starts_with(what)).count();
            let unread = usize::from(model == other);
            assert_eq!(
                (about("tokenizer "), about("added_tokens.json is not read")),
                (1, unread),
                "{input:?}: {stderr}"
            );
            let n_lines = lines.len();
            lines.sort_unstable();
            lines.dedup();
            assert_eq!(lines.len(), n_lines, "{stderr}");
        }
    }
}

#[test]
fn one_token_costs_nothing_that_is_known() {
    let value = run("compare", 2, &["compare", &char_model(), "--weights", "q8", "--prompt", "a"]);
    assert_eq!(value["error"]["kind"], json!("nothing_to_score"));
    assert_eq!([&value["results"][0]["kl_mean"], &value["results"][0]["target_probability_rms"]], [&Value::Null; 2]);
}

#[test]
fn what_cannot_be_compared_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.txt");
    fs::write(&empty, "").unwrap();
    let empty = empty.to_str().unwrap();
    for (args, kind, message) in [
        (["--weights", "q8,q9", "--prompt", "to be"], "usage", "\"q9\" is none of f32, "),
        (
            ["--weights", "q8+tail=q8", "--prompt", "to be"],
            "usage",
            "\"tail=q8\" is none of head=, embeddings= and vectors=FORMAT",
        ),
        (["--weights", "q8,f32,q8", "--prompt", "to be"], "usage", "--weights names q8 twice"),
        (["--activations", "i16,i16", "--prompt", "to be"], "usage", "--activations names i16 twice"),
        (["--kv", "f64", "--prompt", "to be"], "usage", "\"f64\" is none of f32"),
        (
            ["--weights", "q4+head=q8+embeddings=q6", "--prompt", "to be"],
            "usage",
            "q4+head=q8+embeddings=q6: the head is tied",
        ),
        (["--weights", "q8", "--prompt", ""], "input", "the prompt is empty"),
        (["--weights", "q8", "--text", empty], "input", " is empty"),
        (["--weights", "q8", "--text", "no-such-file"], "io", "no-such-file: No such file or directory"),
    ] {
        let error = compare(2, &args)["error"].clone();
        let said = error["message"].as_str().unwrap();
        assert!(error["kind"] == json!(kind) && said.contains(message), "{error}");
    }
    let error = compare(2, &["--csv", "--prompt", "to be"])["error"].clone();
    assert_eq!(error["kind"], json!("usage"), "{error}");
}
