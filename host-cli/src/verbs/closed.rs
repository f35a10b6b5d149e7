//! Whether the program was started without a standard output.
//!
//! Rust's runtime opens the null device in the place of closed standard streams before `main` runs, so that what is
//! printed vanishes without an error. What was there before it is looked at before it starts.

use std::sync::atomic::{AtomicBool, Ordering};

static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether the program was started with a closed standard output. Known on Linux; elsewhere it is taken as open.
pub fn was_stdout() -> bool {
    STDOUT_CLOSED.load(Ordering::Relaxed)
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod before_main {
    use super::{Ordering, STDOUT_CLOSED};

    // SAFETY: the loader calls the functions in this section once, before `main`, on the only thread that there is.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        // SAFETY: the call asks for a descriptor's flags and changes nothing; one that is closed is an error.
        let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
        STDOUT_CLOSED.store(flags == -1, Ordering::Relaxed);
    }
}
