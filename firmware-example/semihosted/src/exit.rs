//! The ways out: every end of the program reaches the host as an exit code.

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use semihosting::process::ExitCode;

use crate::Console;

/// Ends the program, with code 0 or 1 for the host.
pub fn exit(success: bool) -> ! {
    let code = if success { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    code.exit_process()
}

/// Says what the processor faulted on, and ends the program.
pub fn print_fault(what: fmt::Arguments<'_>) -> ! {
    if let Some(mut console) = Console::open() {
        // Nothing is left to do about a console that fails.
        let _ = writeln!(console, "\nfault: {what}\ndone: failed");
    }
    exit(false)
}

#[cfg(not(feature = "messages"))]
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(false)
}

#[cfg(feature = "messages")]
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if let Some(mut console) = Console::open() {
        let _ = write!(console, "\npanic: {}", info.message());
        let _ = match info.location() {
            Some(at) => writeln!(console, " at {}:{}", at.file(), at.line()),
            None => writeln!(console),
        };
        let _ = writeln!(console, "done: failed");
    }
    exit(false)
}
