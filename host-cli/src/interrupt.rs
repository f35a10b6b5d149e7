//! Ctrl-C, which ends a text rather than the program.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

static PRESSED: AtomicBool = AtomicBool::new(false);

/// What a shell expects of a program that ends by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Has Ctrl-C noted from now on; pressed again before it was [`take`]n, it ends the program.
///
/// # Errors
/// The system does not let it.
pub fn watch() -> Result<(), Error> {
    let pressed = || {
        if PRESSED.swap(true, Ordering::Relaxed) {
            process::exit(INTERRUPTED);
        }
    };
    match ctrlc::set_handler(pressed) {
        Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(()),
        Err(error) => Err(Error::Usage(format!("Ctrl-C cannot be watched: {error}"))),
    }
}

/// Whether it was pressed since the last call.
pub fn take() -> bool {
    PRESSED.swap(false, Ordering::Relaxed)
}
