//! What the linker script lays out: partitions, variables and stack.
#![allow(unsafe_code)]

use core::slice;

use emberlm_firmware::PaintedStack;

unsafe extern "C" {
    static _model_start: u8;
    static _model_end: u8;
    static _request_start: u8;
    static _request_end: u8;
    /// The lowest word of the stack, and the end of the highest.
    static _stack_end: u32;
    static _stack_start: u32;
    /// Everything linked into RAM but the stack.
    static _variables_start: u8;
    static _variables_end: u8;
}

/// The partition that holds the model's blob, to its end.
pub fn model_partition() -> &'static [u8] {
    let (start, end) = (&raw const _model_start, &raw const _model_end);
    // SAFETY: the linker script reserves this range for the partition: mapped, 16-byte aligned, and nothing is linked
    // into it, so that nothing writes it while the program runs.
    unsafe { slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// The partition that holds the request, to its end.
pub fn request_partition() -> &'static [u8] {
    let (start, end) = (&raw const _request_start, &raw const _request_end);
    // SAFETY: as for the model's partition.
    unsafe { slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// Bytes of everything linked into RAM but the stack.
pub fn static_bytes() -> usize {
    (&raw const _variables_end).addr() - (&raw const _variables_start).addr()
}

/// The stack.
pub fn stack() -> PaintedStack {
    let (bottom, top) = (&raw const _stack_end, &raw const _stack_start);
    let len = (top.addr() - bottom.addr()) / size_of::<u32>();
    // SAFETY: the linker script reserves these words for the stack, and nothing else is linked into them.
    unsafe { PaintedStack::new(bottom, len) }
}
