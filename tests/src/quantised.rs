//! The weights that a tensor stands for, decoded from its bytes as FORMAT.md lays them out, and rows encoded the simplest
//! way that each format allows.
//!
//! Floats are stored as they are. Integers come in groups, each under a scale of one byte, all under one bfloat16 `d` in
//! the row's last two bytes, zeros before it: in q8 signed bytes and an unsigned scale for each 64 of them, in the others
//! one or two planes of bits and a signed scale for each 32. The weight is `d * scale * integer`, exact in f64. A row
//! takes a multiple of 4 bytes.

use half::{bf16, f16};

use crate::oracle::{Matrix, Product};

/// What inputs of a product are rounded to before they meet weights that are integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activations {
    /// 16-bit integers under one scale. Code 0.
    I16,
    /// Nothing. Code 1.
    F32,
    /// 8-bit integers under an integer scale for each 32 of them and one scale for all; 16-bit ones for the MLP's
    /// second matrix. Code 2.
    I8,
}

impl Activations {
    /// Every one, in the order of their codes.
    pub const ALL: [Self; 3] = [Self::I16, Self::F32, Self::I8];

    /// The byte that stands for it in a blob.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Rounds the inputs of `product`, whose weights are integers.
    pub fn round(self, product: Product, x: &mut [f64]) {
        match (self, product) {
            (Self::F32, _) => {}
            (Self::I8, Product::MlpProj) | (Self::I16, _) => round_to_16_bits(x),
            (Self::I8, _) => round_to_8_bits(x),
        }
    }
}

/// To the grid that the largest magnitude spans.
fn round_to_16_bits(x: &mut [f64]) {
    let largest = magnitude(x);
    if largest > 0.0 {
        let step = largest / 32767.0;
        x.iter_mut().for_each(|v| *v = (*v / step).round_ties_even() * step);
    }
}

/// Rounds keys or values to half precision.
pub fn round_to_f16(x: &mut [f64]) {
    x.iter_mut().for_each(|v| *v = f64::from(f16::from_f64(*v)));
}

/// Rounds one head's keys or values to the 8-bit grid under the least bf16 scale that reaches the largest of them.
pub fn round_to_i8(x: &mut [f64]) {
    let least = x.iter().fold(0.0, |max: f64, v| max.max(v.abs())) / 127.0;
    let mut scale = bf16::from_f64(least);
    if f64::from(scale) < least {
        scale = bf16::from_bits(scale.to_bits() + 1);
    }
    if f64::from(scale) > 0.0 {
        x.iter_mut().for_each(|v| *v = (*v / f64::from(scale)).round_ties_even() * f64::from(scale));
    }
}

/// Each 32 to a grid of their own, whose step is a whole multiple of that by which 127 steps of the 255-fold reach the
/// largest magnitude of all.
fn round_to_8_bits(x: &mut [f64]) {
    let unit = magnitude(x) / (127.0 * 255.0);
    if unit > 0.0 {
        for group in x.chunks_mut(32) {
            let scale = (((magnitude(group) / unit).floor() / 127.0).floor() + 1.0).min(255.0);
            let step = unit * scale;
            group.iter_mut().for_each(|v| *v = (*v / step).round_ties_even().clamp(-127.0, 127.0) * step);
        }
    }
}

fn magnitude(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()))
}

/// How a tensor's weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Format code 1.
    F32,
    /// Format code 2.
    Q8,
    /// Format code 3.
    F16,
    /// Format code 4.
    Q6,
    /// Format code 5.
    Q5,
    /// Format code 6.
    Q4,
    /// Format code 7.
    Q3,
}

/// What a row's scale, a bfloat16, is made larger by so that rounding does not leave it too small: 2^-8.
const ROOM: f64 = 1.00390625;

/// The integers of a format.
#[derive(Clone, Copy, Debug)]
struct Integers {
    bits: u32,
    group: usize,
    /// Bits of each plane, those of the lowest bits first; none where the integers are signed bytes.
    planes: &'static [u32],
}

