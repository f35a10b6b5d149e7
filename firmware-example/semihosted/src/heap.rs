//! The heap, of [`BYTES`].
#![allow(unsafe_code)]

use embedded_alloc::LlffHeap;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// Bytes of the pool.
pub const BYTES: usize = 1536 * 1024;

/// Hands the heap its memory. Called once, before the first allocation.
pub fn init() {
    // SAFETY: the macro's own static becomes the heap's memory; a second call panics in the heap before it uses it.
    unsafe {
        embedded_alloc::init!(HEAP, BYTES);
    }
}

/// Bytes that are free.
pub fn free() -> usize {
    HEAP.free()
}
