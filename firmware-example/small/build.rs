//! Puts the board's memory map where the linker finds it, and names the blob that the program `included` includes.
//! `RAM_BYTES` is what the map has for variables.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let part = |name: &&str| env::var_os(format!("CARGO_FEATURE_{}", name.to_uppercase())).is_some();
    let map = ["netduinoplus2", "rp2040", "nrf52840"].into_iter().find(part).unwrap_or("microbit");
    let parts = [format!("memory/{map}.x"), "memory/symbols.x".into()];
    let script: String = parts.iter().map(|part| fs::read_to_string(part).expect("the package has it")).collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo::rustc-env=RAM_BYTES={}", ram_bytes(&script));
    fs::write(out.join("memory.x"), script).expect("OUT_DIR can be written");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // Segments of the sizes that their contents have, not padded to pages that no such core has.
    println!("cargo::rustc-link-arg-bins=--nmagic");

    println!("cargo::rerun-if-env-changed=EMBERLM_BLOB");
    let blob = env::var_os("EMBERLM_BLOB").map_or_else(|| Path::new("../tiny.blob").into(), PathBuf::from);
    match blob.canonicalize() {
        Ok(blob) => println!("cargo::rustc-env=EMBERLM_BLOB={}", blob.display()),
        Err(error) => println!("cargo::error=EMBERLM_BLOB: {}: {error}", blob.display()),
    }
}

/// Bytes of RAM that the memory map has for variables.
fn ram_bytes(script: &str) -> usize {
    let region = script.lines().map(str::trim).find(|line| line.starts_with("RAM ")).expect("there is a region RAM");
    let (_, length) = region.split_once("LENGTH = ").expect("a region has a length");
    let kibibytes: usize = length.trim_end_matches('K').parse().expect("it is in KiB");
    1024 * kibibytes
}
