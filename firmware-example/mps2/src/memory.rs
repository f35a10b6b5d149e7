//! What the linker script lays out: partitions, variables, stack and heap.
#![allow(unsafe_code)]

use core::slice;

use embedded_alloc::LlffHeap;
use emberlm_firmware::PaintedStack;

unsafe extern "C" {
    static _model_start: u8;
    static _model_end: u8;
    static _request_start: u8;
    static _request_end: u8;
    static _stack_end: u32;
    static _stack_start: u32;
    static __sdata: u8;
    static __euninit: u8;
}

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// Bytes of the heap.
const HEAP_BYTES: usize = 1536 * 1024;

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

/// Bytes of everything linked into RAM, from `.data` to `.uninit`, but for the heap's pool.
pub fn static_bytes() -> usize {
    (&raw const __euninit).addr() - (&raw const __sdata).addr() - HEAP_BYTES
}

/// The stack, painted by cortex-m-rt.
pub fn stack() -> PaintedStack {
    let (bottom, top) = (&raw const _stack_end, &raw const _stack_start);
    let len = (top.addr() - bottom.addr()) / size_of::<u32>();
    // SAFETY: the linker script reserves these words for the stack, and cortex-m-rt painted them before main.
    unsafe { PaintedStack::new(bottom, len, cortex_m_rt::STACK_PAINT_VALUE) }
}

/// Hands the heap its memory. Called once, before the first allocation.
pub fn init_heap() {
    // SAFETY: the macro's own static becomes the heap's memory; a second call panics in the heap before it uses it.
    unsafe {
        embedded_alloc::init!(HEAP, HEAP_BYTES);
    }
}

/// Bytes of the heap that are free.
pub fn heap_free() -> usize {
    HEAP.free()
}
