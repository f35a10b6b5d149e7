//! `FORMAT.md`'s chapter on arithmetic computed once more, by the numbers that stand in it: core gives the same bits.

use emberlm_core::config::Gelu;
use emberlm_core::format::Format;
use emberlm_core::loss::LogSumExp;
use emberlm_core::ops::attention::{self, HeadOps, HeadRows, I8Head, Ring, Seen, attend, attend_i8};
use emberlm_core::ops::exp::{exp_fixed, exp_parts, exp2_fraction};
use emberlm_core::ops::gelu::{gelu, table};
use emberlm_core::ops::lanes::{Lanes, Plain};
use emberlm_core::ops::layer_norm::normalize;
use emberlm_core::ops::pack::{pack_f32, pack_i8};
use emberlm_core::ops::quantize::{i8_words, i16_words, quantize_i8, quantize_i16};
use emberlm_core::ops::reduce::{STRIPES, fold};
use emberlm_core::ops::relu::{relu, relu_squared};
use emberlm_core::ops::rms_norm::rms_normalize;
use emberlm_core::ops::rotary::{angles, rotate, sine_cosine};
use emberlm_core::ops::silu::{TABLE, silu};
use emberlm_core::sample::{GumbelMax, MAX_CANDIDATES, RECENT, generator};
use emberlm_core::sink::LogitSink;
use emberlm_tests::document::Document;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::ops::Range;

fn format() -> Document {
    Document::open("FORMAT.md")
}

fn random() -> Pcg64 {
    Pcg64::seed_from_u64(7)
}

/// Numbers of every size, and the edges.
fn floats(random: &mut Pcg64, n: usize) -> Vec<f32> {
    let edges = [0.0, -0.0, 1e-38, f32::MIN_POSITIVE, 127.99999, 128.0, -128.0, 268_435_456.0, f32::MAX, f32::NAN];
    let any = (0..n).map(|i| match i % 3 {
        0 => f32::from_bits(random.next_u32()),
        _ => (random.random::<f32>() - 0.5) * [8.0, 300.0, 1e4, 1e9][i / 3 % 4],
    });
    edges.into_iter().chain([f32::INFINITY, f32::NEG_INFINITY, 3e8, -3e8]).chain(any.collect::<Vec<_>>()).collect()
}

fn vector(random: &mut Pcg64, n: usize, largest: f32) -> Vec<f32> {
    (0..n).map(|_| (random.random::<f32>() - 0.5) * 2.0 * largest).collect()
}

fn hi(a: i64, b: i64) -> i64 {
    (a * b) >> 32
}

/// `a shr k` of a magnitude that may leave nothing.
fn shr(a: u64, k: i64) -> u64 {
    u32::try_from(k).ok().and_then(|k| a.checked_shr(k)).unwrap_or(0)
}

fn pow2(k: i64) -> f32 {
    if k < -126 { 0.0 } else { 2f32.powi(k as i32) }
}

fn exponent(peak: f32) -> i64 {
    f64::from(peak).log2().floor() as i64
}

fn peak(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |peak: f32, x| peak.max(x.abs()))
}

/// The integers that stand for numbers "under so many bits", and the `s` of their unit.
fn under(bits: i64, x: &[f32]) -> (Vec<i64>, i64) {
    let s = bits - exponent(peak(x));
    (x.iter().map(|&x| (f64::from(x) * 2f64.powi(s as i32)) as i64).collect(), s)
}

/// What the chapter's exponential is made of.
struct Exp {
    exp2: [i64; 6],
    near: [i64; 4],
    far: [i64; 3],
    beyond: [i64; 4],
}

impl Exp {
    fn read() -> Self {
        let format = format();
        let [i, t] = format.numbers("with `i = f shr {}`, `t = {} f mod 2^32` and `P`");
        let [p, u, c, v] = format.numbers(
            "it is `P + (hi(P, w) shr {})`, where `u = {} + hi({}, t)`, `v = {} + hi(u, t)` and `w = hi(v, t)`.",
        );
        let far = format.numbers(
            "for other `|x| <= {}`, with `m * 2^k = |x|`, `m` of 24 bits, `L` is `trunc((m * {} + (m * {} shr 32))",
        );
        Self {
            exp2: [i, t, p, u, c, v],
            near: format.numbers("for `|x| < {}`, `L = (trunc(x * {}) * {}) shr {}`;"),
            far,
            beyond: format.numbers(
                "below `{}`, `e` is `{}` and `p` 0; above `{}`, and for what is no number, `e` is `{}` and `p` no number.",
            ),
        }
    }

