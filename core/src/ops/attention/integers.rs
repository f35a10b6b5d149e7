//! Attention over 8-bit keys and values, in integers: both its products, and the softmax between them.
//!
//! Positions come in blocks of [`BLOCK`], counted from position 0, so that no bit depends on how many follow. Floats are
//! met once a head: the query's scale at the start, and the outputs in the end.

use super::blocks::{BLOCK, Seen};
use super::heads::HeadRows;
use crate::features::WINDOWS;
use crate::ops::exp::{NONE, exp2_fraction};
use crate::ops::fixed::{from_fixed, mul_high, multiply, pow2};
use crate::ops::lanes::Lanes;
use crate::part::part;

/// Elements whose products an i32 holds: `127 * 32767 * 512 < 2^31`.
const CHUNK: usize = 512;

/// The largest weight of a value: 15 bits, so that 16-bit multipliers can take them.
/// `BLOCK * 127 * MAX_WEIGHT < 2^27`.
const MAX_WEIGHT: u32 = 32767;

/// What the weights behind the running outputs add up to at most between blocks:
/// `127 * (MAX_WEIGHTS + BLOCK * MAX_WEIGHT + 1) < 2^31`.
const MAX_WEIGHTS: u32 = 1 << 23;

/// Fractional bits of a score.
const POINT: u32 = 16;

/// The exponent bits of a bf16 that is infinite or not a number.
const NOT_FINITE: i32 = 0xFF;

/// One head of a layer's 8-bit keys or values.
#[derive(Clone, Copy, Debug)]
pub struct I8Head<'a> {
    /// `[rows][stride]`; without the feature `windows` those of what is seen, and no others.
    pub rows: &'a [u32],
    /// Words of a row.
    pub stride: usize,
    /// The place in a row of the words that [`pack_i8`](crate::ops::pack::pack_i8) packed.
    pub integers: usize,
    /// The place in a row of their bf16 scale, counted in half words.
    pub scale: usize,
}

/// A bf16 scale: `mantissa * 2^(exponent - 134)`.
#[derive(Clone, Copy)]
struct Scale {
    /// 8 bits.
    mantissa: u32,
    exponent: i32,
}

impl<'a> I8Head<'a> {
    /// `n` rows from `first` on.
    #[inline(always)]
    fn block(self, (first, n): (usize, usize)) -> Self {
        Self { rows: part(self.rows, first * self.stride..(first + n) * self.stride), ..self }
    }

    /// The rows in blocks of [`BLOCK`], the last one of what is left.
    fn blocks(self) -> impl Iterator<Item = Self> {
        self.rows.chunks((BLOCK * self.stride).max(1)).map(move |rows| Self { rows, ..self })
    }

    /// The positions' integers.
    fn integers(self) -> HeadRows<'a> {
        HeadRows::new(part(self.rows, self.integers..), self.stride)
    }

    /// Each position's scale.
    fn scales(self) -> impl Iterator<Item = Scale> {
        let (place, shift) = (self.scale / 2, 16 * (self.scale % 2));
        let scale = move |word: &u32| Scale {
            mantissa: word >> shift & 0x7F | 0x80,
            exponent: (word >> shift >> 7 & 0xFF) as i32,
        };
        part(self.rows, place..).iter().step_by(self.stride.max(1)).map(scale)
    }
}

