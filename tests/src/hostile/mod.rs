//! What any bytes have to come to: a value or an error, never a panic, an overflow, a read outside, a hang or a wrong
//! answer.
//!
//! Each target takes bytes as a fuzzer makes them up, repairs what would only keep them from getting anywhere (checksums,
//! lengths), and says whether they came to something, so that seeds can be told from noise. `tests/fuzz` has a fuzzer for
//! each; `cargo test` takes its seeds and what was found through the same functions.

pub mod blob;
pub mod checkpoint;
pub mod forward;
pub mod records;
pub mod text;
pub mod tokenizer;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// A way in for bytes that somebody else made.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The fuzzer's name, and that of its folder of seeds.
    pub name: &'static str,
    /// Takes the bytes in; whether they came to something.
    pub run: fn(&[u8]) -> bool,
}

/// All of them.
pub const TARGETS: [Target; 11] = [
    Target { name: "blob", run: blob::run },
    Target { name: "forward", run: forward::run },
    Target { name: "tokenizer", run: tokenizer::run },
    Target { name: "tokenizer_json", run: tokenizer::run_json },
    Target { name: "checkpoint", run: checkpoint::run },
    Target { name: "shard_index", run: checkpoint::run_index },
    Target { name: "config", run: checkpoint::run_config },
    Target { name: "name_map", run: checkpoint::run_name_map },
    Target { name: "llama2c", run: checkpoint::run_llama2c },
    Target { name: "input", run: text::run },
    Target { name: "records", run: records::run },
];

/// A temporary folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    files.iter().for_each(|(name, bytes)| write(folder.path(), name, bytes));
    folder
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).expect("a file that can be written");
}

/// The parts between zero bytes, `N` of them; what is missing is empty, what is left over is in the last.
fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |&byte| byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}
