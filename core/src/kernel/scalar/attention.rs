//! The integer products of attention, of bytes and halves that are loaded each by itself: taking words apart takes longer.

use crate::ops::attention::HeadRows;

/// See [`Lanes::dots_i8`](crate::ops::lanes::Lanes::dots_i8).
pub fn dots_i8(sums: &mut [i32], query: &[u32], keys: HeadRows<'_>) {
    for (sum, key) in sums.iter_mut().zip(keys.iter(query.len() / 2)) {
        *sum = dot_i8(key, query);
    }
}

/// The sum of `key * query`.
///
/// Four elements take 8 loads, 4 multiplications and 4 additions, which multiplications with an addition save: on
/// Cortex-M3 12 instructions, in 20 cycles by Arm's published timings as the compiler pairs the loads, on RISC-V 16.
#[inline(never)] // What calls it has no register to spare.
fn dot_i8(key: &[u32], query: &[u32]) -> i32 {
    let mut sum = 0;
    for (key, query) in key.iter().zip(query.as_chunks::<2>().0) {
        // SAFETY: a word is four bytes, and two words, aligned as halves are, are four of these.
        let (key, query) =
            unsafe { (&*core::ptr::from_ref(key).cast::<[i8; 4]>(), &*core::ptr::from_ref(query).cast::<[i16; 4]>()) };
        for (&key, &query) in key.iter().zip(query) {
            sum += i32::from(key) * i32::from(query);
        }
    }
    sum
}

/// See [`Lanes::weigh_i8`](crate::ops::lanes::Lanes::weigh_i8).
///
/// A word of four values takes 5 loads, 4 multiplications and 4 additions, which multiplications with an addition save,
/// and 3 or 4 for the next one's place: on Cortex-M3 13 instructions, in 21 to 23 cycles by Arm's published timings, on
/// RISC-V 17.
#[inline(never)] // As above.
pub fn weigh_i8(values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4] {
    let [mut a, mut b, mut c, mut d] = [0; 4];
    let stride = stride.max(1);
    let end = values.len().min(weights.len().saturating_mul(stride));
    let (mut at, mut weight) = (0, weights.as_ptr());
    while at < end {
        // SAFETY: before `end` there are both a word, which is four bytes, and its weight.
        let (&[p, q, r, s], w) = unsafe { (&*values.as_ptr().add(at).cast::<[i8; 4]>(), *weight) };
        a += i32::from(p) * w;
        b += i32::from(q) * w;
        c += i32::from(r) * w;
        d += i32::from(s) * w;
        at += stride;
        weight = weight.wrapping_add(1);
    }
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use crate::ops::attention::{self, HeadRows};

    #[test]
    fn the_products_of_words() {
        let mut state = 0x2545_F491u32;
        let mut random = || {
            // Knuth's and Lewis's generator, its better half twice.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16 | state & 0xFFFF_0000
        };
        let words: [u32; 97] = core::array::from_fn(|i| if i < 8 { 0x8080_8080 } else { random() });
        let weights: [i32; 32] = core::array::from_fn(|i| if i < 4 { 32767 } else { (random() >> 17) as i32 });
        // An interpreter takes a while over each.
        let step = if cfg!(miri) { 13 } else { 1 };
        for n in (0..40).step_by(step) {
            for stride in [n, n + 1, 20] {
                let (query, keys) = (&words[17..17 + 2 * n], HeadRows::new(&words, stride));
                let [mut got, mut want] = [[1; 5]; 2];
                super::dots_i8(&mut got, query, keys);
                attention::dots_i8(&mut want, query, keys);
                assert_eq!(got, want, "{n} {stride}");
            }
        }
        for len in (0..words.len()).step_by(step) {
            for stride in [1, 2, 3, 7, 34, 200] {
                for n in [0, 1, 5, 32] {
                    let (values, weights) = (&words[..len], &weights[..n]);
                    let want = attention::weigh_i8(values, stride, weights);
                    assert_eq!(super::weigh_i8(values, stride, weights), want, "{len} {stride} {n}");
                }
            }
        }
        assert_eq!(super::weigh_i8(&[0x0403_0201; 9], usize::MAX / 2, &[3, 5]), [3, 6, 9, 12]);
    }
}
