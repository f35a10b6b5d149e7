//! What becomes of a fault.

use cortex_m_rt::{ExceptionFrame, exception};

#[allow(unsafe_code)]
// SAFETY: nothing returns from here, so no state that the fault left half-written is used again.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    #[cfg(feature = "messages")]
    crate::print_fault(format_args!("at {:#010x}, called from {:#010x}", frame.pc(), frame.lr()));
    #[cfg(not(feature = "messages"))]
    {
        let _ = frame;
        crate::exit(false)
    }
}