    fn exp2(&self, f: u32) -> u32 {
        let [i, t, p, u, c, v] = self.exp2;
        let t = (t * i64::from(f)) & 0xFFFF_FFFF;
        let power = (31.0 + f64::from(f >> i) / 32.0).exp2().round() as i64;
        let u = u + hi(c, t);
        let v = v + hi(u, t);
        (power + (hi(power, hi(v, t)) >> p)) as u32
    }

    /// `e` and `p`, which is 0 where it is no number.
    fn parts(&self, x: f32) -> (i64, u32) {
        let [near, point, log2_e, shift] = self.near;
        let [far, high, low] = self.far;
        let [below, zero, above, none] = self.beyond;
        let log2 = if x.abs() < near as f32 {
            ((f64::from(x) * point as f64) as i64 * log2_e) >> shift
        } else if x < below as f32 {
            return (zero, 0);
        } else if x.is_nan() || x > above as f32 {
            return (none, 0);
        } else {
            assert!(x.abs() <= far as f32);
            let k = exponent(x.abs()) - 23;
            let m = (f64::from(x.abs()) * 2f64.powi(-k as i32)) as i128;
            let product = m * i128::from(high) + ((m * i128::from(low)) >> 32);
            let magnitude = if k + 1 < 0 { product >> -(k + 1) } else { product << (k + 1) } as i64;
            if x < 0.0 { -magnitude } else { magnitude }
        };
        (log2 >> 32, self.exp2(log2 as u32))
    }
}

#[test]
fn exponentials() {
    let exp = Exp::read();
    let mut random = random();
    for f in (0..100_000).map(|_| random.next_u32()).chain([0, u32::MAX, 1 << 27, (1 << 27) - 1]) {
        assert_eq!(exp2_fraction(f), exp.exp2(f), "{f}");
    }
    for x in floats(&mut random, 100_000) {
        let (e, p) = exp_fixed(x);
        assert_eq!((i64::from(e), p), exp.parts(x), "{x}");
    }
}

#[test]
fn sums_and_zeros() {
    let format = format();
    assert_eq!(format.number("adds `x_i` to stripe `i mod {}`, in order,"), STRIPES as i64);
    let [least] = format.words("where their `peak` is below {} (the f32 nearest to it).");
    let least: f32 = least.parse().unwrap();
    let below = least.next_down();
    let scale = |x: f32| (quantize_i16(&mut [0; 4], &[x]), quantize_i8(&mut [0; 4], &[x]), pack_i8(&mut [0], &[x]));
    assert!(scale(least).0 > 0.0 && scale(least).1 > 0.0 && scale(least).2 > half::bf16::ZERO);
    assert_eq!(scale(below), (0.0, 0.0, half::bf16::ZERO));
    let normed = |x: f32| {
        let mut out = [f32::NAN; 2];
        normalize(&Plain, &mut out, &[x, 0.0], 0.0);
        out
    };
    assert_eq!(normed(below), [0.0; 2]);
    assert!(normed(least)[0] != 0.0);
}

/// What layer norm and RMS norm make of integers and their sum of squares.
fn normed(integers: &[i64], squares: i64, s: i64, unit: i64, epsilon: f32) -> Vec<u32> {
    let h = pow2(unit - s);
    let v = ((squares as f32 / integers.len() as f32) * h) * h;
    let g = (1.0 / (v + epsilon).sqrt()) * pow2(-s);
    integers.iter().map(|&x| (x as f32 * g).to_bits()).collect()
}

