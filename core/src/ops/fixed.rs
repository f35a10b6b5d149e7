//! Floats to fixed point and back, exactly: what lets integer arithmetic define a function of floats.
//!
//! On a core with a floating-point unit the conversions are its instructions, on one without they are shifts of the
//! float's bits. Both give the same integers, which a test shows.

use super::alone::alone;

/// Whether the target adds and multiplies f32 in hardware.
pub(super) const HAS_FPU: bool = cfg!(not(any(
    all(target_arch = "arm", not(target_abi = "eabihf")),
    all(target_arch = "riscv32", not(target_feature = "f")),
)));

/// `x * 2^shift` truncated to an integer, which is below `2^31` in magnitude; `shift` is from -126 to 126.
#[inline(always)]
pub fn to_fixed(x: f32, shift: i32) -> i32 {
    if HAS_FPU { (x * pow2(shift)) as i32 } else { shifted(x, shift) }
}

/// `value * 2^-shift`, rounded to nearest even; `shift` is from 0 to 95.
#[inline(always)]
pub fn from_fixed(value: i32, shift: i32) -> f32 {
    if HAS_FPU { value as f32 * pow2(-shift) } else { normalized(value, shift) }
}

/// `2^exponent` for exponents from -126 to 127; 0 below, unspecified above.
#[inline(always)]
pub const fn pow2(exponent: i32) -> f32 {
    if exponent < -126 { 0.0 } else { f32::from_bits((exponent.wrapping_add(127) as u32) << 23) }
}

/// The unbiased exponent of a normal number's magnitude.
#[inline(always)]
pub const fn exponent(x: f32) -> i32 {
    ((x.to_bits() >> 23) & 0xFF) as i32 - 127
}

/// The upper half of a product: `floor(a * b / 2^32)`.
#[inline(always)]
pub const fn mul_high(a: i32, b: i32) -> i32 {
    ((a as i64 * b as i64) >> 32) as i32
}

/// As [`mul_high`], unsigned.
#[inline(always)]
pub const fn umul_high(a: u32, b: u32) -> u32 {
    ((a as u64 * b as u64) >> 32) as u32
}

/// `a * b`, rounded as every product of floats: on a core without a floating-point unit in fewer instructions than its
/// library takes.
#[inline(always)]
pub fn multiply(a: f32, b: f32) -> f32 {
    if HAS_FPU { alone(a * b) } else { multiplied(a, b) }
}

/// [`multiply`] of the mantissas.
#[inline(always)]
fn multiplied(a: f32, b: f32) -> f32 {
    let (x, y) = (a.to_bits(), b.to_bits());
    let (x_exponent, y_exponent) = (x >> 23 & 0xFF, y >> 23 & 0xFF);
    let mantissa = |bits: u32| bits << 8 | 0x8000_0000;
    let product = u64::from(mantissa(x)) * u64::from(mantissa(y));
    let (high, low) = ((product >> 32) as u32, product as u32);
    // 31 bits, the last of which stands for all below.
    let carry = high >> 31;
    let top = high >> carry | high & carry | u32::from(low != 0);
    let rounded = (top + 0x3F + (top >> 7 & 1)) >> 7;
    let exponent = x_exponent + y_exponent + carry;
    // Zeros, subnormal numbers, what is not finite, and products that are.
    if x_exponent.wrapping_sub(1) >= 254 || y_exponent.wrapping_sub(1) >= 254 || exponent.wrapping_sub(128) >= 253 {
        return a * b;
    }
    f32::from_bits(((x ^ y) & 0x8000_0000) | ((exponent - 128) << 23).wrapping_add(rounded))
}

/// `a + b`, rounded as every sum of floats: on a core without a floating-point unit in fewer instructions than its library
/// takes. Of sums that are no number only that is certain, not which bits they have.
#[inline(always)]
pub fn add(a: f32, b: f32) -> f32 {
    if HAS_FPU { alone(a + b) } else { added(a, b) }
}

