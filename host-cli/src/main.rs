//! The `emberlm` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    emberlm::cli::run(std::env::args_os())
}
