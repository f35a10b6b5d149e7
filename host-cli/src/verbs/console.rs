//! Where a verb's words go: its report to standard output, notes and progress to standard error.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;

use super::closed;
use super::error::Error;
use super::estimate::Estimate;
use crate::ground::shown;
use crate::report::Report;

/// Where a verb's words go, and how many it takes.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// The report is one JSON object.
    pub json: bool,
    /// People want details.
    pub verbose: bool,
    /// The most bytes that are read of a text, from standard input or from a file.
    pub max_input: u64,
}

/// Work under this needs no progress bar.
const SHORT: Duration = Duration::from_secs(1);

impl Console {
    /// Prints `report` to standard output.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn print(&self, report: &impl Report) -> Result<(), Error> {
        let text = match self.json {
            true => json_line(report).map_err(Error::Output)?,
            false => report.coloured().unwrap_or_else(|| shown::lines(&report.text()).into_owned()),
        };
        write_out(&text).map_err(Error::Output)
    }

    /// Prints lines for people to standard output, as a verb goes along.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn tell(&self, text: impl AsRef<str>) -> Result<(), Error> {
        if self.json { Ok(()) } else { write_out(&(shown::lines(text.as_ref()) + "\n")).map_err(Error::Output) }
    }

    /// Prints a piece of a text to standard output, as it is made: to a file or another program as it is, to a terminal
    /// with everything escaped that it would act on, but for ends of lines and tabs.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn stream(&self, text: &str) -> Result<(), Error> {
        if self.json {
            return Ok(());
        }
        let text = if io::stdout().is_terminal() { shown::lines(text) } else { Cow::Borrowed(text) };
        write_out(&text).map_err(Error::Output)
    }

    /// Prints `error` where the output's form says: an object with a message of one line on standard output, or the message on
    /// standard error.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn print_error(&self, kind: &str, message: &str) -> io::Result<()> {
        if self.json {
            // What a compiler or an emulator says has lines of its own.
            let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            return write_out(&json_line(&serde_json::json!({"error": {"kind": kind, "message": lines.join(" ")}}))?);
        }
        // Nobody is left to tell where standard error is closed.
        let _ = writeln!(io::stderr(), "error: {}", shown::lines(message));
        Ok(())
    }

    /// Tells people, on standard error, what was assumed or found.
    pub fn note(&self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr(), "{}", shown::lines(text.as_ref()));
    }

    /// As [`Console::note`], only when details are wanted.
    pub fn detail(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            self.note(text());
        }
    }

    /// A bar for `len` steps of work, which shows once the work takes over a second and standard error is a terminal.
    pub fn progress(&self, len: u64, what: impl Into<Cow<'static, str>>) -> Progress {
        let (started, estimate) = (Instant::now(), Arc::<Mutex<Estimate>>::default());
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(len), ProgressDrawTarget::hidden());
            let style = ProgressStyle::with_template("{msg} {wide_bar} {percent:>3}% {left}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            let (estimate, started) = (Arc::clone(&estimate), started);
            let left = move |_: &ProgressState, out: &mut dyn fmt::Write| {
                let estimate = *estimate.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = match estimate.left(started.elapsed()) {
                    Some(left) => write!(out, "{:>4}", format!("{:#}", HumanDuration(left))),
                    None => write!(out, "{:>4}", ""),
                };
            };
            bar.with_style(style.with_key("left", left)).with_message(what)
        });
        Progress { bar, started, estimate, shown: AtomicBool::new(false) }
    }
}

/// A progress bar that gives way to a quick end. It clears itself.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    estimate: Arc<Mutex<Estimate>>,
    shown: AtomicBool,
}

impl Progress {
    /// The work is now at `what`.
    pub fn name(&self, what: impl Into<Cow<'static, str>>) {
        if let Some(bar) = &self.bar {
            bar.set_message(what);
        }
    }

    /// `steps` more are done. Any thread may say so.
    pub fn advance(&self, steps: u64) {
        let Some(bar) = &self.bar else { return };
        if self.started.elapsed() >= SHORT && !self.shown.swap(true, Ordering::Relaxed) {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(SHORT);
        }
        bar.inc(steps);
        let mut estimate = self.estimate.lock().unwrap_or_else(PoisonError::into_inner);
        estimate.update(self.started.elapsed(), bar.position(), bar.length().unwrap_or(0));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn json_line(value: &impl Serialize) -> io::Result<String> {
    Ok(shown::json(serde_json::to_string(value)? + "\n"))
}

fn write_out(text: &str) -> io::Result<()> {
    if closed::was_stdout() {
        return Err(io::Error::other("standard output is closed"));
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