/// [`add`] of the mantissas, shifted under one exponent.
#[inline(always)]
fn added(a: f32, b: f32) -> f32 {
    let (x, y) = (a.to_bits(), b.to_bits());
    // The one of larger magnitude first.
    let (x, y) = if x << 1 < y << 1 { (y, x) } else { (x, y) };
    let (x_exponent, y_exponent) = (x >> 23 & 0xFF, y >> 23 & 0xFF);
    // Zeros, subnormal numbers, and what is not finite.
    if x_exponent == 0xFF || y_exponent == 0 {
        return a + b;
    }
    let right = x_exponent - y_exponent;
    if right > 25 {
        return f32::from_bits(x);
    }
    // 30 bits, the last of which stands for all that a shift leaves out.
    let mantissa = |bits: u32| bits << 6 & 0x1FFF_FFFF | 0x2000_0000;
    let all = mantissa(y);
    let near = all >> right;
    let near = near | u32::from(near << right != all);
    let opposite = (x ^ y) as i32 >> 31;
    let sum = mantissa(x).wrapping_add_signed((near as i32 ^ opposite) - opposite);
    if sum == 0 {
        return 0.0;
    }
    let (top, zeros) = raised(sum);
    let rounded = (top + 0x3F + (top >> 7 & 1)) >> 7;
    let exponent = (x_exponent + 1).wrapping_sub(zeros);
    // Sums that are not normal numbers.
    if exponent.wrapping_sub(1) >= 253 {
        return a + b;
    }
    f32::from_bits((x & 0x8000_0000) | ((exponent - 1) << 23).wrapping_add(rounded))
}

/// Whether the target has an instruction that counts leading zeros.
pub(crate) const HAS_CLZ: bool =
    cfg!(not(any(target_arch = "riscv32", all(target_arch = "arm", not(target_has_atomic = "32")))));

/// `x`, from 1 on and below `2^31`, times a power of two that makes it reach `2^30`, and that power's exponent.
#[inline(always)]
fn raised(x: u32) -> (u32, u32) {
    if !HAS_CLZ {
        return raised_by_bits(x);
    }
    let zeros = x.leading_zeros() - 1;
    (x << zeros, zeros)
}

/// As [`raised`]: sums mostly lack a bit or none.
#[inline(always)]
const fn raised_by_bits(mut x: u32) -> (u32, u32) {
    let mut zeros = 0;
    while x < 1 << 30 {
        x <<= 1;
        zeros += 1;
    }
    (x, zeros)
}

/// [`to_fixed`] by shifting.
#[inline(always)]
pub(super) const fn shifted(x: f32, shift: i32) -> i32 {
    let bits = x.to_bits();
    let mantissa = (bits << 7 & 0x3FFF_FFFF) | 0x4000_0000;
    let right = (157 - shift) - (bits >> 23 & 0xFF) as i32;
    // A mantissa of 31 bits, shifted by 31 or more, is 0.
    let magnitude = (mantissa >> if right > 31 { 31 } else { right as u32 & 31 }) as i32;
    let sign = bits as i32 >> 31;
    (magnitude ^ sign).wrapping_sub(sign)
}

