//! The linker script's memory: partition, stack, variables.
#![allow(unsafe_code)]

use core::slice;

use emberlm_firmware::PaintedStack;

unsafe extern "C" {
    static _stack_end: u32;
    static _stack_start: u32;
    static _variables_start: u32;
    static _variables_end: u32;
    static _model_start: u8;
    static _model_end: u8;
}

/// The model's partition, from its first byte to its last, whatever was flashed there.
pub fn model_partition() -> &'static [u8] {
    let (start, end) = (&raw const _model_start, &raw const _model_end);
    // SAFETY: the linker script keeps these bytes of flash for the partition, and nothing writes them while this runs.
    unsafe { slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// Bytes of all variables.
pub fn static_bytes() -> usize {
    (&raw const _variables_end).addr() - (&raw const _variables_start).addr()
}

/// The stack; only words below live frames change when it is painted.
pub fn stack() -> PaintedStack {
    let (bottom, top) = (&raw const _stack_end, &raw const _stack_start);
    let len = (top.addr() - bottom.addr()) / size_of::<u32>();
    // SAFETY: the linker script reserves these words for the stack, and nothing else is linked into them.
    unsafe { PaintedStack::new(bottom, len) }
}
