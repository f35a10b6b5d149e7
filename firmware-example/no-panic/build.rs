//! Says where the linker starts, and what else it keeps.

fn main() {
    println!("cargo::rustc-link-arg-bins=--entry=score");
    for also in ["go_on", "over_a_cable", "to_tokens_and_back"] {
        println!("cargo::rustc-link-arg-bins=--undefined={also}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
