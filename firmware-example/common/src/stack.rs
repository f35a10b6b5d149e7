#![allow(unsafe_code)]

use core::ptr;

/// A stack that the start-up code filled with one value, so that what was used can be told from what was not.
#[derive(Clone, Copy, Debug)]
pub struct PaintedStack {
    /// The lowest word.
    bottom: *const u32,
    len: usize,
    paint: u32,
}

impl PaintedStack {
    /// A stack of `len` words that grows down to `bottom`.
    ///
    /// # Safety
    ///
    /// The words `bottom .. bottom + len` are mapped memory for as long as the value is used, and nothing but the
    /// stack's own use writes them.
    pub const unsafe fn new(bottom: *const u32, len: usize, paint: u32) -> Self {
        Self { bottom, len, paint }
    }

    /// The most bytes that it has held.
    ///
    /// A frame whose outermost words happen to hold the paint, or are never written, is seen too small by as much.
    pub fn high_water_bytes(&self) -> usize {
        // SAFETY: the constructor's caller promises that the words are mapped; volatile, because calls write them
        // behind the compiler's back.
        let word = |i| unsafe { ptr::read_volatile(self.bottom.add(i)) };
        let untouched = (0..self.len).take_while(|&i| word(i) == self.paint).count();
        (self.len - untouched) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAINT: u32 = 0xCCCC_CCCC;

    #[test]
    fn counts_from_the_lowest_word_that_was_written() {
        for (used, want) in [(8, 0), (7, 4), (3, 20), (0, 32)] {
            let mut words = [PAINT; 8];
            if let Some(word) = words.get_mut(used) {
                *word = 1;
            }
            // SAFETY: `words` outlives the value.
            let stack = unsafe { PaintedStack::new(words.as_ptr(), words.len(), PAINT) };
            assert_eq!(stack.high_water_bytes(), want);
        }
    }
}
