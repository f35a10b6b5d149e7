//! Finding the firmware: its source, to be built, or a program that is inside this one.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use elf::endian::AnyEndian;
use elf::file::Class;
use elf::to_str::e_machine_to_human_str;
use elf::{ElfBytes, abi};
use serde::Deserialize;

use super::{Board, DeviceError, processor};
use crate::ground::checkout;
use crate::ground::files::temporary::TemporaryFolder;
use crate::ground::files::{Fault, FileError, Kind, Wanted, mapped};

/// The program that writes what follows a prompt.
pub const CONSOLE: &str = "console";

/// Those that are inside this program, by their boards and names.
const BUNDLED: [(&str, &str, &[u8]); 2] = [
    ("mps2-an386", "score", include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/bundled/mps2-an386-score.elf"))),
    ("mps2-an386", CONSOLE, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/bundled/mps2-an386-console.elf"))),
];

/// A program for a board, as a file.
#[derive(Debug)]
pub enum Program {
    /// Where it was built.
    Built(PathBuf),
    /// Where it was unpacked, until this is dropped.
    Unpacked(PathBuf, TemporaryFolder),
}

impl Program {
    /// The ELF file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Built(path) | Self::Unpacked(path, _) => path,
        }
    }
}

/// Whether this program is in a checkout that has the board's package, to be built there.
pub fn has_source(board: &Board) -> bool {
    checkout::find(Path::new("firmware-example").join(board.family.package)).is_some()
}

/// Builds a program of the board's package; outside of a checkout, unpacks the one that is inside this program.
///
/// # Errors
/// There is neither, or it does not build.
pub fn find(board: &Board, program: &str) -> Result<Program, DeviceError> {
    let bundled = BUNDLED.iter().find(|(of, name, _)| (*of, *name) == (board.name, program));
    let Some((_, _, bytes)) = bundled.filter(|_| !has_source(board)) else {
        return build(board, program).map(Program::Built);
    };
    let folder = TemporaryFolder::new().map_err(DeviceError::Request)?;
    let path = folder.path().join(program);
    fs::write(&path, bytes).map_err(DeviceError::Request)?;
    Ok(Program::Unpacked(path, folder))
}

/// Builds a program of the board's package and returns the ELF file. Quick when nothing has changed.
///
/// # Errors
/// No source is found, or it does not build.
pub fn build(board: &Board, program: &str) -> Result<PathBuf, DeviceError> {
    let source = checkout::find(Path::new("firmware-example").join(board.family.package));
    let source = source.ok_or(DeviceError::NoFirmware { package: board.family.package })?;
    // Each board's own, so that two boards of one target do not overwrite each other's programs.
    let target_dir = env::var_os("CARGO_TARGET_DIR").map_or_else(|| source.join("target"), PathBuf::from);
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(cargo)
        .current_dir(&source)
        .args(["build", "--release", "--message-format=json-render-diagnostics"])
        .args(["--bin", program, "--target", board.target, "--no-default-features", "--features", board.name])
        .arg("--target-dir")
        .arg(target_dir.join(board.name))
        // What is set is meant for the host's own build, when this process was started by one.
        .env("RUSTFLAGS", board.rustflags)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        .output()
        .map_err(DeviceError::NoCargo)?;
    let failed = |stderr: String| DeviceError::Build { target: board.target, stderr };
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim_end().into()));
    }
    executable(&output.stdout, program).ok_or_else(|| failed(format!("it names no program {program}")))
}

/// Checks that `program` is one for the board's machine, before anything is started.
///
/// # Errors
/// It cannot be read, or is something else.
pub fn check(program: &Path, board: &'static Board) -> Result<(), DeviceError> {
    check_for(program, board.name, board.target, board.rustflags)
}

/// [`check`] for any board, by its name, Rust's name for its code, and what the compiler is told beyond that.
///
/// # Errors
/// Those of [`check`].
pub fn check_for(
    program: &Path,
    board: &'static str,
    target: &'static str,
    rustflags: &str,
) -> Result<(), DeviceError> {
    let (wanted, found) = (Wanted::Firmware, Kind::of(program)?);
    wanted.check_kind(program, found)?;
    if found != Kind::Elf {
        return Err(FileError::new(program, Fault::Kind { found, wanted }).into());
    }
    let (machine, need) = if target.starts_with("riscv32") {
        (abi::EM_RISCV, "RISC-V with 32 bits")
    } else {
        (abi::EM_ARM, "Arm with 32 bits")
    };
    let refusal = |have, need| DeviceError::Firmware { path: program.into(), board, have, need };
    let wrong = |have| refusal(have, need);
    let bytes = mapped::map(program)?;
    let elf = ElfBytes::<AnyEndian>::minimal_parse(&bytes);
    let elf = elf.map_err(|error| wrong(format!("a damaged ELF file ({error})")))?;
    let header = elf.ehdr;
    if header.e_type != abi::ET_EXEC && header.e_type != abi::ET_DYN {
        return Err(wrong("an ELF file and no program".into()));
    }
    if (header.e_machine, header.class) != (machine, Class::ELF32) {
        let name = e_machine_to_human_str(header.e_machine).map_or_else(|| header.e_machine.to_string(), str::to_owned);
        let bits = if header.class == Class::ELF32 { 32 } else { 64 };
        return Err(wrong(format!("a program of {bits} bits for the machine {name}")));
    }
    match processor::mismatch(&elf, target, rustflags) {
        Some((have, need)) => Err(refusal(format!("a program for {have}"), need)),
        None => Ok(()),
    }
}

#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The program's file, from cargo's messages.
fn executable(messages: &[u8], program: &str) -> Option<PathBuf> {
    let messages = messages.split(|&byte| byte == b'\n');
    let mut artifacts = messages.filter_map(|line| serde_json::from_slice::<Message>(line).ok());
    artifacts.find_map(|message| message.executable.filter(|_| message.target.is_some_and(|t| t.name == program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_scoring_programs() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"emberlm_core"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"included"},"executable":"/x/included"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"score"},"executable":"/x/score"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n",
        );
        assert_eq!(executable(messages.as_bytes(), "score"), Some(PathBuf::from("/x/score")));
        assert_eq!(executable(br#"{"reason":"build-finished","success":true}"#, "score"), None);
    }
}
