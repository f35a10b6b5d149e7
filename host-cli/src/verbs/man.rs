//! `emberlm man`: the manual's page of the program or of a verb.

use clap::{Args, Command};
use clap_mangen::Man;
use serde::Serialize;

use super::console::Console;
use super::error::Error;
use super::outcome::Outcome;
use crate::ground::shown;
use crate::report::Report;

/// The words after `man`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// The verb [default: the page of the program, which lists them]
    verb: Option<String>,
}

/// A page of the manual, as `man` reads it.
#[derive(Serialize)]
struct Page {
    name: String,
    page: String,
}

impl Report for Page {
    fn text(&self) -> String {
        self.page.clone()
    }
}

/// Runs the verb for what `command` understands.
///
/// # Errors
/// There is no such verb, or standard output cannot be written.
pub fn run(args: &RawArgs, mut command: Command, console: Console) -> Result<Outcome, Error> {
    command.build();
    let (name, command) = match &args.verb {
        None => ("emberlm".to_owned(), command),
        Some(verb) => {
            let found = command.find_subcommand(verb).cloned();
            let found = found.ok_or_else(|| Error::Usage(format!("no verb `{}`", shown::value(verb))))?;
            (format!("emberlm-{verb}"), found.display_name(format!("emberlm-{verb}")))
        }
    };
    let mut page = Vec::new();
    Man::new(command).title(name.to_uppercase()).render(&mut page).map_err(Error::Output)?;
    console.print(&Page { name, page: String::from_utf8_lossy(&page).into_owned() })?;
    Ok(Outcome::Passed)
}
