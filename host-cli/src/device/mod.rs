//! Scoring on a board: it is handed a request, and its report is read.
//!
//! A [`Link`] says how it is reached. In the emulator: [`Board`] is the table of boards, [`firmware`] finds and builds the
//! program, [`emulator`] runs it against a deadline. At a serial port: [`cable`]. [`report`] reads what either prints.

pub mod board;
pub mod cable;
mod emulated;
pub mod emulator;
pub mod error;
pub mod firmware;
mod job;
mod processor;
pub mod report;

use emberlm_request::report::parse_progress;

pub use board::{BOARDS, Board, Family, Medium, Region};
pub use error::DeviceError;
pub use job::{Emulated, Job, Link, Progress};
pub use report::DeviceReport;

/// Runs the job; `progress` hears how far it is.
///
/// # Errors
/// Whatever kept the board from a complete report. [`DeviceError::is_failed_run`] tells a run that went wrong from one
/// that could not be started.
pub fn score(job: &Job<'_>, mut progress: impl FnMut(Progress)) -> Result<DeviceReport, DeviceError> {
    let port = match &job.link {
        Link::Emulator(emulated) => return emulated::score(job, emulated, progress),
        Link::Port(port) => port,
    };
    let request = job.request()?;
    progress(Progress::Running);
    let answer = cable::score(port, &request, job.timeout, |line| {
        if let Some((done, total)) = parse_progress(line) {
            progress(Progress::Scored { done, total });
        }
    });
    let answer = answer.map_err(|source| DeviceError::Cable { port: port.path.into(), source })?;
    report::read(&answer.lines, "over the cable", &answer.board, Medium::Memory)
}
