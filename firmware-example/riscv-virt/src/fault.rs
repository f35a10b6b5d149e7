//! What becomes of a fault.

use emberlm_semihosted::print_fault;
use riscv::register::{mcause, mepc, mtval};
use riscv_rt::TrapFrame;

/// Every exception ends here, since none is expected.
#[allow(unsafe_code)]
// SAFETY: the name and the signature are what riscv-rt's start-up code calls.
#[unsafe(export_name = "ExceptionHandler")]
extern "C" fn exception_handler(frame: &TrapFrame) -> ! {
    let (cause, value) = (mcause::read().code(), mtval::read());
    print_fault(format_args!(
        "at {:#010x}, called from {:#010x}, cause {cause}, value {value:#010x}",
        mepc::read(),
        frame.ra
    ))
}