#[test]
fn norms() {
    let format = format();
    let [bits, dropped, unit] = format.numbers(
        "with `X` the elements under {} bits and `M = trunc(sum of X / n)`: `Q` is the sum of `(X - M shr {})^2`, `h` is `pow2({} - s)`,",
    );
    let rms: [i64; 2] =
        format.numbers("with `X` the elements under {} bits, `Q` is the sum of `(X shr {})^2`, `h`, `v` and `g` come");
    assert_eq!(rms, [bits, dropped]);
    let squares = |integers: &[i64]| integers.iter().map(|x| (x >> dropped).pow(2)).sum();
    let mut random = random();
    for n in [1, 2, 7, 64, 100, 1500] {
        for (largest, epsilon) in [(1.0, 1e-5), (1e-6, 1e-5), (3e4, 0.0), (1e20, 1e-3), (0.3, 1.0)] {
            let x = vector(&mut random, n, largest);
            let (integers, s) = under(bits, &x);
            let mut out = vec![0.0; n];
            rms_normalize(&Plain, &mut out, &x, epsilon);
            let want = normed(&integers, squares(&integers), s, unit, epsilon);
            assert_eq!(out.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), want, "RMS {n} {largest}");
            let mean = integers.iter().sum::<i64>() / n as i64;
            let distances: Vec<i64> = integers.iter().map(|x| x - mean).collect();
            normalize(&Plain, &mut out, &x, epsilon);
            let want = normed(&distances, squares(&distances), s, unit, epsilon);
            assert_eq!(out.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), want, "{n} {largest}");
        }
    }
}

#[test]
fn rotary_positions() {
    let format = format();
    let unit = format.number("whose `turns` is an integer in units of `2^-{}` turn a position.");
    let [modulo] = format.words("its phase is `p * turns mod {}`.");
    assert_eq!(modulo, format!("2^{unit}"));
    let [dropped, half, all, right, left] =
        format.numbers("With `F = phase shr {}`, `q = (F + {} mod {}) shr {}`, `t = {} F` as an integer of 32 bits");
    let s = format.numbers("`S = hi(t, {} + hi({} + hi({} + hi({}, u), u), u))`,");
    let [one, c @ ..]: [i64; 5] = format.numbers("`C = {} + hi({} + hi({} + hi({} + hi({}, u), u), u), u)`.");
    let points: [i64; 2] = format.numbers("are `f32(S) * 2^-{}` and `f32(C) * 2^-{}` where `q` is 0,");
    let cubic = |[c0, c1, c2, c3]: [i64; 4], u| c0 + hi(c1 + hi(c2 + hi(c3, u), u), u);
    let both = |phase: u64| {
        let f = (phase >> dropped) as i64;
        let q = ((f + half) % all) >> right;
        let t = i64::from((left * f) as i32);
        let u = hi(t, t);
        let (sine, cosine) = (hi(t, cubic(s, u)), one + hi(cubic(c, u), u));
        let (sine, cosine) = [(sine, cosine), (cosine, -sine), (-sine, -cosine), (-cosine, sine)][q as usize];
        (sine as f32 * pow2(-points[0]), cosine as f32 * pow2(-points[1]))
    };
    let mut random = random();
    let eighths = (0..8_u64).flat_map(|i| [i << 61, (i << 61).wrapping_sub(1), (i << 61) + 1]);
    for phase in (0..200_000).map(|_| random.next_u64()).chain(eighths) {
        assert_eq!(sine_cosine(phase), both(phase), "{phase}");
    }
    for (head_dim, r) in [(2, 2), (8, 8), (16, 4), (10, 6), (7, 0)] {
        let turns: Vec<u64> = (0..r / 2).map(|i| random.next_u64() >> i).collect();
        let bytes: Vec<[u8; 8]> = turns.iter().map(|turns| turns.to_le_bytes()).collect();
        for position in [0, 1, 77, 100_000, u32::MAX] {
            let before = vector(&mut random, head_dim, 3.0);
            let mut want = before.clone();
            for (i, turns) in turns.iter().enumerate() {
                let (sine, cosine) = both((u128::from(position) * u128::from(*turns) % (1 << unit)) as u64);
                let (a, b) = (before[i], before[i + r / 2]);
                (want[i], want[i + r / 2]) = (a * cosine - b * sine, b * cosine + a * sine);
            }
            let (mut x, mut angle) = (before, vec![f32::NAN; r]);
            angles(&mut angle, &bytes, position);
            rotate(&mut x, &angle);
            assert_eq!(x, want, "{head_dim} {r} {position}");
        }
    }
}

