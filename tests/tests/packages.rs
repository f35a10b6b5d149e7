//! What is published: packages that hold what they need, and say what the registry asks for; and a program that needs no
//! checkout.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use emberlm_core::blob::{ARITHMETIC, FORMAT_VERSION};
use emberlm_tests::document::Document;
use serde_json::Value;
use toml::Table;

/// Those that the registry gets, in the order in which it gets them.
const PUBLISHED: [(&str, &str); 3] =
    [("emberlm-core", "core"), ("emberlm-request", "firmware-example/request"), ("emberlm", "host-cli")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).current_dir(root()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_registry_is_told_what_it_asks_for() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--offline", "--no-deps", "--format-version", "1"])).unwrap();
    let mut published = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        published.insert(name);
        for key in ["description", "license", "repository", "rust_version"] {
            assert!(package[key].is_string(), "{name} has no {key}");
        }
        for (key, most) in [("keywords", 5), ("categories", 5)] {
            let n = package[key].as_array().unwrap().len();
            assert!((1..=most).contains(&n), "{name} has {n} {key}");
        }
        for dependency in package["dependencies"].as_array().unwrap() {
            let is_ours = dependency["path"].is_string() && dependency["kind"].is_null();
            assert!(!is_ours || dependency["req"] != "*", "{name} names no version of {}", dependency["name"]);
        }
    }
    assert_eq!(published, PUBLISHED.into_iter().map(|(name, _)| name).collect());
}

#[test]
fn packages_hold_their_licences_and_what_they_need() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().to_str().unwrap();
    let mut package = vec!["package", "--quiet", "--offline", "--allow-dirty", "--no-verify", "--target-dir", target];
    package.extend(PUBLISHED.iter().flat_map(|(name, _)| ["-p", name]));
    cargo(&package);
    for (name, place) in PUBLISHED {
        let packed = folder.path().join(format!("package/{name}-{}.crate", env!("CARGO_PKG_VERSION")));
        assert!(fs::metadata(&packed).unwrap().len() < 10 << 20, "{name} is more than the registry takes");
        let unpacked = Command::new("tar").arg("-xzf").arg(&packed).current_dir(folder.path()).status().unwrap();
        assert!(unpacked.success());
        let inside = folder.path().join(format!("{name}-{}", env!("CARGO_PKG_VERSION")));
        let mut files = vec!["LICENSE-APACHE", "LICENSE-MIT"];
        files.extend(if name == "emberlm-core" { &["FORMAT.md", "README.md"][..] } else { &[] });
        for file in files {
            let (have, want) = (fs::read(inside.join(file)), fs::read(root().join(place).join(file)));
            assert!(have.unwrap() == want.unwrap(), "{file} of {name}");
        }
        if name == "emberlm" {
            assert!(fs::read(inside.join("README.md")).unwrap() == fs::read(root().join("README.md")).unwrap());
            let model = "shakespeare-char/model.safetensors";
            let (have, want) =
                (fs::read(inside.join("bundled").join(model)), fs::read(root().join("models").join(model)));
            assert!(have.unwrap() == want.unwrap(), "the bundled model");
        }
    }
}

/// A copy of the program far from any checkout.
fn installed() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("emberlm");
    fs::copy(env!("CARGO_BIN_EXE_emberlm-under-test"), &program).unwrap();
    (folder, program)
}

/// It tells the demonstration with the models and the board's programs that it brings.
#[test]
fn the_program_brings_the_bundled_models_and_programs() {
    let (folder, program) = installed();
    for (model, tokens) in [("shakespeare-char", "64"), ("stories260K", "1024")] {
        let output = assert_cmd::Command::new(&program)
            .current_dir(folder.path())
            .args(["demo", "--tokens", tokens, "--model", model, "--json"])
            .assert()
            .code(0)
            .get_output()
            .clone();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        common::check("demo", &told);
        assert_eq!(told["equals_host"], true, "{told}");
        assert_eq!(told["device"]["nll_bits"], told["blob"]["nll_bits"]);
        assert_eq!(told["story"].is_string(), model == "stories260K");
    }
    let blob = root().join("firmware-example/start/model.blob");
    let refused = assert_cmd::Command::new(&program)
        .current_dir(folder.path())
        .args([
            "device",
            "score",
            blob.to_str().unwrap(),
            "--board",
            "mps2-an500",
            "--prompt",
            "all the world",
            "--json",
        ])
        .assert()
        .code(2)
        .get_output()
        .clone();
    let refused: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert!(refused["error"]["message"].as_str().unwrap().contains("--firmware"), "{refused}");
}

/// The scoring program that is inside says what one does that is built here, but for what its code takes.
#[test]
fn the_bundled_firmware_does_what_a_new_one_does() {
    let bundled = root().join("host-cli/bundled/mps2-an386-score.elf");
    let blob = root().join("firmware-example/start/model.blob");
    let score = |firmware: &[&str]| {
        let how = ["device", "score", blob.to_str().unwrap(), "--board", "mps2-an386", "--prompt", "all the world"];
        common::run("device_score", 0, &[&how[..], firmware].concat())
    };
    let (old, new) = (score(&["--firmware", bundled.to_str().unwrap()]), score(&[]));
    for key in ["nll_bits", "tokens_scored", "model_crc32", "ram_bytes", "kv"] {
        assert!(!old[key].is_null(), "{key} of {old}");
        assert_eq!(old[key], new[key], "{key}: run scripts/bundle");
    }
}

/// The oldest compiler is said by every manifest, by README and by what public machines run; the changelog says which blobs
/// are read.
#[test]
fn what_is_promised_is_said_alike() {
    let manifest: Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let rust = manifest["workspace"]["package"]["rust-version"].as_str().unwrap().to_owned();
    for entry in fs::read_dir(root().join("firmware-example")).unwrap() {
        let path = entry.unwrap().path().join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let package: Table = text.parse().unwrap();
        if let Some(version) = package["package"].get("rust-version").and_then(|version| version.as_str()) {
            assert_eq!(version, rust, "{}", path.display());
        }
    }
    for (file, words) in [
        ("README.md", format!("Rust {rust} or later")),
        ("core/README.md", format!("Rust {rust} or later")),
        (".github/workflows/ci.yml", format!("RUST: \"{rust}\"")),
        ("CHANGELOG.md", format!("Format {FORMAT_VERSION}, arithmetic {ARITHMETIC}.")),
        ("CHANGELOG.md", format!("## {}", env!("CARGO_PKG_VERSION"))),
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(&words), "{file} does not say `{words}`");
    }
}

/// What contributors are told to run is there.
#[test]
fn the_commands_of_contributing_are_there() {
    let commands = Document::open("CONTRIBUTING.md").blocks("sh").join("\n");
    let programs: Vec<&str> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(programs, ["scripts/demo", "scripts/test", "scripts/test-all"]);
    assert!(programs.iter().all(|program| root().join(program).exists()));
}
