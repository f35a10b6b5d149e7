//! A request over a cable, and what is printed of it.

use std::time::{Duration, Instant};

use emberlm_request::cable::Program;

use super::{CableError, Port};

/// More output than any report is long.
const MAX_OUTPUT: usize = 4 << 20;

/// What a board printed.
#[derive(Debug)]
pub struct Answer {
    /// The board's name.
    pub board: String,
    /// The lines.
    pub lines: Vec<String>,
}

/// Hands the board a request, and hears each line as it comes.
///
/// # Errors
/// There is no such board, or its program is not done after `limit`.
pub fn score(
    port: &Port<'_>,
    request: &[u8],
    limit: Duration,
    mut on_line: impl FnMut(&str),
) -> Result<Answer, CableError> {
    let (mut session, about) = port.open(Program::Score)?;
    let (need, have) = (request.len() as u64, about.room);
    if need > have {
        return Err(CableError::RequestTooLarge { need, have });
    }
    session.type_in(request);
    session.end_typing();
    let (start, mut lines) = (Instant::now(), Lines::default());
    while !session.is_over() {
        let Some(left) = limit.checked_sub(start.elapsed()).filter(|_| lines.n_bytes < MAX_OUTPUT) else {
            return Err(CableError::TimeOut { limit, last_line: lines.whole.pop().unwrap_or_default() });
        };
        let n_before = lines.whole.len();
        session.exchange(Instant::now() + left.min(STEP), |bytes| lines.push(bytes))?;
        lines.whole[n_before..].iter().for_each(|line| on_line(line));
    }
    Ok(Answer { board: about.board, lines: lines.whole })
}

/// Short enough for every clock.
const STEP: Duration = Duration::from_secs(1);

/// Bytes as lines.
#[derive(Default)]
struct Lines {
    whole: Vec<String>,
    /// The start of the next.
    rest: Vec<u8>,
    n_bytes: usize,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.n_bytes += bytes.len();
        for &byte in bytes {
            match byte {
                b'\n' => self.whole.push(String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()),
                byte => self.rest.push(byte),
            }
        }
    }
}
