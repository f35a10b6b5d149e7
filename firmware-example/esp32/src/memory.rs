//! The HAL's linker script's memory: stack and variables.
#![allow(unsafe_code)]

use emberlm_firmware::PaintedStack;

unsafe extern "C" {
    static _data_start: u32;
    static _bss_end: u32;
    /// A word near the stack's end that the HAL lets nobody write.
    static __stack_chk_guard: u32;
    static _stack_start: u32;
}

/// Bytes of all variables.
pub fn static_bytes() -> usize {
    (&raw const _bss_end).addr() - (&raw const _data_start).addr()
}

/// The stack above its guard; only words below live frames change when it is painted.
pub fn stack() -> PaintedStack {
    let (guard, top) = (&raw const __stack_chk_guard, &raw const _stack_start);
    let bottom = guard.wrapping_add(1);
    let len = (top.addr() - bottom.addr()) / size_of::<u32>();
    // SAFETY: the linker script gives the stack what lies between guard and top, and nothing else is linked into it.
    unsafe { PaintedStack::new(bottom, len) }
}
