//! Prints `emberlm.h`: `cargo run > ../include/emberlm.h` after a change of the sources.

use std::error::Error;
use std::path::Path;

/// Those whose items a C program sees, in the order in which it reads of them.
const SOURCES: [&str; 7] = ["types", "status", "session", "open", "text", "score", "generate"];

fn main() -> Result<(), Box<dyn Error>> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let config = cbindgen::Config::from_file(library.join("cbindgen.toml"))?;
    let builder = cbindgen::Builder::new().with_config(config);
    let file = |name| library.join("src/api").join(name).with_extension("rs");
    let header = SOURCES.into_iter().fold(builder, |builder, name| builder.with_src(file(name))).generate()?;
    header.write(std::io::stdout());
    Ok(())
}
