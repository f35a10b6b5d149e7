//! What the verbs that write do to what is there already: inputs, special files, what is the user's, and what signals leave.

#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{command, run};
use emberlm_tests::fixtures;
use serde_json::json;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_emberlm-under-test");

/// Far beyond what any run takes on a busy machine.
const PATIENT: Duration = Duration::from_secs(300);

/// A folder with a copy of a small checkpoint in `model`.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.0.path().join("model")).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(fixtures::path("hf-tied").join(file), folder.0.path().join("model").join(file)).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, contents: &str) -> String {
        fs::write(self.0.path().join(name), contents).unwrap();
        self.path(name)
    }

    /// The names in a folder of it, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.path().join(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Converts the checkpoint to `output` with `more`; what the command says of it where that fails.
    fn convert(&self, output: &str, more: &[&str]) -> Result<(), String> {
        let model = self.path("model");
        let args = ["convert", &model, "-o", &self.path(output), "--calibrate", "none", "--json"];
        said(&[args.as_slice(), more].concat())
    }
}

/// The message of a command that is refused.
fn said(args: &[&str]) -> Result<(), String> {
    let output = command().args(args).timeout(PATIENT).output().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(2) => Err(value["error"]["message"].as_str().unwrap().to_owned()),
        other => panic!("{other:?}: {value}"),
    }
}

fn refused(outcome: Result<(), String>, phrase: &str) {
    let message = outcome.expect_err(phrase);
    assert!(message.contains(phrase), "{message}");
}

#[test]
fn convert_never_replaces_what_it_reads() {
    let folder = Folder::new();
    let at = |name: &str| folder.0.path().join(name);
    folder.write("map.json", "{}");
    folder.write("book.txt", "to be read");
    folder.write("model/merges.txt", "#version: 0.2\n");
    folder.write("model/generation_config.json", "{}");
    fs::hard_link(at("model/model.safetensors"), at("hard")).unwrap();
    symlink("model/config.json", at("soft")).unwrap();
    symlink("model", at("folder")).unwrap();
    let before = fs::read(at("model/model.safetensors")).unwrap();
    for output in [
        "model/model.safetensors",
        "model/config.json",
        "model/merges.txt",
        "model/generation_config.json",
        "model/../model/./config.json",
        "folder/model.safetensors",
        "hard",
        "soft",
    ] {
        for more in [[].as_slice(), &["--force"]] {
            refused(folder.convert(output, more), "which is read");
        }
    }
    let file = folder.path("model/model.safetensors");
    refused(said(&["convert", &file, "-o", &folder.path("model/config.json"), "--force", "--json"]), "which is read");
    refused(folder.convert("map.json", &["--force", "--layout", &folder.path("map.json")]), "which is read");
    refused(folder.convert("soft", &["--force", "--config", &folder.path("soft")]), "which is read");
    let calibrated = ["convert", &file, "-o", &folder.path("book.txt"), "--force", "--json"];
    refused(said(&[&calibrated[..], &["--calibrate", &folder.path("book.txt")]].concat()), "which is read");
    let pruned = ["--prune-vocab", &folder.path("book.txt"), "--keep", "300"];
    refused(said(&[&calibrated[..], &pruned].concat()), "which is read");
    folder.write("chars.json", "[\"a\"]");
    refused(folder.convert("chars.json", &["--force", "--tokenizer", &folder.path("chars.json")]), "which is read");
    assert_eq!(fs::read(at("model/model.safetensors")).unwrap(), before);
    assert_eq!(fs::read(at("book.txt")).unwrap(), b"to be read");
    assert_eq!(folder.names("."), ["book.txt", "chars.json", "folder", "hard", "map.json", "model", "soft"]);
}

#[test]
fn what_is_no_regular_file_is_not_written() {
    let folder = Folder::new();
    let fifo = folder.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    symlink("fifo", folder.0.path().join("to-fifo")).unwrap();
    symlink("nowhere", folder.0.path().join("dangling")).unwrap();
    for (output, phrase) in [
        ("fifo", "the output is a pipe"),
        ("to-fifo", "the output is a pipe"),
        ("dangling", "a link to nowhere, which does not exist"),
        ("model", "is a folder"),
        ("new/", "is a folder"),
        ("no/such.blob", "there is no folder"),
    ] {
        for more in [[].as_slice(), &["--force"]] {
            refused(folder.convert(output, more), phrase);
        }
    }
    refused(said(&["convert", &folder.path("model"), "-o", "-", "--json"]), "standard output");
    refused(said(&["init", "--config", "nano-char", "-o", &fifo, "--force", "--json"]), "exists");
    assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
    assert_eq!(folder.names("."), ["dangling", "fifo", "model", "to-fifo"]);
}

