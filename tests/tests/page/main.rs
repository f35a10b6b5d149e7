//! Pages with a model inside: what they say is what this machine says.

#[path = "../common/mod.rs"]
mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use emberlm_tests::fixtures::bundled;
use serde_json::Value;
use tempfile::TempDir;

/// Longer than the bundled models' context, so that there are several windows.
const TEXT: &str = "Know you not, master, to some kind of men their graces serve them but as enemies? No more do yours: your \
                    virtues, gentle master, are sanctified and holy traitors to you. O, what a world is this, when what is \
                    comely envenoms him that bears it!";

fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A blob of each bundled model, and its page.
fn pages(folder: &TempDir) -> Vec<(PathBuf, PathBuf)> {
    let stories = bundled("stories260K");
    let models = [
        ("char", vec![bundled("shakespeare-char")]),
        ("bpe512", vec![bundled("shakespeare-bpe512")]),
        ("stories", vec![stories.join("stories260K.bin"), "--tokenizer".into(), stories.join("tok512.bin")]),
    ];
    let page = |(name, model): (&str, Vec<PathBuf>)| {
        let (blob, page) = (folder.path().join(format!("{name}.blob")), folder.path().join(format!("{name}.html")));
        let mut convert = vec!["convert", "-o", word(&blob), "--calibrate", "none"];
        convert.extend(model.iter().map(|path| word(path)));
        common::run("convert", 0, &convert);
        let written = common::run("page", 0, &["page", word(&blob), "-o", word(&page), "--prompt", TEXT]);
        assert_eq!(written["blob_bytes"].as_u64().unwrap(), fs::metadata(&blob).unwrap().len());
        assert_eq!(written["output_bytes"].as_u64().unwrap(), fs::metadata(&page).unwrap().len());
        (blob, page)
    };
    models.into_iter().map(page).collect()
}

#[test]
fn a_page_replaces_a_page_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (page, other) = (folder.path().join("a.html"), folder.path().join("b.html"));
    for _ in 0..2 {
        common::run("page", 0, &["page", "-o", word(&page)]);
    }
    fs::write(&other, "<!doctype html><title>mine</title>").unwrap();
    let refused = common::run("error", 2, &["page", "-o", word(&other)]);
    assert!(refused["error"]["message"].as_str().unwrap().contains("--force"), "{refused}");
    assert_eq!(fs::read_to_string(&other).unwrap(), "<!doctype html><title>mine</title>");
    common::run("page", 0, &["page", "-o", word(&other), "--force"]);
    let blob = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/start/model.blob");
    let inside = folder.path().join("model.blob");
    fs::copy(blob, &inside).unwrap();
    let refused = common::run("error", 2, &["page", word(&inside), "-o", word(&inside), "--force"]);
    assert!(refused["error"]["message"].is_string());
    let refused = common::run("error", 2, &["page", word(&page), "-o", word(&other)]);
    assert!(refused["error"]["message"].is_string());
}

/// By the page's own worker, with the module that is checked in.
#[test]
fn node_gets_the_hosts_bits_of_every_bundled_model() {
    let folder = tempfile::tempdir().unwrap();
    for (blob, page) in pages(&folder) {
        is_the_hosts(&blob, &page);
    }
}

/// By a module that is built here, in the place of the one that is checked in.
#[test]
fn node_gets_them_of_a_module_that_is_built_now() {
    let folder = tempfile::tempdir().unwrap();
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/web");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("web");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&package).env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
    let output =
        cargo.args(["build", "--release", "--locked", "--quiet", "--target-dir"]).arg(&target).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let built = fs::read(target.join("wasm32-unknown-unknown/release/emberlm_web.wasm")).unwrap();
    let (blob, page) = pages(&folder).swap_remove(0);
    let html = fs::read_to_string(&page).unwrap();
    let (before, rest) = html.split_once("id=\"wasm\">").unwrap();
    let after = rest.split_once("</script>").unwrap().1;
    fs::write(&page, format!("{before}id=\"wasm\">{}</script>{after}", base64(&built))).unwrap();
    is_the_hosts(&blob, &page);
}

fn is_the_hosts(blob: &Path, page: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/node.mjs");
    let output = Command::new("node").arg(script).arg(page).arg(TEXT).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (kind, kv) in said["kinds"].as_array().unwrap().iter().zip(["f32", "f16", "i8"]) {
        let host = common::run("eval", 0, &["eval", word(blob), "--prompt", TEXT, "--kv", kv]);
        assert_eq!(kind["nll_bits"], host["nll_bits"], "{} with {kv}", blob.display());
        assert_eq!(kind["n"], host["tokens_scored"], "{kv}");
        assert_eq!(kind["text"], TEXT, "{kv}");
        // What bits a byte are of.
        let bytes = host["loss"].as_f64().unwrap() * kind["n"].as_f64().unwrap()
            / (std::f64::consts::LN_2 * host["bits_per_byte"].as_f64().unwrap());
        assert_eq!(kind["scored_bytes"], bytes.round() as u64, "{kv}");
        assert_eq!(kind["self_test"], "ok", "{kv}");
    }
    let how = ["--seed", "7", "--max-tokens", "30"];
    let host = common::run("generate", 0, &[&["generate", word(blob), "--prompt", &TEXT[..20]], &how[..]].concat());
    assert_eq!(said["written"], host["text"], "{}", blob.display());
    assert!(said["refused"].as_str().is_some_and(|error| !error.is_empty()) || said["model"]["n_vocab"] == 512);
}

/// In a browser without a head, as wide as a desk's and as a phone's.
#[test]
fn chromium_shows_the_hosts_bits() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/chromium.mjs");
    for ((blob, page), width) in pages(&folder).into_iter().zip(["1000", "390", "1000"]) {
        let mut node = Command::new("node");
        node.arg(&script).arg(&page).arg(folder.path().join("profile"));
        let output = node.arg(folder.path().join("picture.png")).args([width, "dark"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        let host = common::run("eval", 0, &["eval", word(&blob), "--prompt", TEXT]);
        assert_eq!(seen["state"], "ready", "{seen}");
        assert_eq!(seen["shown"]["nll-bits"], host["nll_bits"], "{}", blob.display());
        assert_eq!(seen["shown"]["scored"], host["tokens_scored"].to_string());
        assert_eq!(seen["shown"]["loss"], format!("{:.6}", host["loss"].as_f64().unwrap()));
        assert_eq!(seen["shown"]["heat"], TEXT);
        assert_eq!(seen["said"].as_array().unwrap().len(), 0, "{seen}");
        assert_eq!(seen["overflow"], 0, "{seen}");
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |chunk: &[u8]| {
        let bits = chunk.iter().chain([0; 3].iter()).take(3).fold(0, |bits, &byte| bits << 8 | u32::from(byte));
        let digit =
            |i: usize| if i <= chunk.len() { DIGITS[(bits >> (18 - 6 * i)) as usize & 63] as char } else { '=' };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(four).collect()
}
