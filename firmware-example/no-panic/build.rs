//! Says where the linker starts.

fn main() {
    println!("cargo::rustc-link-arg-bins=--entry=score");
    println!("cargo::rerun-if-changed=build.rs");
}