/// [`from_fixed`] by shifting.
#[inline(always)]
const fn normalized(value: i32, shift: i32) -> f32 {
    if value == 0 {
        return 0.0;
    }
    let magnitude = value.unsigned_abs();
    let zeros = magnitude.leading_zeros();
    // 31 bits, of which 24 stay; what a carry makes of them is the next exponent.
    let mantissa = if zeros == 0 { magnitude >> 1 | magnitude & 1 } else { magnitude << (zeros - 1) };
    let rounded = (mantissa + 0x3F + (mantissa >> 7 & 1)) >> 7;
    let exponent = 157 - shift - zeros as i32;
    f32::from_bits(((exponent as u32) << 23).wrapping_add(rounded) | value as u32 & 0x8000_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges() {
        assert_eq!((pow2(-127), pow2(-126), pow2(0), pow2(127)), (0.0, f32::MIN_POSITIVE, 1.0, 2f32.powi(127)));
        for (x, shift, want) in [(0.0, 26, 0), (-0.0, 0, 0), (-1.75, 0, -1), (-1.75, 2, -7), (1e-40, 126, 0)] {
            assert_eq!((to_fixed(x, shift), shifted(x, shift)), (want, want), "{x} {shift}");
        }
        for value in [0, 1, -1, i32::MAX, i32::MIN, i32::MIN + 1, 0x0100_0001, 0x0180_0003, 0x7FFF_FF40] {
            for shift in [0, 26, 95] {
                assert_eq!(normalized(value, shift).to_bits(), from_fixed(value, shift).to_bits(), "{value} {shift}");
            }
        }
    }

    #[test]
    fn sums_and_products_of_edges() {
        // Every exponent with the mantissas at which something is carried, is lost or ties.
        const MANTISSAS: [u32; 8] = [0, 1, 2, 0x0040_0000, 0x0040_0001, 0x003F_FFFF, 0x007F_FFFE, 0x007F_FFFF];
        let all = || {
            let signed = (0..512)
                .step_by(if cfg!(miri) { 51 } else { 1 })
                .flat_map(|top| MANTISSAS.map(|mantissa| top << 23 | mantissa));
            signed.map(f32::from_bits)
        };
        for a in all().filter(|a| a.is_sign_positive()) {
            for b in all() {
                for (a, b) in [(a, b), (-a, b), (b, a)] {
                    let (sum, product) = (added(a, b), multiplied(a, b));
                    assert!(sum.to_bits() == (a + b).to_bits() || sum.is_nan() && (a + b).is_nan(), "{a:e} + {b:e}");
                    let want = a * b;
                    assert!(product.to_bits() == want.to_bits() || product.is_nan() && want.is_nan(), "{a:e} * {b:e}");
                }
            }
        }
    }

    #[test]
    fn both_ways_of_raising_agree() {
        for bit in 0..31 {
            for x in [1 << bit, (1 << bit) | 1, (u32::MAX >> 1) >> bit] {
                let zeros = x.leading_zeros() - 1;
                assert_eq!((raised(x), raised_by_bits(x)), ((x << zeros, zeros), (x << zeros, zeros)), "{x}");
            }
        }
    }

    #[test]
    fn both_ways_of_converting_agree() {
        let mut state = 0x2545_F491_4F6C_DD1Du64;
        for _ in 0..if cfg!(miri) { 1000 } else { 1_000_000 } {
            // Knuth's MMIX generator.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (x, below, shift) =
                (f32::from_bits((state >> 32) as u32), (state >> 24) as u8, (state >> 10) as i32 & 63);
            let to = 30 - exponent(x) - i32::from(below % 200);
            if x.is_finite() && (-126..=126).contains(&to) {
                assert_eq!(shifted(x, to), (x * pow2(to)) as i32, "{x} {to}");
            }
            let y = f32::from_bits(state.rotate_left(23) as u32);
            assert!(multiplied(x, y).to_bits() == (x * y).to_bits() || (x * y).is_nan(), "{x} {y}");
            let near = f32::from_bits(y.to_bits() & 0x80FF_FFFF | 0x3F00_0000);
            let few = f32::from_bits(x.to_bits() & 0xFFFF_F000);
            for (a, b) in [(x, near), (few, near), (few, f32::from_bits(near.to_bits() & 0xFFFF_F000))] {
                assert!(multiplied(a, b).to_bits() == (a * b).to_bits() || a.is_nan(), "{a} {b}");
            }
            // Sums of every distance, with and without cancellation.
            let beside = f32::from_bits(x.to_bits().wrapping_add(((y.to_bits() >> 23) % 60) << 23) ^ y.to_bits() >> 9);
            let next = f32::from_bits(x.to_bits() ^ 0x8000_0000 ^ (y.to_bits() >> (below % 32)));
            for (a, b) in [(x, y), (x, near), (few, near), (x, beside), (beside, x), (few, beside), (x, next)] {
                assert!(
                    added(a, b).to_bits() == (a + b).to_bits() || (a + b).is_nan() && added(a, b).is_nan(),
                    "{a:e} {b:e}"
                );
            }
            let value = (state >> 32) as i32 >> (below % 31);
            assert_eq!(normalized(value, shift).to_bits(), (value as f32 * pow2(-shift)).to_bits(), "{value} {shift}");
        }
    }
}
