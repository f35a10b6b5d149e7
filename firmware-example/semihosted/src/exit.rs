//! The ways out: every end of the program reaches the host as an exit code.

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use emberlm_request::report::{Report, key};
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
        let _ = writeln!(console).and_then(|()| console.line(key::FAULT, what)).and_then(|()| console.end(false));
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
        let message = info.message();
        let _ = writeln!(console).and_then(|()| match info.location() {
            Some(at) => console.line(key::PANIC, format_args!("{message} at {}:{}", at.file(), at.line())),
            None => console.line(key::PANIC, message),
        });
        let _ = console.end(false);
    }
    exit(false)
}
