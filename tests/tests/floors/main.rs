//! The floors of core and of the host's library: no file imports from a floor that is not below its own, or through the
//! crate's root, and no files import each other, over however many others.
//!
//! What is read is the files' syntax, without what is compiled for tests alone. `lib.rs` stands above all floors.

mod made_up;
mod order;
mod paths;
mod tree;

use std::fs;
use std::path::Path;

use order::{Floors, complaints, faults};
use tree::Crate;

const CORE: &Floors = &[
    &["features", "part", "crc"],
    &["error"],
    &["config", "format"],
    &["ops"],
    &["kernel", "team"],
    &["source"],
    &["blob"],
    &["model"],
    &["tokenizer", "kv_cache", "scratch", "window", "sink"],
    &["loss"],
    &["sample"],
    &["planner"],
    &["session"],
    &["score", "generate"],
    &["any_error", "guide"],
];

const HOST: &Floors = &[
    &["ground"],
    &["text", "checkpoint"],
    &["reference", "engine"],
    &["convert"],
    &["score"],
    &["report"],
    &["plan", "device"],
    &["pack", "page"],
    &["verbs"],
];

/// Imports of core that are still to go, the importing file first. The list may only shrink.
const CORE_STILL_HAS: &[(&str, &str)] = &[];

/// What command lines and terminals are made of.
const OF_THE_COMMAND: &[&str] = &["clap", "console", "indicatif", "rustyline", "IsTerminal"];

/// The package whose files lie in that folder of the repository.
fn files_of(package: &str) -> Crate {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src");
    Crate::read(|file| fs::read_to_string(root.join(file)).ok())
}

fn check(package: &str, floors: &Floors, exceptions: &[(&str, &str)]) {
    let complaints = complaints(&faults(&files_of(package), floors), exceptions);
    assert!(complaints.is_empty(), "in {package}/src:\n{}", complaints.join("\n"));
}

#[test]
fn core_imports_downward() {
    check("core", CORE, CORE_STILL_HAS);
}

#[test]
fn the_hosts_library_imports_downward() {
    check("host-cli", HOST, &[]);
}

#[test]
fn nothing_below_verbs_knows_of_command_lines_or_terminals() {
    let files = files_of("host-cli");
    let naming = files.naming(OF_THE_COMMAND);
    let below: Vec<_> = naming.iter().filter(|file| !file.starts_with("verbs/")).collect();
    assert!(below.is_empty() && !naming.is_empty(), "{OF_THE_COMMAND:?} are named in {below:?}");
}
