//! How exact activations are.

/// What activations are rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Nothing: 32 bits.
    F32,
    /// 16-bit integers.
    I16,
    /// 8-bit integers.
    I8,
}

impl Width {
    /// The name that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::I16 => "i16",
            Self::I8 => "i8",
        }
    }
}
