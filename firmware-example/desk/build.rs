//! Puts the board's memory map where the linker finds it. `RAM_BYTES` is what the map has for variables.

use std::path::PathBuf;
use std::{env, fs};

const BOARDS: [&str; 4] = ["nrf52840", "rp2350", "stm32f405", "stm32h743"];

fn main() {
    let is_set = |name: &&str| env::var_os(format!("CARGO_FEATURE_{}", name.to_uppercase())).is_some();
    let board = BOARDS.into_iter().find(is_set).expect("a feature names the board");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let parts = [format!("memory/{board}.x"), "memory/symbols.x".into()];
    let script: String = parts.iter().map(|part| fs::read_to_string(part).expect("the package has it")).collect();
    println!("cargo::rustc-env=RAM_BYTES={}", ram_bytes(&script));
    fs::write(out.join("memory.x"), script).expect("OUT_DIR can be written");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // Segments of the sizes that their contents have, not padded to pages that no such core has.
    println!("cargo::rustc-link-arg-bins=--nmagic");
}

/// Bytes of RAM that the memory map has for variables.
fn ram_bytes(script: &str) -> usize {
    let region = script.lines().map(str::trim).find(|line| line.starts_with("RAM ")).expect("there is a region RAM");
    let (_, length) = region.split_once("LENGTH = ").expect("a region has a length");
    let kibibytes: usize = length.trim_end_matches('K').parse().expect("it is in KiB");
    1024 * kibibytes
}
