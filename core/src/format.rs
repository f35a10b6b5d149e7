//! How a tensor's rows are stored.
//!
//! | format | row of `n` weights | weight |
//! |---|---|---|
//! | [`Format::F32`] | `n` f32 | as stored |
//! | [`Format::Q8`] | `n` i8 `q`, one u8 scale `s` for each group of 64, zero padding, one bf16 scale `d` in the last two bytes | `d * s * q` |
//!
//! All integers and floats are little-endian. Every row starts at a multiple of 4 bytes.

/// Weights that share one integer scale.
pub const GROUP: usize = 64;

/// The storage of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// IEEE 754 single precision.
    F32,
    /// 8-bit integers under an integer scale a group and a bf16 scale a row.
    Q8,
}

impl Format {
    /// Every format, in the order of their codes.
    pub const ALL: [Self; 2] = [Self::F32, Self::Q8];

    /// The byte that stands for the format in a blob; 0 stands for an absent tensor.
    pub const fn code(self) -> u8 {
        match self {
            Self::F32 => 1,
            Self::Q8 => 2,
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
            Self::Q8 => "q8",
        }
    }

    /// Bytes from one row of `n_in` weights to the next, a multiple of 4. `n_in` is at most
    /// [`MAX_WIDTH`](crate::config::MAX_WIDTH).
    pub const fn row_stride(self, n_in: usize) -> usize {
        match self {
            Self::F32 => 4 * n_in,
            Self::Q8 => (n_in + n_in.div_ceil(GROUP) + 2).next_multiple_of(4),
        }
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
            (Format::Q8, 1, 4),
            (Format::Q8, 2, 8),
            (Format::Q8, 60, 64),
            (Format::Q8, 64, 68),
            (Format::Q8, 65, 72),
            (Format::Q8, 128, 132),
            (Format::Q8, 768, 784),
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
}
