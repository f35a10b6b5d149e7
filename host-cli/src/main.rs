//! The `emberlm` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    emberlm::verbs::run(std::env::args_os())
}