#[test]
fn what_is_the_users_needs_force_and_what_is_protected_stays() {
    let folder = Folder::new();
    let output = folder.write("notes.md", "precious");
    refused(folder.convert("notes.md", &[]), "exists and is plain text: name another file, or replace it with --force");
    assert_eq!(fs::read(&output).unwrap(), b"precious");
    fs::set_permissions(&output, fs::Permissions::from_mode(0o600)).unwrap();
    folder.convert("notes.md", &["--force"]).unwrap();
    run("inspect", 0, &["inspect", &output]);
    assert_eq!(fs::metadata(&output).unwrap().permissions().mode() & 0o777, 0o600);
    // A blob is replaced by the next one.
    folder.convert("notes.md", &[]).unwrap();
    fs::set_permissions(&output, fs::Permissions::from_mode(0o444)).unwrap();
    refused(folder.convert("notes.md", &["--force"]), "read-only");

    symlink("real.blob", folder.0.path().join("link.blob")).unwrap();
    folder.convert("real.blob", &[]).unwrap();
    let before = fs::read(folder.path("real.blob")).unwrap();
    folder.convert("link.blob", &["--weights", "q4"]).unwrap();
    assert_ne!(fs::read(folder.path("real.blob")).unwrap(), before);
    assert!(fs::symlink_metadata(folder.path("link.blob")).unwrap().is_symlink());
}

#[test]
fn init_leaves_what_is_not_its_own() {
    let folder = Folder::new();
    let init = |output: &str, more: &[&str]| {
        said(&[&["init", "--config", "nano-char", "-o", &folder.path(output), "--json"], more].concat())
    };
    let before = fs::read(folder.path("model/model.safetensors")).unwrap();
    refused(init("model", &[]), "config.json: the output exists");
    init("new/one", &[]).unwrap();
    init("new/one", &["--seed", "1"]).unwrap();
    assert_eq!(folder.names("new/one"), ["config.json", "model.safetensors"]);
    // Training wrote the tensors anew: they are the user's.
    fs::write(folder.path("new/one/model.safetensors"), &before).unwrap();
    refused(init("new/one", &[]), "model.safetensors: the output exists and is a safetensors file");
    assert_eq!(fs::read(folder.path("new/one/model.safetensors")).unwrap(), before);
    init("new/one", &["--force"]).unwrap();
    let config = fs::read_to_string(folder.path("new/one/config.json")).unwrap();
    fs::write(folder.path("new/one/config.json"), config.replace("0.1", "0.2")).unwrap();
    refused(init("new/one", &[]), "config.json: the output exists");
    let path = folder.path("new/one/config.json");
    refused(
        said(&["init", "--config", &path, "-o", &folder.path("new/one"), "--force", "--json"]),
        "config.json, which is read",
    );
    fs::set_permissions(folder.path("new/one/model.safetensors"), fs::Permissions::from_mode(0o444)).unwrap();
    refused(init("new/one", &["--force"]), "read-only");
    assert_eq!(folder.names("new/one"), ["config.json", "model.safetensors"]);
    init("elsewhere", &[]).unwrap();
    fs::write(folder.path("elsewhere/tokenizer.json"), "{}").unwrap();
    refused(init("elsewhere", &[]), "`tokenizer.json`");
}

/// A disk that is full, as far as the program can tell: a limit of the system on what it writes.
#[test]
fn a_full_disk_leaves_nothing() {
    let folder = Folder::new();
    let limited = |args: &[&str]| {
        let script = "ulimit -f 16; exec \"$0\" \"$@\"";
        Command::new("sh").args(["-c", script, PROGRAM]).args(args).output().unwrap()
    };
    for args in [
        ["init", "--config", "nano-char", "-o", &folder.path("a/b")].as_slice(),
        &["convert", &folder.path("model"), "-o", &folder.path("blob"), "--weights", "f32", "--calibrate", "none"],
    ] {
        let output = limited(args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("File too large"), "{error}");
    }
    assert_eq!(folder.names("."), ["model"]);
}