#[test]
fn activations_of_16_bits() {
    let format = format();
    let [most, inverse, bound] = format.numbers(
        "the scale `c` is `peak / {}` and each integer `a` is `x * ({} / peak)` rounded to nearest even and kept within ±{}.",
    );
    let mut random = random();
    for n in [1, 5, 64, 131] {
        for largest in [1.0, 1e-20, 1e30] {
            let x = vector(&mut random, n, largest);
            let mut words = vec![0; i16_words(n)];
            let scale = quantize_i16(&mut words, &x);
            let peak = peak(&x);
            assert_eq!(scale, peak / most as f32);
            let inverse = inverse as f32 / peak;
            for (i, x) in x.iter().enumerate() {
                let a = (x * inverse).round_ties_even().clamp(-bound as f32, bound as f32);
                assert_eq!(f32::from((words[i / 2] >> (16 * (i % 2))) as i16), a);
            }
        }
    }
    let less = format.number("with `k = max(0, b + ceil(log2(n_in)) - {})` the output is");
    for packing in Format::ALL.into_iter().filter_map(Format::packing) {
        for n_in in (1..300).chain([511, 512, 513, 1 << 20]) {
            let log2 = (0..).find(|&log2| 1_usize << log2 >= n_in).unwrap();
            assert_eq!(i64::from(packing.shift(n_in)), (i64::from(packing.bits) + log2 - less).max(0));
        }
    }
}

#[test]
fn activations_of_8_bits() {
    let format = format();
    let most = format.number("the same with `c = peak / {}` and");
    let [v, group, largest_scale, by] = format.numbers(
        "With `v = {} / peak`, each group of {} columns (the last may be shorter) has the integer scale `g = min({}, floor(floor(largest * v) / {}) + 1)`,",
    );
    let bound = format.number("each `a` is `x * (v / g)` rounded to nearest even and kept within ±{}. In the end");
    let mut random = random();
    for n in [1, 31, 32, 33, 200] {
        let mut x = vector(&mut random, n, 3.0);
        x.iter_mut().skip(32).for_each(|x| *x *= 0.01);
        let mut words = vec![0; i8_words(n)];
        let scale = quantize_i8(&mut words, &x);
        let peak_of_all = peak(&x);
        assert_eq!(scale, peak_of_all / most as f32);
        let v = v as f32 / peak_of_all;
        let (bytes, scales) = words.split_at(n.div_ceil(4));
        for (j, x) in x.chunks(group as usize).enumerate() {
            let g = largest_scale.min((peak(x) * v).floor() as i64 / by + 1);
            assert_eq!(i64::from(scales[j]), g);
            for (i, x) in (j * group as usize..).zip(x) {
                let a = (x * (v / g as f32)).round_ties_even().clamp(-bound as f32, bound as f32);
                assert_eq!(f32::from((bytes[i / 4] >> (8 * (i % 4))) as i8), a);
            }
        }
    }
}

#[test]
fn keys_and_values_of_8_bits() {
    let [most, bits, ones] = format().numbers(
        "is the least bf16 that is not below `peak / {}`. With `X` the elements under {} bits, `J = floor(({}) / m)` and `r = s + k`,",
    );
    let mut random = random();
    for largest in [1.0, 127.0, 1e-25, 1e35, 3.3] {
        for n in [1, 4, 33] {
            let x = vector(&mut random, n, largest);
            let mut words = vec![0; n.div_ceil(4)];
            let scale = pack_i8(&mut words, &x);
            let step = peak(&x) / most as f32;
            let want = (0..0x7F80).map(half::bf16::from_bits).find(|scale| scale.to_f32() >= step).unwrap();
            assert_eq!(scale, want);
            let (m, k) = mantissa(f32::from(scale), 8);
            let (integers, s) = under(bits, &x);
            let (j, r) = (ones / m, s + k);
            for (i, x) in integers.into_iter().enumerate() {
                let integer = (hi(x, j) + (1 << (r - 1))) >> r;
                assert_eq!(i64::from((words[i / 4] >> (8 * (i % 4))) as i8), integer);
            }
        }
    }
}

/// `m` of so many bits and `k` with `m * 2^k = x`.
fn mantissa(x: f32, bits: i64) -> (i64, i64) {
    let k = exponent(x) - (bits - 1);
    ((f64::from(x) * 2f64.powi(-k as i32)) as i64, k)
}

struct F32Ops;

impl HeadOps for F32Ops {
    fn dots(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        attention::dots_f32(scores, query, keys);
    }

    fn add_weighted(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        attention::add_weighted_f32(out, weights, values);
    }

    fn lanes(&self) -> &impl Lanes {
        &Plain
    }
}

