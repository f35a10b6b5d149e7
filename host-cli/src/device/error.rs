//! Why a board has no score.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use emberlm_request::RequestError;

use super::cable::CableError;
use crate::ground::files::FileError;
use crate::ground::shown;

/// Why a board has no score.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The blob exceeds the board's partition.
    #[error("the blob does not fit the model partition of {board}: need {need} bytes, have {have}")]
    BlobTooLarge {
        /// The board.
        board: &'static str,
        /// Bytes of the blob.
        need: u64,
        /// Bytes of the partition.
        have: u64,
    },
    /// The tokens exceed the board's partition.
    #[error("the tokens do not fit the request partition of {board}: need {need} bytes, have {have}")]
    RequestTooLarge {
        /// The board.
        board: &'static str,
        /// Bytes of the request.
        need: u64,
        /// Bytes of the partition.
        have: u64,
    },
    /// The request cannot be encoded.
    #[error(transparent)]
    Encode(#[from] RequestError),
    /// The request's temporary file cannot be written.
    #[error("cannot write the request to a temporary file: {0}")]
    Request(#[source] io::Error),
    /// The model cannot be put where the board looks for it.
    #[error("the model's file cannot be handed to the board: {0}")]
    Card(#[source] io::Error),
    /// A file that was named cannot be read, or is something else.
    #[error(transparent)]
    File(#[from] FileError),
    /// A program that the board cannot run.
    #[error(
        "{}: it is {have}, and {board} runs programs of {need}: name another, or leave --firmware out",
        shown::path(path)
    )]
    Firmware {
        /// The program.
        path: PathBuf,
        /// The board.
        board: &'static str,
        /// What the file is.
        have: String,
        /// The machine that it is to be for.
        need: &'static str,
    },
    /// The emulator takes no file of this name.
    #[error("{} cannot be handed to the emulator: its name is not UTF-8", shown::path(.0))]
    PathNotUtf8(PathBuf),
    /// There is neither a program nor its source.
    #[error(
        "no firmware: --firmware names none, no folder above the current one has firmware-example/{package}, and only the \
         mps2-an386's is inside this program; run in a checkout of the project or name the program"
    )]
    NoFirmware {
        /// The package's folder.
        package: &'static str,
    },
    /// Cargo cannot be run.
    #[error("the firmware cannot be built: cargo does not start: {0}")]
    NoCargo(#[source] io::Error),
    /// The build ended with errors.
    #[error("the firmware cannot be built for {target}; cargo says:\n{}", shown::lines(stderr))]
    Build {
        /// The target.
        target: &'static str,
        /// Cargo's words.
        stderr: String,
    },
    /// The emulator is not there.
    #[error(
        "{program} is not installed; get it with the checkout's scripts/setup, `apt-get install qemu-system` \
         or `brew install qemu`"
    )]
    NoEmulator {
        /// The program that was looked for.
        program: String,
    },
    /// The emulator does not run.
    #[error("{program} does not run: {source}")]
    Emulator {
        /// The program.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The board took too long.
    #[error("time-out: the board was not done after {} s; its last line: \"{}\"", .limit.as_secs_f64(), shown::message(last_line))]
    TimeOut {
        /// The limit.
        limit: Duration,
        /// The last line of the output, empty if there was none.
        last_line: String,
    },
    /// The program panicked.
    #[error("the firmware panicked: {}", shown::message(.0))]
    Panic(String),
    /// The processor took a fault.
    #[error("the processor faulted: {}", shown::message(.0))]
    Fault(String),
    /// The program reported an error.
    #[error("the firmware reports: {}", shown::message(.0))]
    Reported(String),
    /// The board does not serve over a cable.
    #[error("{}: {source}", shown::path(port))]
    Cable {
        /// The port.
        port: PathBuf,
        /// Why.
        source: CableError,
    },
    /// The output is not a complete report.
    #[error("the board's output is no report: {}", shown::message(.0))]
    Output(String),
}

impl DeviceError {
    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::BlobTooLarge { .. } | Self::RequestTooLarge { .. } => "does_not_fit",
            Self::Encode(_) | Self::Request(_) | Self::Card(_) => "request",
            Self::File(error) => error.kind(),
            Self::Firmware { .. } => "firmware",
            Self::PathNotUtf8(_) => "unreadable",
            Self::NoFirmware { .. } => "no_firmware",
            Self::NoCargo(_) | Self::Build { .. } => "build",
            Self::NoEmulator { .. } => "no_emulator",
            Self::Emulator { .. } => "emulator",
            Self::TimeOut { .. } => "time_out",
            Self::Panic(_) => "panic",
            Self::Fault(_) => "fault",
            Self::Reported(_) => "device",
            Self::Cable { source, .. } => source.kind(),
            Self::Output(_) => "device_output",
        }
    }

    /// Whether the board ran and failed, which is a failed check, and not an error before it.
    pub const fn is_failed_run(&self) -> bool {
        match self {
            Self::TimeOut { .. } | Self::Panic(_) | Self::Fault(_) | Self::Reported(_) | Self::Output(_) => true,
            Self::Cable { source, .. } => matches!(source, CableError::BeganAnew),
            _ => false,
        }
    }
}
