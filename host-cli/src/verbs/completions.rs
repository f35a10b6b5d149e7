//! `emberlm completions`: what a shell needs to complete words of the command line.

use clap::{Args, Command};
use clap_complete::Shell;
use serde::Serialize;

use super::console::Console;
use super::error::Error;
use super::outcome::Outcome;
use crate::report::Report;

/// The words after `completions`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// A shell's script.
#[derive(Serialize)]
struct Completions {
    shell: String,
    script: String,
}

impl Report for Completions {
    fn text(&self) -> String {
        self.script.clone()
    }
}

/// Runs the verb for what `command` understands.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &RawArgs, mut command: Command, console: Console) -> Result<Outcome, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "emberlm", &mut script);
    console
        .print(&Completions { shell: args.shell.to_string(), script: String::from_utf8_lossy(&script).into_owned() })?;
    Ok(Outcome::Passed)
}
