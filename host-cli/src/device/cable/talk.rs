//! A board's console over a cable.

use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use emberlm_request::cable::Program;
use emberlm_request::report::{OK, SEPARATOR, key};

use super::{CableError, Port};

/// Soon enough for a person that types.
const STEP: Duration = Duration::from_millis(20);

/// Hands the board what is typed, until nobody types any more, and `show` what it says. Says whether its program ended well.
///
/// # Errors
/// There is no such board, or it is gone, or what it says cannot be shown.
pub fn talk(
    port: &Port<'_>,
    typed: &Receiver<Vec<u8>>,
    mut show: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<bool, CableError> {
    let (mut session, _) = port.open(Program::Console)?;
    let well = format!("\n{}{SEPARATOR}{OK}\n", key::DONE);
    let (mut is_typing, mut tail) = (true, Vec::new());
    while !session.is_over() {
        while is_typing {
            match typed.try_recv() {
                Ok(bytes) => session.type_in(&bytes),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    session.end_typing();
                    is_typing = false;
                }
            }
        }
        let mut new = Vec::new();
        session.exchange(Instant::now() + STEP, |bytes| new.extend_from_slice(bytes))?;
        if !new.is_empty() {
            show(&new).map_err(CableError::Show)?;
            tail.extend(new);
            tail.drain(..tail.len().saturating_sub(well.len()));
        }
    }
    Ok(tail == well.as_bytes())
}
