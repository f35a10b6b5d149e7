//! The `tokenizers` crate at arm's length: where it panics or does not come to an end, that is an error.

use std::panic;
use std::sync::Once;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The name of the threads that the crate runs on.
const THREAD: &str = "tokenizers";

/// Runs `work` on a thread of its own, and waits for `limit` at most. A thread that is late is left to itself.
///
/// # Errors
/// The work panicked, which is not printed, or took too long.
pub fn run<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    keep_panics_quiet();
    let (send, receive) = mpsc::channel();
    // The receiver is gone where the work is late.
    let run = move || drop(send.send(work()));
    let thread = thread::Builder::new().name(THREAD.into()).spawn(run).map_err(|error| error.to_string())?;
    match receive.recv_timeout(limit) {
        Ok(done) => Ok(done),
        Err(RecvTimeoutError::Timeout) => Err(format!("it takes more than {} s", limit.as_secs())),
        Err(RecvTimeoutError::Disconnected) => {
            let panic = thread.join().err();
            let said = panic.as_ref().and_then(|panic| {
                let text = panic.downcast_ref::<&str>().copied();
                text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            });
            let line = said.unwrap_or("no reason given").lines().next().unwrap_or_default();
            Err(format!("the tokenizers library gave up on it ({line})"))
        }
    }
}

/// What these threads say when they panic becomes an error's words, and is not for the terminal.
fn keep_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if thread::current().name() != Some(THREAD) {
                tell(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn panics_and_delays_are_errors() {
        assert_eq!(run(SECOND, || 7), Ok(7));
        let why = run(SECOND, || assert!(std::hint::black_box(false), "it broke\nin two")).unwrap_err();
        assert_eq!(why, "the tokenizers library gave up on it (it broke)");
        let why = run(Duration::from_millis(10), || thread::sleep(SECOND)).unwrap_err();
        assert_eq!(why, "it takes more than 0 s");
    }
}
