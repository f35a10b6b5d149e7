//! What the fuzzers start from comes to something, and what they found stays fixed.

use std::fs;
use std::path::{Path, PathBuf};

use emberlm_tests::hostile::TARGETS;

/// The files of a target in `tests/fuzz/KIND`.
fn files(kind: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(target);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.expect("a readable folder").path()).collect()
}

#[test]
fn every_seed_comes_to_something() {
    for target in TARGETS {
        let seeds = files("seeds", target.name);
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for seed in seeds {
            let bytes = fs::read(&seed).expect("a readable file");
            assert!((target.run)(&bytes), "{} comes to nothing", seed.display());
        }
    }
}

#[test]
fn what_was_found_stays_fixed() {
    for target in TARGETS {
        for input in files("found", target.name) {
            println!("{}", input.display());
            (target.run)(&fs::read(&input).expect("a readable file"));
        }
    }
}

#[test]
fn every_target_has_a_fuzzer_and_every_fuzzer_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/targets");
    let fuzzers = fs::read_dir(folder).expect("the fuzzers").map(|entry| entry.expect("a readable folder").path());
    let mut fuzzers: Vec<String> =
        fuzzers.map(|path| path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned()).collect();
    fuzzers.sort();
    let mut targets = TARGETS.map(|target| target.name.to_owned());
    targets.sort();
    assert_eq!(fuzzers, targets);
}