impl Storage {
    /// Every one, in the order of their codes.
    pub const ALL: [Self; 7] = [Self::F32, Self::Q8, Self::F16, Self::Q6, Self::Q5, Self::Q4, Self::Q3];

    /// The byte that stands for it in a blob.
    pub fn code(self) -> u8 {
        1 + Self::ALL.iter().position(|&storage| storage == self).expect("all are listed") as u8
    }

    /// What a code stands for.
    ///
    /// # Panics
    /// If it is none's.
    pub fn from_code(code: u8) -> Self {
        Self::ALL[usize::from(code) - 1]
    }

    /// Whether weights are integers under scales, which activations are rounded for.
    pub fn is_integer(self) -> bool {
        self.integers().is_some()
    }

    /// The largest difference of an encoded weight from the original: a step of the weight's group at most, whose scale
    /// may be rounded up by one, where `largest` are the largest magnitudes of the group and of the row.
    pub fn most_error(self, largest_of_group: f64, largest_of_row: f64) -> f64 {
        match (self, self.integers()) {
            (Self::F32, _) => largest_of_group * f64::powi(2.0, -24),
            (_, None) => largest_of_group * f64::powi(2.0, -11) + f64::powi(2.0, -25),
            (_, Some(integers)) => {
                let unit = ROOM * ROOM * largest_of_row / (integers.reach() * integers.most_scale());
                largest_of_group / integers.reach() + unit
            }
        }
    }

    /// Bytes from one row of `n_in` weights to the next.
    pub fn row_stride(self, n_in: usize) -> usize {
        let bytes = match (self, self.integers()) {
            (Self::F32, _) => 4 * n_in,
            (_, None) => 2 * n_in,
            (_, Some(integers)) => integers.row_bytes(n_in) + n_in.div_ceil(integers.group) + 2,
        };
        bytes.next_multiple_of(4)
    }

    /// The weights `[n_out, n_in]` of a tensor.
    ///
    /// # Panics
    /// If `bytes` is not n_out rows, or what should be zeros is not.
    pub fn decode(self, bytes: &[u8], n_out: usize, n_in: usize) -> Matrix {
        let stride = self.row_stride(n_in);
        assert_eq!(bytes.len(), n_out * stride);
        bytes.chunks(stride).map(|row| self.decode_row(row, n_in)).collect()
    }

    fn decode_row(self, row: &[u8], n_in: usize) -> Vec<f64> {
        let zeros = |padding: &[u8]| assert!(padding.iter().all(|&byte| byte == 0), "padding is zeros");
        match self.integers() {
            None if self == Self::F32 => row.as_chunks().0.iter().map(|&b| f64::from(f32::from_le_bytes(b))).collect(),
            None => {
                zeros(&row[2 * n_in..]);
                row[..2 * n_in].as_chunks().0.iter().map(|&b| f64::from(f16::from_le_bytes(b))).collect()
            }
            Some(integers) => {
                let (mut bytes, rest) = row.split_at(integers.row_bytes(n_in));
                let (rest, row_scale) = rest.split_last_chunk().expect("a row ends in its scale");
                let (scales, padding) = rest.split_at(n_in.div_ceil(integers.group));
                zeros(padding);
                let row_scale = f64::from(bf16::from_le_bytes(*row_scale));
                let mut weights = Vec::with_capacity(n_in);
                for &scale in scales {
                    let m = integers.group.min(n_in - weights.len());
                    let (group, after) = bytes.split_at(integers.group_bytes(m));
                    let unit = row_scale * f64::from(integers.scale(scale));
                    weights.extend(integers.unpack(group, m).into_iter().map(|q| unit * f64::from(q)));
                    bytes = after;
                }
                weights
            }
        }
    }

