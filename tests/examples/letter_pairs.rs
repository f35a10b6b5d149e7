//! Writes the blob of core's examples anew.

use std::path::Path;

use emberlm_tests::letter_pairs;

fn main() -> std::io::Result<()> {
    std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(letter_pairs::PATH), &letter_pairs::blob()[..])
}
