//! Names the linker's scripts: the runtime's, and `memory.x` beside this file, which is there named by itself on Arm.

fn main() {
    let is_riscv = std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "riscv32");
    for script in if is_riscv { &["memory.x", "link.x"][..] } else { &["link.x"] } {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rerun-if-changed=memory.x");
}