    /// The bytes of one row.
    pub fn encode_row(self, row: &[f64]) -> Vec<u8> {
        let mut bytes: Vec<u8> = match self.integers() {
            None if self == Self::F32 => row.iter().flat_map(|&weight| (weight as f32).to_le_bytes()).collect(),
            None => row.iter().flat_map(|&weight| f16::from_f64(weight).to_le_bytes()).collect(),
            Some(integers) => return integers.encode_row(row, self.row_stride(row.len())),
        };
        bytes.resize(self.row_stride(row.len()), 0);
        bytes
    }

    fn integers(self) -> Option<Integers> {
        let (bits, group, planes): (_, _, &[u32]) = match self {
            Self::F32 | Self::F16 => return None,
            Self::Q8 => (8, 64, &[]),
            Self::Q6 => (6, 32, &[4, 2]),
            Self::Q5 => (5, 32, &[4, 1]),
            Self::Q4 => (4, 32, &[4]),
            Self::Q3 => (3, 32, &[2, 1]),
        };
        Some(Integers { bits, group, planes })
    }
}

impl Integers {
    fn is_bytes(self) -> bool {
        self.planes.is_empty()
    }

    fn group_bytes(self, m: usize) -> usize {
        if self.is_bytes() { m } else { self.planes.iter().map(|&bits| plane_bytes(bits, m)).sum() }
    }

    fn row_bytes(self, n_in: usize) -> usize {
        (0..n_in).step_by(self.group).map(|first| self.group_bytes(self.group.min(n_in - first))).sum()
    }

    fn scale(self, byte: u8) -> i32 {
        if self.is_bytes() { byte.into() } else { (byte as i8).into() }
    }

    fn most_scale(self) -> f64 {
        if self.is_bytes() { 255.0 } else { 127.0 }
    }

    /// The magnitude of the integer that a group's largest weight becomes.
    fn reach(self) -> f64 {
        if self.is_bytes() { 127.0 } else { f64::from(self.least().abs()) }
    }

    fn least(self) -> i32 {
        -(1 << (self.bits - 1))
    }

    /// The `m` integers of a group, bit by bit.
    fn unpack(self, bytes: &[u8], m: usize) -> Vec<i32> {
        if self.is_bytes() {
            return bytes.iter().map(|&byte| i32::from(byte as i8)).collect();
        }
        let mut integers = vec![self.least(); m];
        let (mut rest, mut low) = (bytes, 0);
        for &bits in self.planes {
            let (plane, after) = rest.split_at(plane_bytes(bits, m));
            for (column, integer) in integers.iter_mut().enumerate() {
                let (byte, turn) = (plane[column % plane.len()], (column / plane.len()) as u32);
                *integer += i32::from(byte >> (turn * bits) & ((1 << bits) - 1)) << low;
            }
            (rest, low) = (after, low + bits);
        }
        integers
    }

    fn pack(self, integers: &[i32]) -> Vec<u8> {
        if self.is_bytes() {
            return integers.iter().map(|&q| q as i8 as u8).collect();
        }
        let (mut bytes, mut low) = (Vec::new(), 0);
        for &bits in self.planes {
            let mut plane = vec![0_u8; plane_bytes(bits, integers.len())];
            let n_bytes = plane.len();
            for (column, &integer) in integers.iter().enumerate() {
                let part = (integer - self.least()) >> low & ((1 << bits) - 1);
                plane[column % n_bytes] |= (part as u8) << ((column / n_bytes) as u32 * bits);
            }
            bytes.extend(plane);
            low += bits;
        }
        bytes
    }

