//! Names the linker's scripts, of which `memory.x` is the tests' to write, and the models: all files of the folder `BLOBS`.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo::rerun-if-env-changed=BLOBS");
    let folder = PathBuf::from(env::var_os("BLOBS").expect("BLOBS names a folder"));
    let mut blobs: Vec<_> =
        fs::read_dir(&folder).expect("it can be read").map(|entry| entry.expect("it can be read").path()).collect();
    blobs.sort();
    let mut list = String::from("&[");
    for blob in &blobs {
        println!("cargo::rerun-if-changed={}", blob.display());
        let name = blob.file_name().expect("it has one").to_str().expect("it is UTF-8");
        list += &format!("({name:?}, emberlm_core::include_blob!({blob:?})), ");
    }
    fs::write(out.join("blobs.rs"), list + "]").expect("OUT_DIR can be written");

    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "riscv32") {
        println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
}
