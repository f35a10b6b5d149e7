//! `emberlm bench`: how fast a blob is here.

mod common;

use std::path::PathBuf;

use common::{command, run};
use emberlm_tests::fixtures;
use serde_json::Value;
use tempfile::TempDir;

/// The bundled Llama as a blob.
fn blob() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("stories.blob");
    let path = path.to_str().unwrap().to_owned();
    let checkpoint = fixtures::bundled("stories260K").join("stories260K.bin");
    run(
        "convert",
        0,
        &["convert", checkpoint.to_str().unwrap(), "-o", &path, "--weights", "q8", "--calibrate", "none"],
    );
    (folder, path)
}

#[test]
fn rates_are_of_what_was_asked_for() {
    let (_folder, blob) = blob();
    let crc = &run("inspect", 0, &["inspect", &blob])["model_crc32"];
    for threads in [None, Some("1"), Some("3")] {
        let mut args = vec!["bench", &blob, "--prompt", "40", "--generate", "7", "--rounds", "3", "--kv", "i8"];
        args.extend(threads.iter().flat_map(|threads| ["--threads", threads]));
        let report = run("bench", 0, &args);
        assert_eq!((&report["rounds"], &report["kv"], &report["model_crc32"]), (&3.into(), &"i8".into(), crc));
        if let Some(threads) = threads {
            assert_eq!(report["threads"], threads.parse::<u64>().unwrap());
        }
        for (part, tokens) in [("prompt", 40), ("generate", 7)] {
            let rate = &report[part];
            let [least, median, most] = ["least", "tokens_per_second", "most"].map(|key| rate[key].as_f64().unwrap());
            assert!(rate["tokens"] == tokens && least <= median && median <= most, "{rate}");
            // Five layers of 64 wide with half as many keys and values, gated MLPs of 172, and a head of 512 tokens.
            let layers = 5 * (64 * (2 * 64 + 2 * 32) + 3 * 64 * 172);
            let macs = if part == "prompt" { layers } else { layers + 512 * 64 };
            let off = rate["gigamacs_per_second"].as_f64().unwrap() * 1e9 / median / f64::from(macs) - 1.0;
            assert!(off.abs() < 1e-9, "{rate}: {macs}");
        }
        assert_eq!(report["prompt"]["gigabytes_per_second"], Value::Null);
        assert!(report["generate"]["gigabytes_per_second"].as_f64().unwrap() > 0.0);
    }
    let portable = run("bench", 0, &["bench", &blob, "--prompt", "9", "--generate", "1", "--kernel", "portable"]);
    assert_eq!((&portable["kernel"], &portable["register_gigamacs_per_second"]), (&"portable".into(), &Value::Null));
    let alone = run("bench", 0, &["bench", &blob, "--prompt", "0", "--generate", "2", "--rounds", "1"]);
    assert_eq!((&alone["prompt"]["tokens_per_second"], &alone["prompt"]["tokens"]), (&Value::Null, &0.into()));
    command().args(["bench", &blob, "--rounds", "1"]).assert().success();
}

#[test]
fn what_cannot_be_timed_is_refused() {
    let (_folder, blob) = blob();
    for (args, says) in [
        (["--prompt", "500", "--generate", "13"], "need a context of 513 tokens, the model has 512"),
        (["--prompt", "0", "--generate", "0"], "leave nothing to time"),
        (["--rounds", "0", "--threads", "1"], "--rounds"),
        (["--kernel", "abacus", "--threads", "1"], "which are what this processor can run"),
    ] {
        let value = run("error", 2, &[&["bench", &blob][..], &args].concat());
        assert!(value["error"]["message"].as_str().unwrap().contains(says), "{value}");
    }
}
