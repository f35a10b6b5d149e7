//! A board whose console is semihosting: what all of them do alike.

use core::fmt;
use core::marker::PhantomData;

use emberlm_core::kernel::Kernel;
use emberlm_firmware::{Board, Buffers, Input, StaticBuffers};

#[cfg(feature = "heap")]
use crate::heap;
use crate::{Console, memory};

/// What differs from board to board, the memory map besides.
pub trait Machine: Sync {
    /// The board's name, as the host's table of boards has it.
    const NAME: &'static str;

    /// The fastest kernel that the core can run.
    type Kernel: Kernel + Default;

    /// What counts.
    type Clock: Clock;
}

/// A counter of the core's.
pub trait Clock {
    /// [`Board::TICKS_PER_1000_INSTRUCTIONS`].
    const TICKS_PER_1000_INSTRUCTIONS: u64;

    /// Starts counting; `None` when somebody else has the counter.
    fn start() -> Option<()>;

    /// Ticks since the start.
    fn ticks() -> u64;
}

/// A running board.
#[derive(Debug)]
pub struct Semihosted<M> {
    console: Option<Console>,
    machine: PhantomData<M>,
}

impl<M: Machine> Semihosted<M> {
    /// Paints the stack, sets up the heap where there is one, starts the clock, opens the console and hands out the static
    /// buffers; `None` when called a second time, or without a debugger.
    pub fn take<const KV: usize, const FLOATS: usize, const WORDS: usize, const TOKENS: usize, const BATCH: usize>(
        buffers: &'static StaticBuffers<KV, FLOATS, WORDS, TOKENS, BATCH>,
    ) -> Option<(Self, Buffers<'static>)> {
        let (board, buffers) = Self::take_silent(buffers)?;
        Some((Self { console: Some(Console::open()?), ..board }, buffers))
    }

    /// The same without the console, and so without a debugger: for programs that have another.
    pub fn take_silent<
        const KV: usize,
        const FLOATS: usize,
        const WORDS: usize,
        const TOKENS: usize,
        const BATCH: usize,
    >(
        buffers: &'static StaticBuffers<KV, FLOATS, WORDS, TOKENS, BATCH>,
    ) -> Option<(Self, Buffers<'static>)> {
        memory::stack().paint();
        let buffers = buffers.take()?;
        #[cfg(feature = "heap")]
        heap::init();
        M::Clock::start()?;
        Some((Self { console: None, machine: PhantomData }, buffers))
    }
}

impl<M> fmt::Write for Semihosted<M> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.as_mut().ok_or(fmt::Error)?.write_str(text)
    }
}

impl<M> Input for Semihosted<M> {
    fn read_byte(&mut self) -> Result<Option<u8>, fmt::Error> {
        self.console.as_mut().ok_or(fmt::Error)?.read_byte()
    }
}

impl<M: Machine> Board for Semihosted<M> {
    const NAME: &'static str = M::NAME;

    type Kernel = M::Kernel;

    const TICKS_PER_1000_INSTRUCTIONS: u64 = M::Clock::TICKS_PER_1000_INSTRUCTIONS;

    fn ticks(&self) -> u64 {
        M::Clock::ticks()
    }

    fn static_bytes(&self) -> usize {
        memory::static_bytes() - HEAP_BYTES
    }

    fn stack_bytes(&self) -> usize {
        memory::stack().high_water_bytes()
    }

    #[cfg(feature = "heap")]
    fn heap_free(&self) -> usize {
        heap::free()
    }
}

/// Of the linked variables, those that are the heap's pool.
#[cfg(feature = "heap")]
const HEAP_BYTES: usize = heap::BYTES;
#[cfg(not(feature = "heap"))]
const HEAP_BYTES: usize = 0;