#[test]
fn attention_over_floats() {
    let (format, exp) = (format(), Exp::read());
    let block = format.number("for each head, positions come in blocks of {}, the first") as usize;
    let reference = format.number("Reference `R = {}`, sum and outputs are 0 at first.");
    let point = format.number("`w = (f32(p shr 1) * 2^-{}) * pow2(e - R)`, the sum grows by `w`");
    let mut random = random();
    for (n, dim, sharp, start) in [
        (1, 1, 1.0, 0),
        (31, 5, 2.0, 0),
        (33, 8, 30.0, 0),
        (100, 12, 5.0, 0),
        (65, 17, 400.0, 0),
        (31, 5, 9.0, 31),
        (96, 9, 400.0, 32),
        (70, 6, 5.0, 1000),
    ] {
        let query = vector(&mut random, dim, sharp);
        let [keys, values] = [0; 2].map(|_| (0..n).map(|_| vector(&mut random, dim, 1.0)).collect::<Vec<_>>());
        let (mut r, mut sum, mut outputs) = (reference, 0.0, vec![0.0; dim]);
        for positions in blocks(block, start..start + n) {
            let (keys, values) = (&keys[positions.clone()], &values[positions]);
            let parts: Vec<_> = keys.iter().map(|key| exp.parts(striped(key, &query))).collect();
            let e = parts.iter().map(|&(e, _)| e).max().unwrap();
            if e >= r {
                let rescale = pow2(r - e - 1);
                sum *= rescale;
                outputs.iter_mut().for_each(|out| *out *= rescale);
                r = e + 1;
            }
            for ((e, p), value) in parts.into_iter().zip(values) {
                let w = ((p >> 1) as f32 * pow2(-point)) * pow2(e - r);
                sum += w;
                outputs.iter_mut().zip(value).for_each(|(out, value)| *out += w * value);
            }
        }
        let inverse = 1.0 / sum;
        let want: Vec<u32> = outputs.iter().map(|out| (out * inverse).to_bits()).collect();
        let slots = slots(start, n);
        let words = |rows: &[Vec<f32>]| {
            let mut words = vec![0x7FC0_0000; slots * dim];
            for (position, row) in (start..).zip(rows) {
                pack_f32(&mut words[position % slots * dim..][..dim], row);
            }
            words
        };
        let (keys, values) = (words(&keys), words(&values));
        let rows = |words| HeadRows::new(words, dim);
        let mut out = vec![f32::NAN; dim];
        attend(&mut out, &query, Seen::new(start..start + n, Ring::new(slots)), rows(&keys), rows(&values), &F32Ops);
        assert_eq!(out.into_iter().map(f32::to_bits).collect::<Vec<_>>(), want, "{n} {dim} {sharp} {start}");
    }
}

/// Indices of the positions that a query sees, of which `seen.start` is the first, block by block as the chapter has it.
fn blocks(block: usize, seen: Range<usize>) -> Vec<Range<usize>> {
    let multiple = format().number("Blocks end where they do without one, at multiples of {} counted from position 0:");
    assert_eq!(multiple, block as i64);
    let ends: Vec<usize> = seen.clone().filter(|position| (position + 1) % block == 0).map(|last| last + 1).collect();
    let starts = [&[seen.start], &ends[..]].concat();
    let blocks = starts.into_iter().zip(ends.iter().chain([&seen.end]));
    blocks.map(|(start, &end)| start - seen.start..end - seen.start).filter(|block| !block.is_empty()).collect()
}

/// Rows of a cache that holds `n` positions from `start` on: a ring, and where that is 0 as many as it takes.
const fn slots(start: usize, n: usize) -> usize {
    if start == 0 { n } else { (n + 31).next_multiple_of(32) }
}

fn striped(a: &[f32], b: &[f32]) -> f32 {
    let mut stripes = [0.0; STRIPES];
    a.iter().zip(b).enumerate().for_each(|(i, (a, b))| stripes[i % STRIPES] += a * b);
    fold(stripes)
}

/// The numbers of attention over 8-bit keys and values.
struct I8Attention {
    chunk: i64,
    block: i64,
    start: [i64; 2],
    /// Of the score: in `l`, the most that is shifted out, its fractional bits, and those once more.
    score: [i64; 5],
    term: i64,
    weight: [i64; 3],
    room: [i64; 4],
    end: [i64; 2],
}

