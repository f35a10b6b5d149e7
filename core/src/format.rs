//! How a tensor's rows are stored.
//!
//! | format | row of `n` weights | weight |
//! |---|---|---|
//! | [`Format::F32`], [`Format::F16`] | `n` floats, padding | as stored |
//! | [`Format::Q8`] | groups of 64, each an i8 `q` a weight; scales, `s` u8 | `d * s * q` |
//! | [`Format::Q6`] … [`Format::Q3`] | groups of 32, each one or two planes of bits `u`; scales, `s` i8 | `d * s * (u - 2^(bits - 1))` |
//!
//! The scales are one byte `s` for each group, zero padding, and one bf16 `d` in the row's last two bytes. A negative `s`
//! lets a group's largest weight, of either sign, meet the integer that is farthest from zero. All integers and floats
//! are little-endian. Every row starts at a multiple of 4 bytes.
//!
//! A plane of `p` bits a weight takes `w = ceil(p m / 8)` bytes for a group of `m` weights. Its byte `k` holds weights
//! `k`, `k + w`, `k + 2w`, …, from the lowest bits up: a mask and a shift take weights out of many bytes at once, and
//! those of neighbouring bytes are neighbours. The first plane holds a weight's low bits, the second those above.

use crate::features::{FLOATS, Q4, Q8, TWO_PLANES};

/// The fewest weights that share one integer scale in any format.
pub const MIN_GROUP: usize = 32;

/// The storage of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Format {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// 8-bit integers.
    Q8,
    /// 6-bit integers: planes of 4 and 2 bits.
    Q6,
    /// 5-bit integers: planes of 4 bits and 1.
    Q5,
    /// 4-bit integers.
    Q4,
    /// 3-bit integers: planes of 2 bits and 1.
    Q3,
}

/// How a format of integers stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Bits a weight.
    pub bits: u32,
    /// Weights that share one integer scale.
    pub group: usize,
    /// Bits of the first plane, and of the second; (8, 0) are signed bytes.
    pub planes: (u32, u32),
}

impl Packing {
    /// Bytes of the integers of a group of `m` weights.
    #[inline(always)]
    pub const fn group_bytes(self, m: usize) -> usize {
        plane_bytes(self.planes.0, m) + plane_bytes(self.planes.1, m)
    }

    /// Bytes of the integers of a row of `n` weights.
    #[inline(always)]
    pub const fn row_bytes(self, n: usize) -> usize {
        let (full, rest) = match n.checked_div(self.group) {
            Some(full) => (full, n - full * self.group),
            None => (0, 0),
        };
        full * self.group_bytes(self.group) + self.group_bytes(rest)
    }

    /// Groups that hold `n` weights, the last one perhaps not full.
    #[inline(always)]
    pub const fn n_groups(self, n: usize) -> usize {
        match n.checked_div(self.group) {
            Some(full) => full + (full * self.group < n) as usize,
            None => 0,
        }
    }

    /// Whether weights are signed bytes; `false` too where this build leaves them out, here and below, and `true` where it
    /// has no other integers.
    #[inline(always)]
    pub const fn is_bytes(self) -> bool {
        !(Q4 || TWO_PLANES) || Q8 && self.bits == 8
    }

    /// Whether weights are nibbles, two a byte.
    #[inline(always)]
    pub const fn is_nibbles(self) -> bool {
        Q4 && (self.bits == 4 || !(Q8 || TWO_PLANES))
    }

    /// Whether weights have their bits in two planes.
    #[inline(always)]
    pub const fn has_two_planes(self) -> bool {
        TWO_PLANES && self.planes.1 > 0
    }

    /// Weights of the whole groups whose integers take no more than `bytes`.
    pub(crate) const fn weights_in(self, bytes: usize) -> usize {
        match bytes.checked_div(self.group_bytes(self.group)) {
            Some(groups) => groups.saturating_mul(self.group),
            None => 0,
        }
    }

    /// The least integer and the greatest.
    pub const fn range(self) -> (i32, i32) {
        (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1)
    }

    /// A group's scale out of its byte.
    #[inline(always)]
    pub const fn scale(self, byte: u8) -> i32 {
        if self.bits == 8 { byte as i32 } else { byte as i8 as i32 }
    }

    /// How far a row's integer sum is shifted right, what is shifted out being dropped, before it becomes an f32: the bits
    /// that a bound of all rows of `n_in` weights has beyond an i32's.
    ///
    /// Each product is at most `2^(bits - 1) * 32767 * 255 < 2^(bits + 22)` in magnitude for 16-bit activations, and
    /// `2^(bits - 1) * 127 * 255 * 255`, which is less, for 8-bit ones; `n_in <= 2^c` of them stay below
    /// `2^(bits + 22 + c)`, and below 2^31 after a shift by `bits + c - 9`.
    #[inline(always)]
    pub const fn shift(self, n_in: usize) -> u32 {
        (self.bits + n_in.next_power_of_two().trailing_zeros()).saturating_sub(9)
    }
}

