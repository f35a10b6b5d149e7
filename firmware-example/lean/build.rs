//! Puts the part's memory map where the linker finds it.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let part = |name: &&str| env::var_os(format!("CARGO_FEATURE_{}", name.to_uppercase())).is_some();
    let map = ["stm32f411", "nrf52832", "stm32f405"].into_iter().find(part).unwrap_or("mps2");
    let parts = [format!("memory/{map}.x"), "memory/symbols.x".into()];
    let script: String = parts.iter().map(|part| fs::read_to_string(part).expect("the package has it")).collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("memory.x"), script).expect("OUT_DIR can be written");
    // The program has no interrupts, and so none to name.
    fs::write(out.join("device.x"), "").expect("OUT_DIR can be written");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // Segments of the sizes that their contents have, not padded to pages that no such core has.
    println!("cargo::rustc-link-arg-bins=--nmagic");
    // Functions that came out the same are one.
    println!("cargo::rustc-link-arg-bins=--icf=all");
}
