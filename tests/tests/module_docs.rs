//! Every file of Rust opens with what it is for.

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
