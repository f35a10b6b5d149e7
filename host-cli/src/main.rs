//! The `emberlm` command.
fn main() {}