    /// Scales that are just large enough: the row's lets the largest scale reach its largest weight; each group's lets
    /// the integer farthest from zero reach its own, of whichever sign that is.
    fn encode_row(self, row: &[f64], stride: usize) -> Vec<u8> {
        let farthest =
            |weights: &[f64]| weights.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0);
        let row_scale = bf16::from_f64(ROOM * farthest(row).abs() / (self.reach() * self.most_scale()));
        let unit = f64::from(row_scale);
        let scale_of = |group: &[f64]| {
            let largest = farthest(group);
            let scale =
                if unit > 0.0 { (largest.abs() / (self.reach() * unit)).ceil().min(self.most_scale()) } else { 0.0 };
            if self.is_bytes() || largest < 0.0 { scale } else { -scale }
        };
        let most = (1 << (self.bits - 1)) - 1;
        let least = if self.is_bytes() { -most } else { self.least() };
        let (mut bytes, mut scales) = (Vec::new(), Vec::new());
        for group in row.chunks(self.group) {
            let scale = scale_of(group);
            let step = unit * scale;
            let integer =
                |weight: &f64| if step == 0.0 { 0 } else { ((weight / step).round() as i32).clamp(least, most) };
            bytes.extend(self.pack(&group.iter().map(integer).collect::<Vec<_>>()));
            scales.push(scale as i32 as u8);
        }
        bytes.extend(scales);
        bytes.resize(stride - 2, 0);
        bytes.extend(row_scale.to_le_bytes());
        bytes
    }
}

