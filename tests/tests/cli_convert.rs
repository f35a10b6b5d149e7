//! What `emberlm convert` tells people of a conversion.

mod common;

use std::collections::BTreeMap;

use common::{command, run};
use emberlm::report::figures;
use emberlm::verbs;
use emberlm_tests::fixtures;
use serde_json::Value;

/// What it says, and what it says to machines.
fn convert(weights: &str, more: &[&str]) -> (String, Value, String) {
    let (folder, model) = (tempfile::tempdir().unwrap(), fixtures::path("hf-tied"));
    let (model, blob) = (model.to_str().unwrap(), folder.path().join("model.blob"));
    let blob = blob.to_str().unwrap();
    let args = [&["convert", model, "-o", blob, "--weights", weights], more].concat();
    let output = command().args(&args).assert().success().get_output().clone();
    let value = run("convert", 0, &args);
    (String::from_utf8(output.stdout).unwrap(), value, format!("{model} {blob}"))
}

/// What stands behind each name; a line without one belongs to that before it.
fn lines(text: &str) -> BTreeMap<String, Vec<String>> {
    let (mut all, mut name) = (BTreeMap::<String, Vec<String>>::new(), String::new());
    for line in text.lines().filter(|line| line.len() > 11) {
        let (start, rest) = line.split_at(11);
        if !start.trim().is_empty() {
            name = start.trim().to_owned();
        }
        all.entry(name.clone()).or_default().push(rest.to_owned());
    }
    all
}

fn tensors<'v>(value: &'v Value, change: &str) -> Vec<&'v Value> {
    value["tensors"].as_array().unwrap().iter().filter(|tensor| tensor["change"] == change).collect()
}

#[test]
fn a_conversion_is_told_in_a_few_lines() {
    let (text, value, paths) = convert("q4", &[]);
    let said = lines(&text);
    let bytes = figures::count(value["bytes"].as_u64().unwrap());
    assert!(said["blob"][0].contains(&format!(": {bytes} bytes")), "{text}");
    assert!(
        said["weights"][0].starts_with(&format!("q4, {:.2} bits a weight", value["bits_per_weight"].as_f64().unwrap()))
    );
    assert_eq!(said["crc32"], [value["model_crc32"].as_str().unwrap()]);
    // The three that lost most, the worst first.
    let mut rounded = tensors(&value, "rounded");
    rounded.sort_by(|a, b| b["relative_error"].as_f64().unwrap().total_cmp(&a["relative_error"].as_f64().unwrap()));
    assert_eq!(said["errors"].len(), 4, "{text}");
    for (line, tensor) in said["errors"].iter().zip(&rounded[..3]) {
        let (name, share) = (tensor["name"].as_str().unwrap(), 100.0 * tensor["relative_error"].as_f64().unwrap());
        assert!(line.contains(&format!(" in {name} (")) && line.contains(&format!("{share:.3} %")), "{line}");
    }
    assert!(said["errors"][3].contains(&format!("in {} more tensors", rounded.len() - 3)), "{text}");
    // What calibration moved is no error.
    let adjusted = tensors(&value, "adjusted");
    assert!(adjusted.iter().all(|tensor| tensor["name"].as_str().unwrap().ends_with(".bias")) && !adjusted.is_empty());
    assert!(said["adjusted"][0].starts_with(&format!("{} biases", adjusted.len())), "{text}");
    assert!(said["took"][0].strip_suffix(" s").unwrap().parse::<f64>().unwrap() > 0.0);
    // What to do next is what the program understands.
    assert_eq!(said["next"].len(), 2);
    assert!(said["next"][0].starts_with(&format!("emberlm verify {paths} ")), "{text}");
    for line in &said["next"] {
        assert!(verbs::command().try_get_matches_from(line.split_whitespace()).is_ok(), "{line}");
    }
}

#[test]
fn details_have_a_line_for_each_tensor() {
    let (text, value, _) = convert("q4", &["-v"]);
    for tensor in value["tensors"].as_array().unwrap() {
        let (name, change) = (tensor["name"].as_str().unwrap(), tensor["change"].as_str().unwrap());
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{name}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((words[1], words[4]), (tensor["format"].as_str().unwrap(), change), "{line}");
        let share = format!("{:.3}%", 100.0 * tensor["relative_error"].as_f64().unwrap());
        assert_eq!(words[6], if change == "rounded" { &share } else { "-" }, "{line}");
    }
}

#[test]
fn what_is_not_rounded_has_no_error() {
    let (text, value, _) = convert("f32", &[]);
    assert_eq!(tensors(&value, "kept").len(), value["tensors"].as_array().unwrap().len());
    let said = lines(&text);
    assert!(!said.contains_key("errors") && !said.contains_key("adjusted"), "{text}");
}
