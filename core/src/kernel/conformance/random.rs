//! Numbers for tests.

/// Marsaglia's xorshift, of 32 bits (2003).
#[derive(Clone, Debug)]
pub struct Random(u32);

impl Default for Random {
    fn default() -> Self {
        Self(0x2545_F491)
    }
}

impl Random {
    /// Other numbers for another seed.
    pub const fn new(seed: u32) -> Self {
        // Zero would stay zero.
        Self(if seed == 0 { 1 } else { seed })
    }

    /// Any but zero.
    pub const fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// Of either sign, of magnitude up to 2^31: a whole number.
    pub(super) const fn whole(&mut self) -> f32 {
        self.next() as i32 as f32
    }

    /// Of either sign, of magnitude up to 2^11.
    pub(super) const fn float(&mut self) -> f32 {
        self.whole() * (1.0 / 1_048_576.0)
    }
}
