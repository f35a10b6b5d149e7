//! The library for programs in C: its header, its example on host and boards, and what it says to misuse.

#[path = "../common/mod.rs"]
mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use emberlm::device::{Board, Family, Region, emulator};

fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/c-api").canonicalize().unwrap()
}

fn blob() -> PathBuf {
    library().join("../start/model.blob").canonicalize().unwrap()
}

/// What the command prints; it has to succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(library()).env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
    cargo
}

/// The library, built for a target or this machine. One at a time: all go to the same folder.
fn built(target: Option<&str>, features: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-api");
    let mut cargo = cargo();
    cargo.args(["build", "--release", "--locked", "--quiet", "--features", features, "--target-dir"]).arg(&folder);
    if let Some(target) = target {
        cargo.args(["--target", target]);
    }
    output(&mut cargo);
    folder.join(target.unwrap_or_default()).join("release/libemberlm.a")
}

/// Compiles with every warning an error.
fn compile(compiler: &str) -> Command {
    let mut command = Command::new(compiler);
    command.current_dir(library()).args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Iinclude"]);
    command
}

/// The example's lines have the host's bits and text.
fn is_the_hosts(lines: &str) {
    let example = fs::read_to_string(library().join("example/score.c")).unwrap();
    let prompt = example.split_once("PROMPT[] = \"").unwrap().1.split_once('"').unwrap().0;
    let blob = blob();
    let blob = blob.to_str().unwrap();
    let bits = common::run("eval", 0, &["eval", blob, "--prompt", prompt])["nll_bits"].clone();
    let how = ["--seed", "1", "--max-tokens", "40"];
    let text =
        common::run("generate", 0, &[&["generate", blob, "--prompt", prompt][..], &how].concat())["text"].clone();
    let want = format!("nll bits: {}\ntext: {prompt}{}\nok\n", bits.as_str().unwrap(), text.as_str().unwrap());
    let (memory, rest) = lines.split_once('\n').unwrap();
    assert!(memory.starts_with("memory: "), "{lines}");
    assert_eq!(rest, want);
}

#[test]
fn the_header_is_what_the_sources_say() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-header");
    let header = output(
        cargo().current_dir(library().join("header")).args(["run", "--locked", "--quiet", "--target-dir"]).arg(folder),
    );
    let checked_in = fs::read_to_string(library().join("include/emberlm.h")).unwrap();
    assert!(header == checked_in, "include/emberlm.h is old: in c-api/header, cargo run > ../include/emberlm.h");
}

#[test]
fn the_example_on_this_machine() {
    let (folder, library) = (tempfile::tempdir().unwrap(), built(None, ""));
    let program = folder.path().join("score");
    output(compile("cc").args(["example/score.c", "example/host.c"]).arg(&library).arg("-o").arg(&program));
    is_the_hosts(&output(Command::new(&program).arg(blob())));
}

/// C++ programs read the header too.
#[test]
fn the_header_is_cpp_too() {
    let folder = tempfile::tempdir().unwrap();
    let (source, object) = (folder.path().join("a.cpp"), folder.path().join("a.o"));
    fs::write(&source, "#include <emberlm.h>\nemberlm_status f(emberlm_session *s) { return emberlm_reset(s); }\n")
        .unwrap();
    let mut compiler = Command::new("c++");
    if compiler.arg("--version").output().is_err() {
        eprintln!("not tested, since it is not installed: c++");
        return;
    }
    let mut compiler = Command::new("c++");
    compiler.current_dir(library()).args(["-Wall", "-Wextra", "-Werror", "-Iinclude", "-c"]);
    output(compiler.arg(&source).arg("-o").arg(&object));
}

#[test]
fn misuse_is_told() {
    let (folder, library) = (tempfile::tempdir().unwrap(), built(None, ""));
    let misuse = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c_api/misuse.c");
    let program = folder.path().join("misuse");
    let compiler = || {
        let mut compiler = compile("cc");
        compiler.arg(&misuse).arg(&library).arg("-lm").arg("-o").arg(&program);
        compiler
    };
    // Not every compiler has the library that looks for what goes beyond an allocation.
    if !compiler().args(["-g", "-fsanitize=address,undefined"]).output().unwrap().status.success() {
        output(&mut compiler());
    }
    output(Command::new(&program).arg(blob()));
}

/// On boards, by Arm's compiler for them; linked without a way to panic.
mod arm_none_eabi_gcc {
    use super::*;

    const ARM: Family = Family { package: "", emulator: "qemu-system-arm", options: &[] };

    fn is_the_hosts_on(machine: &'static str, target: &'static str, features: &str, flags: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let library = built(Some(target), &[features, "no-panic"].join(","));
        let program = folder.path().join("score.elf");
        let blob = format!("-DMODEL_BLOB=\"{}\"", blob().display());
        let board = ["example/board/start.c", "example/board/blob.S", "-Texample/board/mps2.ld"];
        let link =
            ["-ffunction-sections", "-fdata-sections", "-nostartfiles", "-Wl,--gc-sections", "--specs=nosys.specs"];
        let mut compiler = compile("arm-none-eabi-gcc");
        compiler.args(flags).arg("example/score.c").args(board).args(link).arg(blob).arg(library);
        output(compiler.arg("-o").arg(&program));
        let nowhere = Region { address: 0, bytes: 0 };
        let board = Board {
            name: machine,
            about: "",
            family: &ARM,
            machine,
            target,
            rustflags: "",
            model: nowhere,
            request: nowhere,
        };
        let command = emulator::command(&board, &program, &[]).unwrap();
        let run = emulator::run(command, Duration::from_secs(600), |_| {}).unwrap();
        assert!(run.status.success(), "{run:?}");
        is_the_hosts(&(run.lines.join("\n") + "\n"));
    }

    #[test]
    fn on_a_cortex_m4f() {
        let flags = ["-mthumb", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"];
        is_the_hosts_on("mps2-an386", "thumbv7em-none-eabihf", "cortex-m-dsp", &flags);
    }

    #[test]
    fn on_a_cortex_m0() {
        is_the_hosts_on("mps2-an385", "thumbv6m-none-eabi", "", &["-mthumb", "-mcpu=cortex-m0"]);
    }
}
