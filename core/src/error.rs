//! Errors that several stages share. Each stage's own errors live beside it.

use core::fmt;

/// A buffer that the caller owns, by the role that it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Buffer {
    /// The KV cache, in 32-bit words.
    KvCache,
    /// The number of layers that a KV cache has memory for.
    KvLayers,
    /// The float part of the scratch memory, in f32 elements.
    ScratchFloats,
    /// The integer part of the scratch memory, in 32-bit words.
    ScratchWords,
    /// The bytes through which a copying source reads.
    Source,
    /// The sinks handed to a scoring call.
    Sinks,
    /// The tokens of a generation's context.
    Context,
}

impl Buffer {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KvCache | Self::KvLayers => "kv cache",
            Self::ScratchFloats | Self::ScratchWords => "scratch memory",
            Self::Source => "source buffer",
            Self::Sinks => "list of sinks",
            Self::Context => "context buffer",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::KvCache | Self::ScratchWords => "words",
            Self::KvLayers => "layers",
            Self::ScratchFloats => "floats",
            Self::Source => "bytes",
            Self::Sinks => "sinks",
            Self::Context => "ids",
        }
    }
}

/// A buffer is smaller than the model needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BufferTooSmall {
    /// Which buffer.
    pub buffer: Buffer,
    /// The least number of its elements that would do.
    pub need: usize,
    /// The number of elements that it has.
    pub have: usize,
}

impl BufferTooSmall {
    /// `Ok` when `have` is at least `need`.
    pub(crate) const fn check(buffer: Buffer, need: usize, have: usize) -> Result<(), Self> {
        if have < need { Err(Self { buffer, need, have }) } else { Ok(()) }
    }
}

impl fmt::Display for BufferTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = (self.buffer.name(), self.buffer.unit());
        write!(f, "{name} too small: need {} {unit}, have {}", self.need, self.have)
    }
}

impl core::error::Error for BufferTooSmall {}