/// `out = softmax(query . keys) values` of one head over the positions that are seen.
///
/// `out` is `[head_dim]`; `query` is what [`quantize_i16`](crate::ops::quantize::quantize_i16) made of the query scaled by
/// `1 / sqrt(head_dim)`, and `query_scale` its scale. A score that is not a number or beyond ±22713, or a value that is
/// infinite or not a number, makes every output one that is not a number.
///
/// With `n` positions and `m` the largest value that the values' scales allow, `127 * scale`, the outputs are off from
/// the exact ones over the same stored keys and values by less than `m * (1/900 + s + n / 2^22)`, where
/// `s = max |score| / 2^21 + 0.51 * query_scale * max over keys (scale * sum |integer|)`.
#[inline(never)]
pub fn attend_i8(
    lanes: &impl Lanes,
    out: &mut [f32],
    query: &[u32],
    query_scale: f32,
    seen: Seen,
    keys: I8Head<'_>,
    values: I8Head<'_>,
) {
    // Two words for each of a key: what else a query may come with has no key beside it.
    let query = part(query, ..2 * out.len().div_ceil(4));
    let scores = Scores::new(query_scale, out.len());
    let mut softmax = Softmax::EMPTY;
    let mut bad = false;
    out.fill(0.0);
    let mut attend = |keys: I8Head<'_>, values: I8Head<'_>| {
        let mut logs = [i32::MIN; BLOCK];
        multiply_keys(lanes, &mut logs, query, keys.integers(), scores.dropped);
        bad |= scores.all_log2(&mut logs, keys);
        let mut terms = [Term::NONE; BLOCK];
        softmax.raise(logs.iter().copied().max().unwrap_or(0) >> POINT);
        bad |= softmax.add_all(&mut terms, &logs, values);
        let (weights, unit, sum) = quantize(&terms);
        let (lower_out, lower_block) = softmax.make_room(unit, sum);
        add_weighted(lanes, out, &weights, values, lower_out, lower_block);
    };
    if WINDOWS {
        for block in seen.blocks() {
            attend(keys.block(block), values.block(block));
        }
    } else {
        for (keys, values) in keys.blocks().zip(values.blocks()) {
            attend(keys, values);
        }
    }
    if bad {
        return out.fill(f32::NAN);
    }
    let factor = softmax.factor();
    out.iter_mut().for_each(|out| *out = multiply(from_fixed(out.to_bits() as i32, 0), factor));
}

/// What makes scores of one query's products.
struct Scores {
    /// The upper 23 bits of the mantissa of `query_scale * log2(e)`.
    mantissa: u32,
    /// Its exponent bits, and what else goes into a score's power of two.
    exponent: i32,
    /// Bits that a product loses, so that 32 are enough.
    dropped: u32,
}

impl Scores {
    fn new(query_scale: f32, head_dim: usize) -> Self {
        let dropped = head_dim.div_ceil(CHUNK).next_power_of_two().trailing_zeros();
        let bits = (query_scale * core::f32::consts::LOG2_E).to_bits();
        let exponent = (bits >> 23 & 0xFF) as i32;
        // Far beyond every score where the scale is not a number.
        let exponent = if exponent == NOT_FINITE { 1 << 16 } else { exponent + dropped as i32 };
        Self { mantissa: (bits & 0x007F_FFFF | 0x0080_0000) >> 1, exponent, dropped }
    }

    /// Makes logarithms of a block's products; says whether one has none.
    #[cfg_attr(not(all(target_arch = "arm", not(target_has_atomic = "32"))), inline(always))]
    #[cfg_attr(all(target_arch = "arm", not(target_has_atomic = "32")), inline(never))] // As `quantize`.
    fn all_log2(&self, logs: &mut [i32; BLOCK], keys: I8Head<'_>) -> bool {
        let mut bad = false;
        for (log, scale) in logs.iter_mut().zip(keys.scales()) {
            let score = self.log2(*log, scale);
            bad |= score.is_none();
            *log = score.unwrap_or(0);
        }
        bad
    }

    /// One score as a logarithm to base 2 with [`POINT`] fractional bits, `None` where it has none. The product has already
    /// lost the bits that it drops.
    #[inline(always)]
    fn log2(&self, product: i32, scale: Scale) -> Option<i32> {
        let high = mul_high(product, (self.mantissa * scale.mantissa) as i32);
        let right = 235 - self.exponent - scale.exponent;
        if right >= 0 && scale.exponent != NOT_FINITE {
            return Some(high >> right.min(31));
        }
        large(high, -right, scale)
    }
}

