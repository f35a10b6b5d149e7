//! Scoring on a board: the firmware is built, handed a blob and a request, run in an emulator, and its report read.
//!
//! [`Board`] is the table of boards, [`firmware`] finds and builds the program, [`emulator`] runs it against a
//! deadline, [`report`] reads what it prints.

pub mod board;
pub mod emulator;
pub mod error;
pub mod firmware;
mod processor;
pub mod report;

use std::io;
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use emberlm_core::config::TokenId;
use emberlm_request::report::parse_progress;
use emberlm_request::{Header, encode, encoded_len};

use crate::ground::files::temporary::TemporaryFolder;

pub use board::{BOARDS, Board, Family, Medium, Region};
pub use error::DeviceError;
pub use report::DeviceReport;

/// What to score, where and with what.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The board.
    pub board: &'static Board,
    /// The model's blob.
    pub blob: &'a Path,
    /// Where the board finds it.
    pub medium: Medium,
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
    /// So many tokens are scored, where the model is in memory each of them twice by the end: in static buffers and in the
    /// heap's.
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
    if job.medium == Medium::Memory {
        job.board.check_blob(job.blob)?;
    }
    if let Some(program) = job.firmware {
        firmware::check(program, job.board)?;
    }
    let folder = TemporaryFolder::new().map_err(DeviceError::Request)?;
    let request = write_request(job, folder.path())?;
    let built;
    let program = match job.firmware {
        Some(program) => program,
        None => {
            progress(Progress::Building);
            built = firmware::build(job.board, job.medium.program())?;
            &built
        }
    };
    let request = (request.as_path(), job.board.request.address);
    let command = match job.medium {
        Medium::Memory => {
            let model = (job.blob, job.board.model.address);
            emulator::command(job.board, program, &[model, request])?
        }
        Medium::Card => {
            write_card(job.blob, folder.path()).map_err(DeviceError::Card)?;
            let program = path::absolute(program).map_err(DeviceError::Card)?;
            let mut command = emulator::command(job.board, &program, &[request])?;
            command.current_dir(folder.path());
            command
        }
    };
    progress(Progress::Running);
    let run = emulator::run(command, job.timeout, |line| {
        if let Some((done, total)) = parse_progress(line) {
            progress(Progress::Scored { done, total });
        }
    })?;
    report::parse(&run, job.board, job.medium)
}

/// Puts the blob into the folder as `model.blob`, for a program to find.
fn write_card(blob: &Path, folder: &Path) -> io::Result<()> {
    let (blob, file) = (path::absolute(blob)?, folder.join("model.blob"));
    #[cfg(unix)]
    std::os::unix::fs::symlink(blob, file)?;
    #[cfg(not(unix))]
    std::fs::copy(blob, file)?;
    Ok(())
}

fn write_request(job: &Job<'_>, folder: &Path) -> Result<PathBuf, DeviceError> {
    let mut bytes = vec![0; encoded_len(job.rows)?];
    let len = encode(&mut bytes, &job.header, job.rows)?;
    let (need, have) = (len as u64, job.board.request.bytes);
    if need > have {
        return Err(DeviceError::RequestTooLarge { board: job.board.name, need, have });
    }
    let path = folder.join("request");
    std::fs::write(&path, &bytes[..len]).map_err(DeviceError::Request)?;
    Ok(path)
}
