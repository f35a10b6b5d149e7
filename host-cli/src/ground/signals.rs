//! Signals that end a program: what must not outlive it goes first, and Ctrl-C may end a text instead.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// What takes a file, a folder or a process away.
pub type Undo = Box<dyn FnOnce() + Send>;

/// What is to be undone, by the numbers of its guards.
static TO_UNDO: Mutex<BTreeMap<u64, Undo>> = Mutex::new(BTreeMap::new());

static IS_WATCHED: AtomicBool = AtomicBool::new(false);
static PRESSED: AtomicBool = AtomicBool::new(false);

/// Keeps an [`Undo`] ready until it is dropped.
#[derive(Debug)]
pub struct Guard(u64);

impl Drop for Guard {
    fn drop(&mut self) {
        to_undo().remove(&self.0);
    }
}

/// Makes something that a signal which ends the program undoes, as long as the guard lives.
///
/// # Errors
/// Those of `make`, or the system does not let signals be watched.
pub fn guarded<T, E: From<io::Error>>(make: impl FnOnce() -> Result<(T, Undo), E>) -> Result<(T, Guard), E> {
    install()?;
    // Nothing is made once a signal has begun to clear up: the lock is not given back then.
    let mut all = to_undo();
    let (made, undo) = make()?;
    let number = all.last_key_value().map_or(0, |(&last, _)| last + 1);
    all.insert(number, undo);
    Ok((made, Guard(number)))
}

/// Has Ctrl-C noted from now on; pressed again before it was [`take`]n, it ends the program.
///
/// # Errors
/// The system does not let it.
pub fn watch_interrupt() -> io::Result<()> {
    IS_WATCHED.store(true, Ordering::Relaxed);
    install()
}

/// Whether Ctrl-C was pressed since the last call.
pub fn take() -> bool {
    PRESSED.swap(false, Ordering::Relaxed)
}

fn to_undo() -> MutexGuard<'static, BTreeMap<u64, Undo>> {
    TO_UNDO.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether Ctrl-C is to be noted only.
fn is_noted() -> bool {
    IS_WATCHED.load(Ordering::Relaxed) && !PRESSED.swap(true, Ordering::Relaxed)
}

/// Undoes everything, then has `end` end the program.
fn end_by(end: impl FnOnce()) {
    let mut all = to_undo();
    while let Some((_, undo)) = all.pop_last() {
        undo();
    }
    end();
}

/// Handles the signals, once.
fn install() -> io::Result<()> {
    static INSTALLED: OnceLock<Result<(), (io::ErrorKind, String)>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| handle().map_err(|error| (error.kind(), error.to_string())));
    installed.clone().map_err(|(kind, why)| io::Error::new(kind, why))
}

#[cfg(unix)]
fn handle() -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    // A file that grows beyond what the system allows is an error in writing, as a full disk is.
    signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default())?;
    // What the caller had ignored, as nohup does, stays so.
    let signals: Vec<i32> = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|&signal| !is_ignored(signal)).collect();
    let mut signals = Signals::new(signals)?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if signal != SIGINT || !is_noted() {
                // The shell learns which signal it was.
                end_by(|| emulate_default_handler(signal).unwrap_or_else(|_| std::process::abort()));
            }
        }
    })?;
    Ok(())
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only fills `action`, which is as large as the system expects and valid when
    // all zeros.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(not(unix))]
fn handle() -> io::Result<()> {
    /// What a shell expects of a program that ends by Ctrl-C.
    const INTERRUPTED: i32 = 130;
    let ended = || {
        if !is_noted() {
            end_by(|| std::process::exit(INTERRUPTED));
        }
    };
    ctrlc::set_handler(ended).map_err(io::Error::other)
}