/// Starts something that takes long, and waits until its temporary file is there.
fn started(args: &[&str], temporary: &Path, ignored: &str) -> Child {
    let script = format!("{ignored} exec \"$0\" \"$@\"");
    let mut child = Command::new("sh")
        .args(["-c", &script, PROGRAM])
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while fs::symlink_metadata(temporary).is_err() {
        assert!(start.elapsed() < PATIENT && child.try_wait().unwrap().is_none(), "no {}", temporary.display());
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn signals_leave_nothing_and_a_kill_what_the_next_run_takes_away() {
    common::hear_signals();
    let folder = Folder::new();
    let (output, temporary) =
        (folder.path("big/model"), folder.0.path().join("big/model/.model.safetensors.emberlm-part"));
    let args = ["init", "--config", "gpt2-xl", "-o", &output];
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        let mut child = started(&args, &temporary, "");
        send(signal, &child);
        assert_eq!(child.wait().unwrap().signal(), Some(number), "{signal}");
        assert_eq!(folder.names("."), ["model"], "{signal}");
    }
    let mut child = started(&args, &temporary, "");
    let busy = said(&["init", "--config", "nano-char", "-o", &output, "--json"]);
    refused(busy, "another process is writing it");
    send("KILL", &child);
    child.wait().unwrap();
    assert_eq!(folder.names("big/model"), [".model.safetensors.emberlm-part"]);
    said(&["init", "--config", "nano-char", "-o", &output, "--json"]).unwrap();
    assert_eq!(folder.names("big/model"), ["config.json", "model.safetensors"]);
}

#[test]
fn a_conversion_that_is_ended_leaves_nothing_and_one_that_may_go_on_does() {
    common::hear_signals();
    let folder = Folder::new();
    let (bundled, temporary) = (fixtures::bundled("shakespeare-char"), folder.0.path().join(".blob.emberlm-part"));
    let args = ["convert", bundled.to_str().unwrap(), "-o", &folder.path("blob")];
    let mut child = started(&args, &temporary, "");
    send("TERM", &child);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert_eq!(folder.names("."), ["model"]);
    // As under nohup.
    let mut child = started(&args, &temporary, "trap '' HUP;");
    send("HUP", &child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(folder.names("."), ["blob", "model"]);
}

#[test]
fn a_signal_takes_temporary_folders_along() {
    common::hear_signals();
    let (folder, bundled) = (tempfile::tempdir().unwrap(), fixtures::bundled("shakespeare-char"));
    let is_empty = || fs::read_dir(folder.path()).unwrap().next().is_none();
    let mut child = Command::new(PROGRAM)
        .args(["compare", bundled.to_str().unwrap(), "--weights", "q8", "--prompt", "hello"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while is_empty() {
        assert!(start.elapsed() < PATIENT && child.try_wait().unwrap().is_none(), "no temporary folder");
        std::thread::sleep(Duration::from_millis(2));
    }
    send("TERM", &child);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert!(is_empty());
}

#[test]
fn every_verb_that_writes_spells_force_alike() {
    let help = |verb: &str| String::from_utf8(command().args([verb, "--help"]).output().unwrap().stdout).unwrap();
    let words = |verb: &str| {
        let help = help(verb);
        let from = help.split_once("--force").unwrap_or_else(|| panic!("{verb} has no --force")).1;
        let lines = from.lines().take_while(|line| !line.trim_start().starts_with('-'));
        lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
    };
    for verb in ["init", "eval", "pack", "page", "report", "compare"] {
        assert_eq!(words(verb), words("convert"), "{verb}");
    }
    for verb in [
        "bench",
        "merge",
        "surprisal",
        "generate",
        "verify",
        "device",
        "inspect",
        "plan",
        "demo",
        "tokenize",
        "completions",
        "man",
    ] {
        let help = help(verb);
        assert!(!help.contains("--force") && !help.contains("--output"), "{verb} writes: {help}");
    }
}

#[test]
fn a_standard_output_that_takes_nothing_is_told_on_standard_error() {
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    for args in
        [["tokenize", "hello", "--json"].as_slice(), &["tokenize", "hello"], &["tokenize", "--json", "--decode", "x"]]
    {
        let output = Command::new(PROGRAM).args(args).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("cannot write the output: No space left"), "{error}");
        let closed = Command::new("sh").args(["-c", "exec \"$0\" \"$@\" >&-", PROGRAM]).args(args).output().unwrap();
        let error = String::from_utf8(closed.stderr).unwrap();
        assert_eq!(closed.status.code(), Some(2), "{error}");
        assert!(error.contains("cannot write the output: standard output is closed"), "{error}");
    }
    let nowhere = Command::new(PROGRAM).args(["tokenize", "hello", "--json"]).stdout(Stdio::null()).status().unwrap();
    assert_eq!(nowhere.code(), Some(0));
}

#[test]
fn a_refused_output_costs_no_work() {
    let folder = Folder::new();
    let output = folder.write("notes.md", "precious");
    // The checkpoint is not even looked at.
    let error = run("error", 2, &["convert", "no-such-model", "-o", &output]);
    assert_eq!(error["error"]["kind"], json!("output_refused"));
}
