//! Writes core's table of character classes anew.

use std::path::Path;

use emberlm_tests::class_table;

fn main() -> std::io::Result<()> {
    std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(class_table::PATH), class_table::source())
}
