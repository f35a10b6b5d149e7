//! Scoring on a board: the firmware is built, handed a blob and a request, run in an emulator, and its report read.
//!
//! [`Board`] is the table of boards, [`firmware`] finds and builds the program, [`emulator`] runs it against a
//! deadline, [`report`] reads what it prints.

pub mod board;
pub mod emulator;
pub mod error;
pub mod firmware;
pub mod report;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use emberlm_core::config::TokenId;
use emberlm_request::{Header, encode, encoded_len};
use tempfile::NamedTempFile;

pub use board::{BOARDS, Board, Family};
pub use error::DeviceError;
pub use report::DeviceReport;

/// What to score, where and with what.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The board.
    pub board: &'static Board,
    /// The model's blob.
    pub blob: &'a Path,
    /// Convention, context, KV cache and bytes of the text.
    pub header: Header,
    /// The rows of token ids.
    pub rows: &'a [&'a [TokenId]],
    /// The program, where it is not to be built.
    pub firmware: Option<&'a Path>,
    /// How long the emulator may run.
    pub timeout: Duration,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The firmware is being built.
    Building,
    /// The firmware runs.
    Running,
    /// So many tokens are scored, each of them twice by the end: in static buffers and in the heap's.
    Scored {
        /// Tokens scored so far.
        done: u64,
        /// Tokens to score.
        total: u64,
    },
}

/// Runs the job; `progress` hears how far it is.
///
/// # Errors
/// Whatever kept the board from a complete report. [`DeviceError::is_failed_run`] tells a run that went wrong from one
/// that could not be started.
pub fn score(job: &Job<'_>, mut progress: impl FnMut(Progress)) -> Result<DeviceReport, DeviceError> {
    job.board.check_blob(job.blob)?;
    let request = write_request(job)?;
    let built;
    let program = match job.firmware {
        Some(program) => program,
        None => {
            progress(Progress::Building);
            built = firmware::build(job.board, firmware::SCORE)?;
            &built
        }
    };
    let loads = [(job.blob, job.board.model.address), (request.path(), job.board.request.address)];
    let command = emulator::command(job.board, program, &loads)?;
    progress(Progress::Running);
    let run = emulator::run(command, job.timeout, |line| {
        if let Some((done, total)) = report::progress(line) {
            progress(Progress::Scored { done, total });
        }
    })?;
    report::parse(&run, job.board)
}

fn write_request(job: &Job<'_>) -> Result<NamedTempFile, DeviceError> {
    let mut bytes = vec![0; encoded_len(job.rows)?];
    let len = encode(&mut bytes, &job.header, job.rows)?;
    let (need, have) = (len as u64, job.board.request.bytes);
    if need > have {
        return Err(DeviceError::RequestTooLarge { board: job.board.name, need, have });
    }
    let write = || {
        let mut file = NamedTempFile::with_prefix("emberlm-request-")?;
        file.write_all(&bytes[..len])?;
        file.flush()?;
        Ok(file)
    };
    write().map_err(DeviceError::Request)
}
