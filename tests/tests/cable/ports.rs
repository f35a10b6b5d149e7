//! Ports that are none, or have no board: one line says so.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use emberlm_core::format::Format;
use emberlm_tests::{blobs, fixtures};
use tempfile::TempDir;

use crate::common::run;
use crate::terminal::Terminal;

fn blob(folder: &TempDir) -> PathBuf {
    let blob = folder.path().join("model.blob");
    fs::write(&blob, &*blobs::of_checkpoint(&fixtures::path("hf-tied"), Format::Q8, None)).unwrap();
    blob
}

/// The refusal's kind and message.
fn refusal(blob: &Path, port: &Path, tokens: &Path) -> (String, String) {
    let args = ["device", "score", blob.to_str().unwrap(), "--port", port.to_str().unwrap()];
    let error = run("error", 2, &[&args, ["--tokens", tokens.to_str().unwrap()].as_slice()].concat());
    let of = |key| error["error"][key].as_str().unwrap().to_owned();
    assert!(!of("message").contains('\n'), "{error}");
    (of("kind"), of("message"))
}

#[test]
fn what_is_no_port_or_has_no_board_is_named_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let (blob, tokens) = (blob(&folder), folder.path().join("tokens.json"));
    fs::write(&tokens, "[1, 2, 3]").unwrap();
    let file = folder.path().join("file");
    File::create(&file).unwrap();
    let silent = Terminal::new();
    for (port, kind, reason) in [
        (file.as_path(), "port", "file: no serial port: it is a regular file"),
        (folder.path(), "port", "no serial port: it is a folder"),
        (&folder.path().join("none"), "port", "the serial port cannot be opened: No such file"),
        (&silent.path, "no_answer", "no board answers within 6 s"),
    ] {
        let (have, message) = refusal(&blob, port, &tokens);
        assert!(have == kind && message.contains(reason), "{have}: {message}");
    }
}

#[test]
fn a_board_is_reached_one_way() {
    for words in [
        &["device", "console"][..],
        &["device", "score", "model.blob", "--prompt", "x"],
        &["device", "score", "model.blob", "--prompt", "x", "--port", "p", "--board", "mps2-an386"],
        &["device", "score", "model.blob", "--prompt", "x", "--port", "p", "--card"],
        &["device", "console", "--port", "p", "--firmware", "f"],
        &["device", "console", "--port", "p", "--baud", "0"],
    ] {
        assert_eq!(run("error", 2, words)["error"]["kind"], "usage", "{words:?}");
    }
}
