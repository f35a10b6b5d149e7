//! What became of a tensor on its way into a blob.

use emberlm_core::format::Format;

use super::pack::stored_float;

/// What became of a tensor of the checkpoint's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// Nothing: every number is the checkpoint's.
    #[default]
    Kept,
    /// Each number went to one that the format has.
    Rounded,
    /// A vector of floats that calibration moved, so that what rounded matrices lack on average is made up for.
    Adjusted,
}

impl Change {
    /// The name that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Rounded => "rounded",
            Self::Adjusted => "adjusted",
        }
    }

    /// Of a tensor whose numbers are `weights` in the checkpoint, and stored in `format` as `stored`.
    pub fn of(format: Format, weights: &[f32], stored: impl Iterator<Item = f32>) -> Self {
        let (mut is_kept, mut is_nearest) = (true, true);
        for (&weight, stored) in weights.iter().zip(stored) {
            is_kept &= weight == stored;
            is_nearest &= stored_float(weight, format) == stored;
        }
        match format.packing() {
            _ if is_kept => Self::Kept,
            None if !is_nearest => Self::Adjusted,
            _ => Self::Rounded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calibration_moved_is_no_rounding() {
        let of = |format, stored: [f32; 2]| Change::of(format, &[0.5, 1.0 / 3.0], stored.into_iter());
        assert_eq!(of(Format::F32, [0.5, 1.0 / 3.0]), Change::Kept);
        assert_eq!(of(Format::F16, [0.5, stored_float(1.0 / 3.0, Format::F16)]), Change::Rounded);
        assert_eq!(of(Format::F32, [0.5, 0.25]), Change::Adjusted);
        assert_eq!(of(Format::F16, [0.5, 0.25]), Change::Adjusted);
        assert_eq!(of(Format::Q8, [0.5, 0.25]), Change::Rounded);
    }
}