/// Bytes of a plane of `bits` bits for each of `m` weights.
#[inline(always)]
pub const fn plane_bytes(bits: u32, m: usize) -> usize {
    (bits as usize * m).div_ceil(8)
}

impl Format {
    /// Every format, in the order of their codes.
    pub const ALL: [Self; 7] = [Self::F32, Self::Q8, Self::F16, Self::Q6, Self::Q5, Self::Q4, Self::Q3];

    /// The byte that stands for the format in a blob; 0 stands for an absent tensor.
    pub const fn code(self) -> u8 {
        match self {
            Self::F32 => 1,
            Self::Q8 => 2,
            Self::F16 => 3,
            Self::Q6 => 4,
            Self::Q5 => 5,
            Self::Q4 => 6,
            Self::Q3 => 7,
        }
    }

    /// The format that `code` stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.code() == code)
    }

    /// The name that the command line and reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8 => "q8",
            Self::Q6 => "q6",
            Self::Q5 => "q5",
            Self::Q4 => "q4",
            Self::Q3 => "q3",
        }
    }

    /// How the integers are stored; `None` for floats.
    #[inline(always)]
    pub const fn packing(self) -> Option<Packing> {
        let (bits, group, planes) = match self {
            Self::F32 | Self::F16 => return None,
            Self::Q8 => (8, 64, (8, 0)),
            Self::Q6 => (6, MIN_GROUP, (4, 2)),
            Self::Q5 => (5, MIN_GROUP, (4, 1)),
            Self::Q4 => (4, MIN_GROUP, (4, 0)),
            Self::Q3 => (3, MIN_GROUP, (2, 1)),
        };
        Some(Packing { bits, group, planes })
    }

    /// Whether this build multiplies matrices of such weights.
    pub const fn is_built(self) -> bool {
        match self.packing() {
            None => FLOATS,
            Some(Packing { bits: 8, .. }) => Q8,
            Some(Packing { bits: 4, .. }) => Q4,
            Some(_) => TWO_PLANES,
        }
    }

    /// Bytes of a float, 4 for formats of integers.
    pub(crate) const fn float_bytes(self) -> usize {
        if matches!(self, Self::F16) { 2 } else { 4 }
    }

    /// Bytes from one row of `n_in` weights to the next, a multiple of 4. `n_in` is at most
    /// [`MAX_WIDTH`](crate::config::MAX_WIDTH).
    #[inline(always)]
    pub const fn row_stride(self, n_in: usize) -> usize {
        let bytes = match self.packing() {
            None => match self {
                Self::F16 => 2 * n_in,
                _ => 4 * n_in,
            },
            Some(packing) => packing.row_bytes(n_in) + packing.n_groups(n_in) + 2,
        };
        bytes.next_multiple_of(4)
    }

    /// Stored bits a weight, all scales and padding included.
    pub fn bits_per_weight(self, n_in: usize) -> f64 {
        (8 * self.row_stride(n_in)) as f64 / n_in as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides() {
        for (format, n_in, stride) in [
            (Format::F32, 1, 4),
            (Format::F32, 97, 388),
            (Format::F16, 97, 196),
            (Format::Q8, 1, 4),
            (Format::Q8, 2, 8),
            (Format::Q8, 60, 64),
            (Format::Q8, 64, 68),
            (Format::Q8, 65, 72),
            (Format::Q8, 128, 132),
            (Format::Q8, 768, 784),
            (Format::Q6, 128, 104),
            (Format::Q5, 128, 88),
            (Format::Q4, 1, 4),
            (Format::Q4, 33, 24),
            (Format::Q4, 128, 72),
            (Format::Q4, 768, 412),
            (Format::Q3, 41, 24),
            (Format::Q3, 128, 56),
        ] {
            assert_eq!(format.row_stride(n_in), stride, "{} of {n_in}", format.name());
        }
    }

    #[test]
    fn codes_are_their_own_inverse() {
        for format in Format::ALL {
            assert_eq!(Format::from_code(format.code()), Some(format));
        }
        assert_eq!(Format::from_code(0), None);
    }

    #[test]
    fn no_row_exceeds_an_i32_after_its_shift() {
        for packing in Format::ALL.into_iter().filter_map(Format::packing) {
            for n_in in (1..5000).chain([1 << 20, (1 << 20) - 1]) {
                let (shift, least) = (packing.shift(n_in), i64::from(-packing.range().0));
                let bound = n_in as i64 * least * 32767 * 255;
                assert!(bound >> shift <= i64::from(i32::MAX), "{n_in}");
                assert!(-bound >> shift >= i64::from(i32::MIN), "{n_in}");
            }
        }
    }
}