/// A score whose last bit counts for more than a unit.
#[cold]
fn large(high: i32, left: i32, scale: Scale) -> Option<i32> {
    let fits = scale.exponent != NOT_FINITE && left < 32;
    let log = i64::from(high) << if fits { left } else { 0 };
    i32::try_from(log).ok().filter(|_| fits)
}

/// `mantissa * 2^exponent`, in a unit of its own; the mantissa has 31 or 32 bits, or is 0.
#[derive(Clone, Copy)]
struct Term {
    mantissa: u32,
    exponent: i32,
}

impl Term {
    const NONE: Self = Self { mantissa: 0, exponent: NONE };
}

/// A softmax under way.
struct Softmax {
    /// The exponent that every weight so far lies below.
    reference: i32,
    /// Of the weights so far, in units of `2^(reference - 31)`.
    sum: u64,
    /// The exponent of the outputs' unit, as [`quantize`] counts them.
    unit: i32,
    /// A bound of the outputs: no more than 127 times this.
    weights: u32,
}

impl Softmax {
    const EMPTY: Self = Self { reference: NONE, sum: 0, unit: NONE, weights: 0 };

    /// Makes room for weights of up to `exponent`.
    fn raise(&mut self, exponent: i32) {
        if exponent >= self.reference {
            self.sum = self.sum.checked_shr((exponent + 1 - self.reference) as u32).unwrap_or(0);
            self.reference = exponent + 1;
        }
    }

    /// Adds a block's weights; says whether a value's scale is not finite.
    #[cfg_attr(not(all(target_arch = "arm", not(target_has_atomic = "32"))), inline(always))]
    #[cfg_attr(all(target_arch = "arm", not(target_has_atomic = "32")), inline(never))] // As `quantize`.
    fn add_all(&mut self, terms: &mut [Term; BLOCK], logs: &[i32; BLOCK], values: I8Head<'_>) -> bool {
        let mut bad = false;
        for ((term, &log), scale) in terms.iter_mut().zip(logs).zip(values.scales()) {
            bad |= scale.exponent == NOT_FINITE;
            *term = self.add(log, scale);
        }
        bad
    }

    /// Adds the weight `2^log`, for which there is room, and returns its product with the value's scale.
    #[inline(always)]
    fn add(&mut self, log: i32, scale: Scale) -> Term {
        let (exponent, power) = (log >> POINT, exp2_fraction((log as u32) << (32 - POINT)));
        self.sum += u64::from(power.checked_shr((self.reference - exponent) as u32).unwrap_or(0));
        Term { mantissa: (power >> 8) * scale.mantissa, exponent: exponent + scale.exponent }
    }

    /// Makes room for the sums of a block whose weights add up to `weights` in its own unit: by how many bits the outputs
    /// have to go down, and by how many the sums.
    fn make_room(&mut self, unit: i32, weights: u32) -> (u32, u32) {
        let mut down = (unit - self.unit).clamp(0, 31);
        self.unit = self.unit.max(unit);
        self.weights = (self.weights >> down) + 1;
        if self.weights >= MAX_WEIGHTS {
            down += 1;
            self.unit += 1;
            self.weights = self.weights / 2 + 1;
        }
        let block_down = (self.unit - unit).min(31);
        self.weights += (weights >> block_down) + 1;
        (down.min(31) as u32, block_down as u32)
    }

    /// What the outputs are to be multiplied by in the end.
    fn factor(&self) -> f32 {
        pow2(self.unit - self.reference - 141) / (self.sum as f32 * pow2(-31))
    }
}

/// The exact sums of `key * query`, lowered by `dropped` bits; products beyond the last key stay as they are.
#[cfg_attr(not(all(target_arch = "arm", not(target_has_atomic = "32"))), inline(always))]
#[cfg_attr(all(target_arch = "arm", not(target_has_atomic = "32")), inline(never))] // As `quantize`.
fn multiply_keys(lanes: &impl Lanes, products: &mut [i32], query: &[u32], keys: HeadRows<'_>, dropped: u32) {
    if query.len() <= CHUNK / 2 {
        return lanes.dots_i8(products, query, keys);
    }
    long_keys(lanes, products, query, keys, dropped);
}

