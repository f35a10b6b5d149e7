//! What a board is to score, and how it is reached.

use std::path::Path;
use std::time::Duration;

use emberlm_core::config::TokenId;
use emberlm_request::{Header, RequestError, encode, encoded_len};

use super::cable::Port;
use super::{Board, Medium};

/// What to score, where and with what.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// How the board is reached.
    pub link: Link<'a>,
    /// Convention, context, KV cache and bytes of the text.
    pub header: Header,
    /// The rows of token ids.
    pub rows: &'a [&'a [TokenId]],
    /// How long the board may take.
    pub timeout: Duration,
}

/// How a board is reached.
#[derive(Clone, Copy, Debug)]
pub enum Link<'a> {
    /// It is emulated.
    Emulator(Emulated<'a>),
    /// It is at the other end of a cable, with program and model in its flash.
    Port(Port<'a>),
}

/// A board in the emulator, which is handed its program and its model.
#[derive(Clone, Copy, Debug)]
pub struct Emulated<'a> {
    /// The board.
    pub board: &'static Board,
    /// The model's blob.
    pub blob: &'a Path,
    /// Where the board finds it.
    pub medium: Medium,
    /// The program, where it is not to be built.
    pub firmware: Option<&'a Path>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The firmware is being built.
    Building,
    /// The firmware runs.
    Running,
    /// So many tokens are scored, each of them twice by the end where the model is in memory and the board has a heap: in
    /// static buffers and in the heap's.
    Scored {
        /// Tokens scored so far.
        done: u64,
        /// Tokens to score.
        total: u64,
    },
}

impl Job<'_> {
    /// The request, as the board reads it.
    pub(super) fn request(&self) -> Result<Vec<u8>, RequestError> {
        let mut bytes = vec![0; encoded_len(self.rows)?];
        let len = encode(&mut bytes, &self.header, self.rows)?;
        bytes.truncate(len);
        Ok(bytes)
    }
}