/// Bytes of a plane of `bits` bits for each of `m` weights.
fn plane_bytes(bits: u32, m: usize) -> usize {
    (bits as usize * m).div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    #[test]
    fn strides_are_multiples_of_four_with_room_for_the_scales() {
        for (storage, n_in, stride) in [
            (Storage::F32, 3, 12),
            (Storage::F16, 3, 8),
            (Storage::Q8, 1, 4),
            (Storage::Q8, 2, 8),
            (Storage::Q8, 64, 68),
            (Storage::Q8, 65, 72),
            (Storage::Q8, 768, 784),
            (Storage::Q6, 128, 104),
            (Storage::Q5, 33, 28),
            (Storage::Q4, 128, 72),
            (Storage::Q3, 41, 24),
            (Storage::Q3, 128, 56),
        ] {
            assert_eq!(storage.row_stride(n_in), stride, "{storage:?} of {n_in}");
        }
    }

    #[test]
    fn a_ragged_row_of_bytes_by_hand() {
        let mut row = vec![0_u8; Storage::Q8.row_stride(66)];
        row[0] = 127;
        row[1] = (-127_i8) as u8;
        row[64] = 3;
        row[65] = (-2_i8) as u8;
        row[66] = 200;
        row[67] = 10;
        row[70..].copy_from_slice(&bf16::from_f32(0.5).to_le_bytes());
        let weights = &Storage::Q8.decode(&row, 1, 66)[0];
        assert_eq!(weights.len(), 66);
        assert_eq!((weights[0], weights[1], weights[2]), (12_700.0, -12_700.0, 0.0));
        assert_eq!((weights[64], weights[65]), (15.0, -10.0));
    }

    #[test]
    fn ragged_rows_of_planes_by_hand() {
        // q3 of 33 columns: a plane of 8 bytes and one of 4, then, for the last column, two of one byte.
        let mut row = vec![0_u8; Storage::Q3.row_stride(33)];
        assert_eq!(row.len(), 20);
        // Column 9 is the second turn of byte 1: low bits 2; in the second plane, byte 1 of turn 2: its high bit.
        row[1] = 0b10 << 2;
        row[8 + 1] = 1 << 2;
        // Column 32 has low bits 3 and no high bit.
        row[12] = 3;
        row[14] = 5;
        row[15] = (-5_i8) as u8;
        row[18..].copy_from_slice(&bf16::from_f32(0.5).to_le_bytes());
        let weights = &Storage::Q3.decode(&row, 1, 33)[0];
        assert_eq!((weights[9], weights[32]), (0.5 * 5.0 * (6.0 - 4.0), 0.5 * -5.0 * (3.0 - 4.0)));
        assert!((0..32).all(|column| column == 9 || weights[column] == -10.0));

        // q4 of 3 columns: two bytes, the third column beside the first.
        let row = [0x4F, 0x08, (-2_i8) as u8, 0, 0, 0, 0x80, 0x3F];
        assert_eq!(Storage::Q4.decode(&row, 1, 3)[0], [-14.0, 0.0, 8.0]);
    }

    #[test]
    fn rounding_moves_a_value_by_half_a_step_at_most() {
        let original: Vec<f64> =
            (0..500).map(|i| (f64::from(i) * 1.7).sin() * if i < 32 { 0.01 } else { 3.0 }).collect();
        for (activations, product, small, large) in [
            (Activations::I16, Product::Qkv, 3.0 / 32767.0, 3.0 / 32767.0),
            (Activations::I8, Product::MlpProj, 3.0 / 32767.0, 3.0 / 32767.0),
            (Activations::I8, Product::Fc, 0.01 / 127.0 + 3.0 / 32385.0, 3.0 / 127.0),
            (Activations::F32, Product::Fc, 0.0, 0.0),
        ] {
            let mut rounded = original.clone();
            activations.round(product, &mut rounded);
            for (i, (a, b)) in original.iter().zip(&rounded).enumerate() {
                let step = if i < 32 { small } else { large };
                assert!((a - b).abs() <= 0.5001 * step, "{activations:?} of {product:?}: {a} {b}");
            }
            assert_eq!(original == rounded, activations == Activations::F32);
            let mut zeros = [0.0; 40];
            activations.round(product, &mut zeros);
            assert_eq!(zeros, [0.0; 40]);
        }
    }

    fn weights() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![-1.0..1.0_f64, Just(0.0), (-20..3_i32).prop_map(|exponent| f64::exp2(exponent.into()))];
        (prop::collection::vec(value, 1..140), -30..30_i32).prop_map(|(row, exponent)| {
            row.into_iter().map(|v| f64::from((v * f64::exp2(exponent.into())) as f32)).collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_off_by_a_step_at_most(row in weights(), storage in select(&Storage::ALL[..])) {
            let row: Vec<f64> = match storage {
                Storage::F16 => row.iter().map(|weight| weight.clamp(-65504.0, 65504.0)).collect(),
                _ => row,
            };
            let bytes = storage.encode_row(&row);
            prop_assert_eq!(bytes.len(), storage.row_stride(row.len()));
            let decoded = storage.decode(&bytes, 1, row.len()).remove(0);
            let group = storage.integers().map_or(row.len(), |integers| integers.group);
            for (group, decoded) in row.chunks(group).zip(decoded.chunks(group)) {
                let most = storage.most_error(magnitude(group), magnitude(&row));
                for (weight, decoded) in group.iter().zip(decoded) {
                    prop_assert!((weight - decoded).abs() <= most, "{} {} {}", weight, decoded, most);
                }
            }
        }

        #[test]
        fn integers_come_back_as_they_were_packed(
            storage in select(vec![Storage::Q8, Storage::Q6, Storage::Q5, Storage::Q4, Storage::Q3]),
            numbers in prop::collection::vec(any::<u8>(), 1..33),
        ) {
            let integers = storage.integers().unwrap();
            let range = 1 << integers.bits;
            let numbers: Vec<i32> = numbers.into_iter().map(|n| i32::from(n) % range + integers.least()).collect();
            let packed = integers.pack(&numbers);
            prop_assert_eq!(packed.len(), integers.group_bytes(numbers.len()));
            prop_assert_eq!(integers.unpack(&packed, numbers.len()), numbers);
        }
    }

    #[test]
    fn keys_and_values_keep_8_bits() {
        let original: Vec<f64> = (0..500).map(|i| (f64::from(i) * 1.7).sin() * 3.0).collect();
        let mut rounded = original.clone();
        round_to_i8(&mut rounded);
        let coarse: Vec<f64> = rounded.iter().map(|v| (v * 127.0 / 3.0).round()).collect();
        assert!(coarse.iter().all(|v| v.abs() <= 127.0) && coarse.contains(&126.0));
        for (a, b) in original.iter().zip(&rounded) {
            assert!((a - b).abs() <= 0.504 * 3.0 / 127.0);
        }
        let mut zeros = [0.0; 4];
        round_to_i8(&mut zeros);
        assert_eq!(zeros, [0.0; 4]);
    }
}
