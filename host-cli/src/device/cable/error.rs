//! Why a board does not serve over a cable.

use std::io;
use std::time::Duration;

use emberlm_request::cable::VERSION;

use crate::ground::shown;

/// Why a board does not serve over a cable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CableError {
    /// What is named is something else.
    #[error("no serial port: it is {0}")]
    NoPort(&'static str),
    /// The port is not to be had.
    #[error("the serial port cannot be opened: {0}")]
    Open(#[source] io::Error),
    /// The port is no more.
    #[error("the serial port is gone: {0}")]
    Line(#[from] io::Error),
    /// Nobody answers.
    #[error(
        "no board answers within {} s: is it on, with the program `cable` in its flash, and at this baud rate?",
        .0.as_secs_f64()
    )]
    Silent(Duration),
    /// The device's frames are others.
    #[error("the board speaks version {0} of what goes over a cable, this program {VERSION}: build its program anew")]
    Version(u8),
    /// The device holds another model.
    #[error("the board holds the model {have}, and the blob is {need}: flash the blob, or name the one it holds")]
    OtherModel {
        /// The CRC-32 of the board's blob.
        have: String,
        /// That of the host's.
        need: String,
    },
    /// The tokens exceed the device's memory.
    #[error("the tokens do not fit the memory that the board has for a request: need {need} bytes, have {have}")]
    RequestTooLarge {
        /// Bytes of the request.
        need: u64,
        /// Bytes of the board's memory for it.
        have: u64,
    },
    /// The device has forgotten the session.
    #[error("the board has begun anew in the midst of it: was it reset, or short of power?")]
    BeganAnew,
    /// The board took too long.
    #[error("time-out: the board was not done after {} s; its last line: \"{}\"", .limit.as_secs_f64(), shown::message(last_line))]
    TimeOut {
        /// The limit.
        limit: Duration,
        /// The last line of the output, empty if there was none.
        last_line: String,
    },
    /// The console is not to be had.
    #[error("what the board says cannot be shown: {0}")]
    Show(#[source] io::Error),
}

impl CableError {
    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoPort(_) | Self::Open(_) | Self::Line(_) => "port",
            Self::Silent(_) => "no_answer",
            Self::Version(_) => "version",
            Self::OtherModel { .. } => "other_model",
            Self::RequestTooLarge { .. } => "does_not_fit",
            Self::BeganAnew => "began_anew",
            Self::TimeOut { .. } => "time_out",
            Self::Show(_) => "output",
        }
    }
}
