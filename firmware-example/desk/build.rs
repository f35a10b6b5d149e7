//! Puts the board's memory map where the linker finds it. `RAM_BYTES` is what the map has for variables, `BOARD` the
//! board's name.

use std::path::PathBuf;
use std::{env, fs};

/// Boards, what rustc calls their cores' code, and what it may be told of the core.
const BOARDS: [(&str, &str, &str); 7] = [
    ("nrf52840", "thumbv7em-none-eabihf", "cortex-m4"),
    ("rp2040", "thumbv6m-none-eabi", "cortex-m0plus"),
    ("rp2350", "thumbv8m.main-none-eabihf", "cortex-m33"),
    ("stm32f405", "thumbv7em-none-eabihf", "cortex-m4"),
    ("stm32f411", "thumbv7em-none-eabihf", "cortex-m4"),
    ("stm32f446", "thumbv7em-none-eabihf", "cortex-m4"),
    ("stm32h743", "thumbv7em-none-eabihf", "cortex-m7"),
];

fn main() {
    let is_set =
        |(name, ..): &(&str, &str, &str)| env::var_os(format!("CARGO_FEATURE_{}", name.to_uppercase())).is_some();
    let (board, target, cpu) = BOARDS.into_iter().find(is_set).expect("a feature names the board");
    if env::var("TARGET").is_ok_and(|built_for| built_for != target) {
        println!("cargo::error={board} runs code for {target}: build with --target {target}, as `cargo {board}` does");
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let other = flags.split('\x1f').filter_map(|flag| flag.split_once("target-cpu=")).find(|&(_, named)| named != cpu);
    if let Some((_, other)) = other {
        println!("cargo::error={board} has no {other}: leave target-cpu out, or name {cpu}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let parts = [format!("memory/{board}.x"), "memory/symbols.x".into()];
    let script: String = parts.iter().map(|part| fs::read_to_string(part).expect("the package has it")).collect();
    println!("cargo::rustc-env=BOARD={board}");
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
