//! Names the blob that the program includes, and the HAL's linker script.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bins=-Tlinkall.x");

    println!("cargo::rerun-if-env-changed=EMBERLM_BLOB");
    let blob = env::var_os("EMBERLM_BLOB").map_or_else(|| Path::new("../tiny.blob").into(), PathBuf::from);
    match blob.canonicalize() {
        Ok(blob) => println!("cargo::rustc-env=EMBERLM_BLOB={}", blob.display()),
        Err(error) => println!("cargo::error=EMBERLM_BLOB: {}: {error}", blob.display()),
    }
}
