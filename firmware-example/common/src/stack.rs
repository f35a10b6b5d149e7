//! How deep the stack has been.

#![allow(unsafe_code)]

use core::ptr;

/// What an unused word of the stack holds.
const PAINT: u32 = 0xCCCC_CCCC;

/// Words below the painting function's own frame that it leaves alone, for what it calls.
const MARGIN: usize = 64;

/// A stack that is filled with one value, so that what was used can be told from what was not.
#[derive(Clone, Copy, Debug)]
pub struct PaintedStack {
    /// The lowest word.
    bottom: *const u32,
    len: usize,
}

impl PaintedStack {
    /// A stack of `len` words that grows down to `bottom`.
    ///
    /// # Safety
    ///
    /// The words `bottom .. bottom + len` are mapped memory for as long as the value is used, and nothing but the
    /// stack's own use writes them.
    pub const unsafe fn new(bottom: *const u32, len: usize) -> Self {
        Self { bottom, len }
    }

    /// Paints what is below the caller's frame. For the start of the program, which runs on this stack.
    #[inline(never)]
    pub fn paint(&self) {
        let here = 0_u32;
        let used_from = (&raw const here).addr().saturating_sub(self.bottom.addr()) / size_of::<u32>();
        self.paint_words(used_from.saturating_sub(MARGIN).min(self.len));
    }

    fn paint_words(&self, len: usize) {
        for i in 0..len {
            // SAFETY: the constructor's caller promises that the words are mapped and the stack's own; these are below
            // every live frame.
            unsafe { ptr::write_volatile(self.bottom.add(i).cast_mut(), PAINT) };
        }
    }

    /// The most bytes that it has held since it was painted.
    ///
    /// A frame whose outermost words happen to hold the paint, or are never written, is seen too small by as much.
    pub fn high_water_bytes(&self) -> usize {
        // SAFETY: the constructor's caller promises that the words are mapped; volatile, because calls write them
        // behind the compiler's back.
        let word = |i| unsafe { ptr::read_volatile(self.bottom.add(i)) };
        let untouched = (0..self.len).take_while(|&i| word(i) == PAINT).count();
        (self.len - untouched) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_the_lowest_word_that_was_written() {
        for (used, want) in [(8, 0), (7, 4), (3, 20), (0, 32)] {
            let mut words = [0; 8];
            // SAFETY: `words` outlives the value.
            let stack = unsafe { PaintedStack::new(words.as_mut_ptr(), words.len()) };
            stack.paint_words(8);
            if let Some(word) = words.get_mut(used) {
                *word = 1;
            }
            assert_eq!(stack.high_water_bytes(), want);
        }
    }
}
