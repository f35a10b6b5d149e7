//! Elements of a stored tensor, as f32 and in canonical order.

use super::archive::RawTensor;
use super::entry::Storage;
use super::error::CheckpointError;
use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::Dtype;
use std::borrow::Cow;

/// Elements that one task checks.
const CHUNK: usize = 1 << 18;

fn f32_at(bytes: [u8; 4]) -> f32 {
    f32::from_le_bytes(bytes)
}

fn f16_at(bytes: [u8; 2]) -> f32 {
    f16::from_le_bytes(bytes).to_f32()
}

fn bf16_at(bytes: [u8; 2]) -> f32 {
    bf16::from_le_bytes(bytes).to_f32()
}

fn map<const N: usize>(bytes: &[u8], element: fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| element(*bytes)).collect()
}

/// The elements; borrowed where the file holds aligned f32 in this machine's byte order. Exact for every type; of integers
/// with a scale, the product rounded to f32.
///
/// # Errors
/// The element type is none of f32, f16 and bf16.
pub fn decode<'a>(name: &str, raw: RawTensor<'a>) -> Result<Cow<'a, [f32]>, CheckpointError> {
    match raw.storage {
        Storage::Plain(Dtype::F32) => Ok(match bytemuck::try_cast_slice(raw.bytes) {
            Ok(elements) if cfg!(target_endian = "little") => Cow::Borrowed(elements),
            _ => Cow::Owned(map(raw.bytes, f32_at)),
        }),
        Storage::Plain(Dtype::F16) => Ok(Cow::Owned(map(raw.bytes, f16_at))),
        Storage::Plain(Dtype::BF16) => Ok(Cow::Owned(map(raw.bytes, bf16_at))),
        Storage::Plain(other) => Err(CheckpointError::Dtype { tensor: name.to_owned(), dtype: other.to_string() }),
        Storage::Grouped(group) => {
            let (integers, scales) = raw.bytes.split_at(raw.shape.iter().product());
            let scales = map(scales, f32_at);
            let mut elements = Vec::with_capacity(integers.len());
            for (integers, scale) in integers.chunks(group).zip(scales) {
                elements.extend(integers.iter().map(|&q| f32::from(q as i8) * scale));
            }
            Ok(Cow::Owned(elements))
        }
    }
}

/// Looks for the first element that is not finite.
///
/// # Errors
/// There is one, or the element type is unknown.
pub fn check_finite(name: &str, raw: RawTensor<'_>) -> Result<(), CheckpointError> {
    fn first<const N: usize>(bytes: &[u8], element: fn([u8; N]) -> f32) -> Option<(usize, f32)> {
        let chunks = bytes.as_chunks().0.par_chunks(CHUNK).enumerate();
        chunks.find_map_first(|(chunk, elements)| {
            let at = elements.iter().position(|bytes| !element(*bytes).is_finite())?;
            Some((chunk * CHUNK + at, element(elements[at])))
        })
    }
    let found = match raw.storage {
        Storage::Plain(Dtype::F32) => first(raw.bytes, f32_at),
        Storage::Plain(Dtype::F16) => first(raw.bytes, f16_at),
        Storage::Plain(Dtype::BF16) => first(raw.bytes, bf16_at),
        Storage::Plain(other) => {
            return Err(CheckpointError::Dtype { tensor: name.to_owned(), dtype: other.to_string() });
        }
        Storage::Grouped(_) => {
            let elements = decode(name, raw)?;
            elements.iter().position(|element| !element.is_finite()).map(|at| (at, elements[at]))
        }
    };
    match found {
        Some((index, value)) => Err(CheckpointError::NotFinite { tensor: name.to_owned(), index, value }),
        None => Ok(()),
    }
}

/// `[cols, rows]` to `[rows, cols]`, row-major, in tiles that stay in cache.
pub fn transpose(stored: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let mut out = vec![0.0; stored.len()];
    for row_tile in (0..rows).step_by(TILE) {
        for col_tile in (0..cols).step_by(TILE) {
            for row in row_tile..rows.min(row_tile + TILE) {
                for col in col_tile..cols.min(col_tile + TILE) {
                    out[row * cols + col] = stored[col * rows + row];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw<'a>(dtype: Dtype, bytes: &'a [u8], shape: &'a [usize]) -> RawTensor<'a> {
        RawTensor { storage: Storage::Plain(dtype), shape, bytes }
    }

    #[test]
    fn integers_are_multiplied_by_the_scale_of_their_group() {
        let integers = [1i8, -2, 127, -128].map(|q| q as u8);
        let bytes: Vec<u8> = integers.into_iter().chain([0.5f32, 0.1].into_iter().flat_map(f32::to_le_bytes)).collect();
        let raw = RawTensor { storage: Storage::Grouped(2), shape: &[2, 2], bytes: &bytes };
        assert_eq!(decode("x", raw).unwrap().as_ref(), [0.5, -1.0, 12.7, -12.8]);
        let infinite: Vec<u8> = [0u8, 1].into_iter().chain(f32::INFINITY.to_le_bytes()).collect();
        let raw = RawTensor { storage: Storage::Grouped(2), shape: &[2], bytes: &infinite };
        assert!(check_finite("w", raw).unwrap_err().to_string().starts_with("tensor `w` holds NaN at index 0"));
    }

    #[test]
    fn every_half_value_is_exact() {
        let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let shape = [1 << 16];
        let halves = decode("x", raw(Dtype::F16, &all, &shape)).unwrap();
        let brains = decode("x", raw(Dtype::BF16, &all, &shape)).unwrap();
        for bits in 0..=u16::MAX {
            let (sign, exponent, fraction) = (bits >> 15, i32::from(bits >> 10 & 31), f64::from(bits & 1023));
            let magnitude = match exponent {
                0 => fraction * 2f64.powi(-24),
                31 => continue,
                _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
            };
            let signed = if sign == 1 { -magnitude } else { magnitude };
            assert_eq!(f64::from(halves[usize::from(bits)]), signed, "{bits:04x}");
            assert_eq!(brains[usize::from(bits)].to_bits(), u32::from(bits) << 16);
        }
    }

    #[test]
    fn unaligned_f32_is_copied() {
        let mut bytes = [0u8; 9];
        let offset = usize::from(bytes.as_ptr().addr().is_multiple_of(4));
        bytes[offset..offset + 4].copy_from_slice(&1.5f32.to_le_bytes());
        let decoded = decode("x", raw(Dtype::F32, &bytes[offset..offset + 8], &[2])).unwrap();
        assert_eq!(decoded.as_ref(), [1.5, 0.0]);
        assert!(matches!(decoded, Cow::Owned(_)));
    }

    #[test]
    fn the_first_bad_element_is_named() {
        let mut elements = vec![0.5f32; CHUNK + 10];
        elements[CHUNK + 3] = f32::NEG_INFINITY;
        elements[CHUNK + 7] = f32::NAN;
        let shape = [elements.len()];
        let tensor = raw(Dtype::F32, bytemuck::cast_slice(&elements), &shape);
        let error = check_finite("w", tensor).unwrap_err().to_string();
        assert_eq!(error, format!("tensor `w` holds -inf at index {}", CHUNK + 3));
    }

    #[test]
    fn transposing_swaps_indices() {
        let (rows, cols) = (37, 65);
        let stored: Vec<f32> = (0..rows * cols).map(|index| index as f32).collect();
        let out = transpose(&stored, rows, cols);
        for row in 0..rows {
            for col in 0..cols {
                assert_eq!(out[row * cols + col], stored[col * rows + row]);
            }
        }
    }
}
