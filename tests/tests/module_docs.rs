//! Every file of Rust opens with what it is for, and a reader follows a token through few of core's.

use std::fs;
use std::path::Path;

#[test]
fn every_file_says_what_it_is_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut folders, mut files) =
        (["core", "host-cli", "firmware-example", "tests"].map(|name| root.join(name)).to_vec(), 0);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let says = text.strip_prefix("//! ").is_some_and(|text| text.starts_with(|c: char| !c.is_whitespace()));
                assert!(says, "{} does not open with //! and what it is for", path.display());
                files += 1;
            }
        }
    }
    assert!(files > 200, "{files}");
}

#[test]
fn one_token_s_way_is_short() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src");
    let docs = fs::read_to_string(source.join("lib.rs")).unwrap();
    let way = docs.split_once("//! # One token's way\n").unwrap().1;
    let steps =
        way.lines().filter(|line| line.starts_with("//! ") && line[4..].starts_with(|c: char| c.is_ascii_digit()));
    let files: Vec<_> =
        steps.flat_map(|line| line.split('`').skip(1).step_by(2)).filter(|name| name.ends_with(".rs")).collect();
    // Tests are nothing that a token goes through.
    let code = |file: &&str| {
        let text = fs::read_to_string(source.join(file)).expect(file);
        text.split("#[cfg(test)]\nmod tests {").next().unwrap().lines().count()
    };
    let lines: usize = files.iter().map(code).sum();
    assert!((20..=25).contains(&files.len()) && lines <= 4000, "{} files, {lines} lines", files.len());
}