/// As [`multiply_keys`], of sums that an i32 does not hold.
#[cold]
#[inline(never)]
fn long_keys(lanes: &impl Lanes, products: &mut [i32], query: &[u32], keys: HeadRows<'_>, dropped: u32) {
    for (product, key) in products.iter_mut().zip(keys.iter(query.len() / 2)) {
        let mut sum = 0;
        for (words, query) in key.chunks(CHUNK / 4).zip(query.chunks(CHUNK / 2)) {
            let mut part = [0];
            lanes.dots_i8(&mut part, query, HeadRows::new(words, words.len()));
            sum += i64::from(part[0]);
        }
        *product = (sum >> dropped) as i32;
    }
}

/// Lowers `out`, which holds integers, by `lower_out` bits, and adds the block's sums of `weights * values`, lowered by
/// `lower_block` bits.
#[cfg_attr(not(all(target_arch = "arm", not(target_has_atomic = "32"))), inline(always))]
#[cfg_attr(all(target_arch = "arm", not(target_has_atomic = "32")), inline(never))] // As `quantize`.
fn add_weighted(
    lanes: &impl Lanes,
    out: &mut [f32],
    weights: &[i32; BLOCK],
    values: I8Head<'_>,
    lower_out: u32,
    lower_block: u32,
) {
    for (i, out) in out.chunks_mut(4).enumerate() {
        let sums = lanes.weigh_i8(part(values.integers().words(), i..), values.stride, weights);
        for (out, sum) in out.iter_mut().zip(sums) {
            let lowered = (out.to_bits() as i32 >> lower_out) + (sum >> lower_block);
            *out = f32::from_bits(lowered as u32);
        }
    }
}

