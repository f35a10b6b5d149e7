//! Puts the memory map where the linker finds it, and names the models: all files of the folder `BLOBS`.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo::rerun-if-env-changed=BLOBS");
    println!("cargo::rerun-if-env-changed=MEMORY");
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

    // Where flash and RAM are, and the code, if not in front of the flash.
    let memory = env::var("MEMORY").expect("MEMORY is set");
    let mut addresses = memory.split(' ');
    let (flash, ram) = addresses.next().zip(addresses.next()).expect("MEMORY has two addresses");
    let (length, code) = match addresses.next() {
        Some(code) => ("1024M", format!("_stext = {code};\n")),
        None => ("4M", String::new()),
    };
    let mut script =
        format!("MEMORY {{ FLASH : ORIGIN = {flash}, LENGTH = {length}\n RAM : ORIGIN = {ram}, LENGTH = 4M }}\n{code}");
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "riscv32") {
        for (region, memory) in
            [("TEXT", "FLASH"), ("RODATA", "FLASH"), ("DATA", "RAM"), ("BSS", "RAM"), ("HEAP", "RAM"), ("STACK", "RAM")]
        {
            script += &format!("REGION_ALIAS(\"REGION_{region}\", {memory});\n");
        }
        println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    }
    fs::write(out.join("memory.x"), script).expect("OUT_DIR can be written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
}
