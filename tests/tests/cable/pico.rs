//! A Pico at a port, emulated by rp2040js, which Node runs: flashed by the files that its boot loader takes, with a wire to
//! UART0 that loses what comes while nobody listens.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use emberlm::device::{Board, Family, Region, firmware};

use crate::at_port::{AtPort, blob};
use crate::common::{command, run};
use crate::damage::Damage;

const BOARD: Board = Board {
    name: "rp2040",
    about: "Raspberry Pi Pico",
    family: &Family { package: "desk", emulator: "node", options: &[] },
    machine: "rp2040",
    target: "thumbv6m-none-eabi",
    rustflags: "",
    model: Region { address: 0x1004_0000, bytes: 1792 * 1024 },
    request: Region { address: 0, bytes: 4096 },
};

/// The emulator's folder, with what npm installs there; `None`, and a word, where there is no Node or no package to be had.
fn emulator() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("pico");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pico");
    fs::create_dir_all(&folder).unwrap();
    for name in ["package.json", "package-lock.json", "pico.js"] {
        fs::copy(source.join(name), folder.join(name)).unwrap();
    }
    if !folder.join("node_modules/rp2040js").is_dir() {
        let npm = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder).output();
        if !npm.is_ok_and(|npm| npm.status.success()) {
            eprintln!("not tested: npm cannot install rp2040js");
            return None;
        }
    }
    Some(folder)
}

/// A file as the boot loader takes it.
fn pack(file: &Path, into: &Path) {
    let args = ["pack", file.to_str().unwrap(), "--board", "pico", "-o", into.to_str().unwrap()];
    command().args(args).assert().success();
}

/// A Pico with a model.
fn start(blob: &Path) -> Option<AtPort> {
    let folder = emulator()?;
    let program = firmware::build(&BOARD, "cable").unwrap();
    let (model, code) = (blob.with_extension("uf2"), blob.with_file_name("firmware.uf2"));
    pack(blob, &model);
    pack(&program, &code);
    let mut node = Command::new("node")
        .arg(folder.join("pico.js"))
        .args([&model, &code])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (to, from) = (node.stdin.take().unwrap(), node.stdout.take().unwrap());
    let at = AtPort::new(node, (from, Damage::default()), (to, Damage::default()));
    Some(at)
}

#[test]
fn a_pico_scores_to_the_hosts_bits() {
    let folder = tempfile::tempdir().unwrap();
    let blob = folder.path().join("tiny.blob");
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/tiny.blob");
    fs::copy(tiny, &blob).unwrap();
    let tokens = folder.path().join("tokens.json");
    fs::write(&tokens, "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]").unwrap();
    let Some(at) = start(&blob) else { return };
    let report = at.score(&blob, "device_score", 0, &["--tokens", tokens.to_str().unwrap()]);
    assert_eq!((&report["equals_host"], &report["board"]), (&true.into(), &BOARD.name.into()), "{report}");
}

#[test]
fn a_pico_that_takes_too_long_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let blob = blob(&folder, "shakespeare-char");
    let Some(at) = start(&blob) else { return };
    let args = ["device", "score", blob.to_str().unwrap(), "--port", at.port(), "--prompt", "ROMEO:", "--timeout", "1"];
    let error = run("error", 2, &args);
    assert_eq!(error["error"]["kind"], "time_out", "{error}");
}

#[test]
#[ignore = "takes minutes"]
fn a_pico_scores_a_sentence_and_writes_the_hosts_text() {
    let folder = tempfile::tempdir().unwrap();
    let blob = blob(&folder, "shakespeare-char");
    let Some(at) = start(&blob) else { return };
    let report = at.scores(&blob, BOARD.name);
    println!("{report:#}");
    println!("{}", at.writes(&blob, 60, "i8"));
}
