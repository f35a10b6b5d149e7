//! Says where the linker starts, and what else it keeps.

fn main() {
    println!("cargo::rustc-link-arg-bins=--entry=score");
    println!("cargo::rustc-link-arg-bins=--undefined=to_tokens_and_back");
    println!("cargo::rustc-link-arg-bins=--undefined=over_a_cable");
    println!("cargo::rerun-if-changed=build.rs");
}