/// Rounds terms to integers of 15 bits, each off by at most 1/32768 of the largest or a little more; returns also the
/// exponent of their unit, up to a constant, and their sum.
#[cfg_attr(not(all(target_arch = "arm", not(target_has_atomic = "32"))), inline(always))]
// The compiler finds no branches for a Cortex-M0 that reach over all of attention.
#[cfg_attr(all(target_arch = "arm", not(target_has_atomic = "32")), inline(never))]
fn quantize(terms: &[Term; BLOCK]) -> ([i32; BLOCK], i32, u32) {
    let highest = terms.iter().map(|term| term.exponent + (term.mantissa >> 31) as i32).max().unwrap_or(NONE);
    let (mut sum, mut weights) = (0, [0; BLOCK]);
    for (weight, term) in weights.iter_mut().zip(terms) {
        let halves = term.mantissa.checked_shr((15 + highest - term.exponent) as u32).unwrap_or(0);
        let rounded = ((halves + 1) >> 1).min(MAX_WEIGHT);
        sum += rounded;
        *weight = rounded as i32;
    }
    (weights, highest, sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::lanes::Plain;
    use crate::ops::pack::pack_i8;
    use crate::ops::quantize::{i16_words, quantize_i16};
    use std::vec::Vec;

    /// Rows of one head: a word that is not its own, its integers, and its scale in the upper half of the last word.
    fn pack(rows: &[Vec<f32>]) -> Vec<u32> {
        let mut words = Vec::new();
        for row in rows {
            let mut integers = std::vec![u32::MAX; row.len().div_ceil(4)];
            let scale = pack_i8(&mut integers, row);
            words.push(u32::MAX);
            words.extend(integers);
            words.push(u32::from(scale.to_bits()) << 16 | 0xFFFF);
        }
        words
    }

    fn run(query: &[f32], keys: &[Vec<f32>], values: &[Vec<f32>]) -> Vec<f32> {
        let mut words = std::vec![0; i16_words(query.len())];
        let query_scale = quantize_i16(&mut words, query);
        let (keys, values, n) = (pack(keys), pack(values), query.len().div_ceil(4));
        let head = |rows| I8Head { rows, stride: n + 2, integers: 1, scale: 2 * (n + 1) + 1 };
        let mut out = std::vec![f32::NAN; query.len()];
        attend_i8(&Plain, &mut out, &words, query_scale, Seen::first(keys.len() / (n + 2)), head(&keys), head(&values));
        out
    }

    #[test]
    fn equal_scores_give_the_mean() {
        for dim in [1, 3, 4, 6] {
            let value = |j: usize| (0..dim).map(|i| (i + j % 2) as f32).collect::<Vec<f32>>();
            let keys = std::vec![std::vec![1.0; dim]; 70];
            let got = run(&std::vec![2.0; dim], &keys, &(0..70).map(value).collect::<Vec<_>>());
            for (i, got) in got.iter().enumerate() {
                assert!((got - (i as f32 + 0.5)).abs() < 0.02 * dim as f32, "{got} {i} of {dim}");
            }
        }
    }

    #[test]
    fn a_score_far_above_hides_the_others_in_any_block() {
        for place in [0, 31, 32, 40, 64] {
            let keys: Vec<_> = (0..65).map(|j| std::vec![if j == place { 127.0 } else { -127.0 }; 5]).collect();
            let values: Vec<_> = (0..65).map(|j| std::vec![if j == place { -254.0 } else { 127.0 }; 5]).collect();
            let got = run(&[1.0; 5], &keys, &values);
            assert!(got.iter().all(|out| (out + 254.0).abs() <= 254.0 / 32767.0), "{place}: {got:?}");
        }
    }

    #[test]
    fn long_heads_do_not_overflow() {
        let n = if cfg!(miri) { 1200 } else { 70_000 };
        let (long, words) = (std::vec![1.0; n], std::vec![0x7F7F_7F7F; n / 4]);
        let keys = HeadRows::new(&words, n / 4);
        let mut products = [0];
        multiply_keys(&Plain, &mut products, &std::vec![0x7FFF_7FFF; n / 2], keys, 8);
        assert_eq!(i64::from(products[0]), (n as i64 * 127 * 32767) >> 8);
        let got = run(&std::vec![0.01; n], std::slice::from_ref(&long), std::slice::from_ref(&long));
        assert!(got.iter().all(|out| (out - 1.0).abs() < 0.01));
    }

    #[test]
    fn what_is_not_finite_poisons() {
        let (one, two) = (std::vec![1.0; 3], std::vec![2.0; 3]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 40] {
                let mut rows = std::vec![one.clone(); 50];
                rows[place][1] = bad;
                let good = std::vec![two.clone(); 50];
                assert!(run(&one, &rows, &good).iter().all(|out| out.is_nan()), "key {bad}");
                assert!(run(&one, &good, &rows).iter().all(|out| out.is_nan()), "value {bad}");
                assert!(run(&rows[place], &good, &good).iter().all(|out| out.is_nan()), "query {bad}");
            }
        }
        let large = std::vec![3e38; 3];
        assert!(run(&large, std::slice::from_ref(&large), &[one]).iter().all(|out| out.is_nan()));
    }

    #[test]
    fn weights_keep_15_bits() {
        let mut terms = [Term::NONE; BLOCK];
        let powers = [(0xFFFF_FFFF, 1), (0x8000_0000, 2), (0x4000_0000, 1), (0x4000_0000, -14), (0x4000_0000, -15)];
        for (term, (mantissa, exponent)) in terms.iter_mut().zip(powers) {
            *term = Term { mantissa, exponent };
        }
        let (weights, unit, sum) = quantize(&terms);
        assert_eq!((&weights[..6], unit, sum), (&[16384, 16384, 4096, 0, 0, 0][..], 3, 36864));
    }
}
