//! The `emberlm` command, built for the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    emberlm::verbs::run(std::env::args_os())
}