impl I8Attention {
    fn read() -> Self {
        let format = format();
        let [chunk, block] =
            format.numbers("`K = ceil(log2(ceil(head_dim / {})))`. Positions come in blocks of {}, the first");
        let [most, point] = format.numbers("for a negative `l`, `H shr min({}, -l)`. Its exponent is `e = Y shr {}`.");
        let [left, modulo] = format.numbers("with `p = exp2(2^{} * (Y mod 2^{}))`, `Z` grows by");
        let [down, limit] = format.numbers("`a = min({}, max(0, B - U))`, `U` becomes the larger of `B` and `U`, and `A` becomes `(A shr a) + 1`. If `A` is then `{}` or more,");
        let [a, b] = format.numbers("With `a = min({}, a)` and `b = min({}, U - B)`,");
        let zero: [String; 2] = format.words("(0 is `{} * 2^{}` here and below)");
        assert_eq!(zero, ["128", "-134"]);
        Self {
            chunk,
            block,
            start: format.numbers("`R = {}`, the unit `U = {}`, the sum `Z`,"),
            score: [format.number("`l = k + k' + K + {}`. The score is"), most, point, left, modulo],
            term: format.number("has mantissa `T = (p shr {}) * m'` and exponent"),
            weight: format
                .numbers("`q + 1` where `T >= {}`, each weight is `W = min({}, ((T shr ({} + B - q)) + 1) shr 1)`."),
            room: [down, limit, a, b],
            end: format.numbers("each output is `f32(O) * (pow2(U - R - {}) / (f32(Z) * 2^-{}))`."),
        }
    }

    /// Over the keys and values of positions from `start` on.
    fn outputs(
        &self,
        c: f32,
        query: &[i64],
        start: usize,
        keys: &[(Vec<i64>, f32)],
        values: &[(Vec<i64>, f32)],
    ) -> Vec<f32> {
        let exp = Exp::read();
        let dim = query.len();
        let (m, k) = mantissa(c * std::f32::consts::LOG2_E, 24);
        let dropped = (0..).find(|&log2| self.chunk << log2 >= dim as i64).unwrap();
        let ([mut r, mut u], mut z, mut bound, mut outputs) = (self.start, 0_u64, 0_i64, vec![0_i64; dim]);
        let [more, most, point, left, modulo] = self.score;
        for positions in blocks(self.block as usize, start..start + keys.len()) {
            let (keys, values) = (&keys[positions.clone()], &values[positions]);
            let scores: Vec<i64> = keys
                .iter()
                .map(|(key, scale)| {
                    let sum: i64 = key.iter().zip(query).map(|(a, b)| a * b).sum();
                    let (key_m, key_k) = mantissa(*scale, 8);
                    let high = hi(sum >> dropped, (m / 2) * key_m);
                    let l = k + key_k + dropped + more;
                    if l < 0 { high >> most.min(-l) } else { high << l }
                })
                .collect();
            let e = scores.iter().map(|y| y >> point).max().unwrap();
            if e >= r {
                z = shr(z, e + 1 - r);
                r = e + 1;
            }
            let terms: Vec<(i64, i64)> = scores
                .iter()
                .zip(values)
                .map(|(y, (_, scale))| {
                    let p = exp.exp2(((y & ((1 << modulo) - 1)) << left) as u32);
                    z += shr(p.into(), r - (y >> point));
                    let (value_m, value_k) = mantissa(*scale, 8);
                    ((i64::from(p) >> self.term) * value_m, (y >> point) + value_k)
                })
                .collect();
            let [carry, largest, lower] = self.weight;
            let b = terms.iter().map(|&(t, q)| q + i64::from(t >= carry)).max().unwrap();
            let weights: Vec<i64> =
                terms.iter().map(|&(t, q)| largest.min((shr(t as u64, lower + b - q) as i64 + 1) >> 1)).collect();
            let [down, limit, a_most, b_most] = self.room;
            let mut a = down.min(0.max(b - u));
            u = u.max(b);
            bound = (bound >> a) + 1;
            if bound >= limit {
                (a, u, bound) = (a + 1, u + 1, (bound >> 1) + 1);
            }
            let (a, b) = (a_most.min(a), b_most.min(u - b));
            bound += (weights.iter().sum::<i64>() >> b) + 1;
            for (i, out) in outputs.iter_mut().enumerate() {
                let sum: i64 = weights.iter().zip(values).map(|(w, (value, _))| w * value[i]).sum();
                *out = (*out >> a) + (sum >> b);
            }
        }
        let [unit, point] = self.end;
        let factor = pow2(u - r - unit) / (z as f32 * pow2(-point));
        outputs.into_iter().map(|out| out as f32 * factor).collect()
    }
}

