//! The ways out: every end of the program reaches the host as an exit code.

use core::fmt::Write;
use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};
use cortex_m_semihosting::{debug, hio};

/// Ends the program, with code 0 or 1 for the host.
pub fn exit(success: bool) -> ! {
    debug::exit(if success { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    // A debugger may let the program go on.
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    if let Ok(mut console) = hio::hstdout() {
        // Nothing is left to do about a console that fails.
        let _ = write!(console, "\npanic: {}", info.message());
        let _ = match info.location() {
            Some(at) => writeln!(console, " at {}:{}", at.file(), at.line()),
            None => writeln!(console),
        };
        let _ = writeln!(console, "done: failed");
    }
    exit(false)
}

#[allow(unsafe_code)]
// SAFETY: nothing returns from here, so no state that the fault left half-written is used again.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    if let Ok(mut console) = hio::hstdout() {
        let _ = writeln!(console, "\nfault: at {:#010x}, called from {:#010x}", frame.pc(), frame.lr());
        let _ = writeln!(console, "done: failed");
    }
    exit(false)
}
