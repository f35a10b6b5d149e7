//! What a program needs of the board that it runs on.

use core::fmt;

use emberlm_core::kernel::Kernel;

/// What a program needs of the board that it runs on. [`fmt::Write`] is its console.
pub trait Board: fmt::Write {
    /// The board's name, as the host's table of boards has it.
    const NAME: &'static str;

    /// The fastest kernel that the core can run.
    type Kernel: Kernel + Default;

    /// [`Board::ticks`] while the emulator executes a thousand instructions, which take a microsecond of its time: the
    /// counter's clock in MHz.
    ///
    /// On silicon a tick is one cycle of that clock, and counts of instructions are no more than an estimate.
    const TICKS_PER_1000_INSTRUCTIONS: u64;

    /// Ticks since the board started.
    fn ticks(&self) -> u64;

    /// The instructions that the emulator executes in so many ticks.
    fn instructions(ticks: u64) -> u64 {
        1000 * ticks / Self::TICKS_PER_1000_INSTRUCTIONS
    }

    /// Bytes of everything linked into RAM, static buffers included, the stack and the heap's pool excluded.
    fn static_bytes(&self) -> usize;

    /// The most bytes that the stack has held so far.
    fn stack_bytes(&self) -> usize;

    /// Bytes of the heap that are free; 0 on a board that has none.
    fn heap_free(&self) -> usize {
        0
    }
}