#[test]
fn attention_over_8_bits() {
    let chapter = I8Attention::read();
    let mut random = random();
    for (n, dim, sharp, start) in [
        (1, 1, 1.0, 0),
        (32, 7, 3.0, 0),
        (33, 16, 40.0, 0),
        (200, 32, 2.0, 0),
        (70, 130, 0.5, 0),
        (40, 1100, 0.3, 0),
        (1, 6, 1.0, 95),
        (64, 12, 2.0, 64),
        (65, 16, 3.0, 31),
        (100, 9, 0.5, 1001),
    ] {
        let mut words = vec![0; i16_words(dim)];
        let c = quantize_i16(&mut words, &vector(&mut random, dim, sharp));
        let query: Vec<i64> = (0..dim).map(|i| ((words[i / 2] >> (16 * (i % 2))) as i16).into()).collect();
        let (n_words, stride, slots) = (dim.div_ceil(4), dim.div_ceil(4) + 1, slots(start, n));
        let mut store = |spread: f32| {
            let mut rows = vec![u32::MAX; slots * stride];
            let stored = (start..start + n).map(|position| {
                let row = &mut rows[position % slots * stride..][..stride];
                let largest = spread.powf(random.random::<f32>());
                let scale = pack_i8(&mut row[..n_words], &vector(&mut random, dim, largest));
                row[n_words] = scale.to_bits().into();
                let bytes = (0..dim).map(|i| ((row[i / 4] >> (8 * (i % 4))) as i8).into());
                (bytes.collect::<Vec<i64>>(), f32::from(scale))
            });
            let stored: Vec<_> = stored.collect();
            (rows, stored)
        };
        let ((key_rows, keys), (value_rows, values)) = (store(2.0), store(1e4));
        let head = |rows| I8Head { rows, stride, integers: 0, scale: 2 * n_words };
        let mut out = vec![f32::NAN; dim];
        let seen = Seen::new(start..start + n, Ring::new(slots));
        attend_i8(&Plain, &mut out, &words, c, seen, head(&key_rows), head(&value_rows));
        assert_eq!(out, chapter.outputs(c, &query, start, &keys, &values), "{n} {dim} {sharp} {start}");
    }
}

#[test]
fn activation_functions() {
    let format = format();
    let gelu_far = format.number("**GELU**: for `|x| >= {}`, `x` where it is positive,");
    let [point, gelu_half, gelu_within, gelu_left] =
        format.numbers("with `X = trunc(x * 2^{})`, `i = (|X| + 2^{}) shr {}` and `t = 2^{} |X|` as an integer");
    let [round, shift, end] = format.numbers("the result is `f32(max(X, 0) - (h + {} shr {})) * 2^-{}`.");
    let [far, from] = format.numbers("**SiLU**: for `|x| >= {}` what GELU is from {} on.");
    assert_eq!(from, gelu_far);
    let [half, within, left] = format.numbers("as GELU, with `i = (|X| + 2^{}) shr {}`, `t = 2^{} |X|` and row");
    let of = |x: f32, table: &[[i32; 4]], [far, half, within, left]: [i64; 4]| {
        if x.abs() < far as f32 {
            let integer = (f64::from(x) * 2f64.powi(point as i32)) as i64;
            let [c0, c1, c2, c3] = table[((integer.abs() + (1 << half)) >> within) as usize].map(i64::from);
            let t = i64::from((integer.abs() << left) as i32);
            let h = c0 + hi(c1 + hi(c2 + hi(c3, t), t), t);
            (integer.max(0) - ((h + round) >> shift)) as f32 * pow2(-end)
        } else if x > 0.0 || x.is_infinite() || x.is_nan() {
            x
        } else {
            0.0
        }
    };
    let assert_all = |name: &str, core: &dyn Fn(&mut [f32], &[f32]), want: &dyn Fn(f32) -> f32| {
        for x in floats(&mut random(), 30_000) {
            let (mut out, want) = ([0.0], want(x));
            core(&mut out, &[x]);
            assert!(out[0] == want || out[0].is_nan() && want.is_nan(), "{name} of {x}: {} for {want}", out[0]);
        }
    };
    for form in [Gelu::Tanh, Gelu::Erf] {
        let want = |x| of(x, table(form), [gelu_far, gelu_half, gelu_within, gelu_left]);
        assert_all("GELU", &|out, x| gelu(&Plain, out, x, form), &want);
    }
    assert_all("SiLU", &|out, x| silu(&Plain, out, x), &|x| of(x, &TABLE, [far, half, within, left]));
    let [zero] =
        format.words("**ReLU**: {} where `x < 0`, else `x`. **ReLU squared**: the product of that with itself.");
    let zero: f32 = zero.parse().unwrap();
    let positive = |x: f32| if x < 0.0 { zero } else { x };
    assert_all("ReLU", &relu, &positive);
    assert_all("ReLU squared", &relu_squared, &|x| positive(x) * positive(x));
}

#[test]
fn likelihoods() {
    let (format, exp) = (format(), Exp::read());
    let start = format.number("Over the logits in token order, with `R = {}` and an integer sum");
    let [point, limit] = format.numbers("`Z` grows by `2^{} p shr (R - e)`; if `Z >= 2^{}`, `Z` becomes");
    let less = format.number("the result is `((R - {} + k) * ln 2 - target) + ln(m)` in f64,");
    let mut random = random();
    for (n, spread) in [(1, 1.0), (2, 50.0), (65, 5.0), (5000, 10.0), (300, 1e6)] {
        let logits = vector(&mut random, n, spread);
        let (mut r, mut z) = (start, 0_u64);
        for &logit in &logits {
            let (e, p) = exp.parts(logit);
            if e >= r {
                z = shr(z, e + 1 - r);
                r = e + 1;
            }
            z += shr(u64::from(p) << point, r - e);
            if z >= 1 << limit {
                z >>= 1;
                r += 1;
            }
        }
        let (mut m, mut k) = (z as f32, 0);
        while m >= 2.0 * std::f32::consts::FRAC_1_SQRT_2 {
            (m, k) = (m / 2.0, k + 1);
        }
        let nll = ((r - less + k) as f64 * std::f64::consts::LN_2 - f64::from(logits[0])) + f64::from(libm::logf(m));
        let mut sink = LogSumExp::new();
        sink.push(0, &logits);
        assert_eq!(sink.nll(logits[0]), Ok(Some(nll as f32)), "{n} {spread}");
    }
}

#[test]
fn draws() {
    let format = format();
    assert_eq!(format.number("for each token among the last {}, prompt included."), RECENT as i64);
    assert_eq!(
        format.number("among the `k` largest logits (top-k, or {}), the first of equals,"),
        MAX_CANDIDATES as i64
    );
    let bits = format.number("`v = (n + 0.5) / 2^{}` in f64, rounded to f32,");
    let [half, all] = format.numbers("where `n` is {} or more, `v` is of its complement `{} - n` instead,");
    let middle = |n: u32| ((f64::from(n) + 0.5) / 2f64.powi(bits as i32)) as f32;
    let noise = |n: u32| match i64::from(n) < half {
        true => -libm::logf(-libm::log1pf(-middle(n))),
        false => -libm::logf(-libm::logf(middle((all - i64::from(n)) as u32))),
    };
    for seed in 0..300 {
        let logits = vector(&mut random(), 97, 4.0);
        let mut sink = GumbelMax::new(generator(seed), 0.7);
        sink.push(0, &logits);
        let mut numbers = generator(seed);
        let scores: Vec<f32> = logits.iter().map(|logit| logit + 0.7 * noise(numbers.next_u32())).collect();
        let first = (0..97).rev().max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
        assert_eq!(sink.choice(), Ok(Some((first as u32, logits[first]))));
    }
    // What exp_parts gives draws as a factor.
    let point = format.number("the weight is `w = (f32(p shr 1) * 2^-{}) * pow2(e)`.");
    for x in [0.0, -0.3, -5.0, -90.0] {
        assert_eq!(exp_parts(x).1, (exp_fixed(x).1 >> 1) as f32 * pow2(-point));
    }
}

/// The crates whose bits are part of the arithmetic, as the lock file pins them.
#[test]
fn crates() {
    let lock = Document::open("Cargo.lock");
    let [rand_pcg] = format().words("of the Rust crate rand_pcg {}, PCG-XSH-RR 64/32.");
    let [locked] = lock.words("name = \"rand_pcg\" version = \"{}\" source");
    assert!(locked.starts_with(&format!("{rand_pcg}.")), "{locked}");
    let [libm] = format().words("of the Rust crate libm, version {} exactly, in f32.");
    let [locked] = lock.words("name = \"libm\" version = \"{}\" source");
    assert_eq!(locked, libm);
}
