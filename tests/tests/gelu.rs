//! The core's GELU against the oracle's: its table of cubics, and what becomes of an argument.

use emberlm_core::config::Gelu;
use emberlm_core::ops::gelu::{gelu, table};
use emberlm_tests::gelu::{gelu_erf, gelu_tanh};

type Function = fn(f64) -> f64;

const FORMS: [(Gelu, Function); 2] = [(Gelu::Tanh, gelu_tanh), (Gelu::Erf, gelu_erf)];

/// What a GELU is short of its argument.
fn bump(of: Function, a: f64) -> f64 {
    a - of(a)
}

/// The slope of [`bump`], by differences of the eighth order.
fn slope(of: Function, a: f64) -> f64 {
    const STEP: f64 = 1.0 / 128.0;
    let weights = [4.0 / 5.0, -1.0 / 5.0, 4.0 / 105.0, -1.0 / 280.0];
    let difference = |(k, weight): (i32, f64)| {
        let h = STEP * f64::from(k);
        weight * (bump(of, a + h) - bump(of, a - h))
    };
    (1..).zip(weights).map(difference).sum::<f64>() / STEP
}

#[test]
fn the_table_is_what_it_says() {
    let s = ((2f64.sqrt() - 1.0) / 2.0).sqrt();
    for (form, of) in FORMS {
        for (i, row) in table(form).iter().enumerate() {
            let a = i as f64 / 16.0;
            let (above, below, at) = (bump(of, a + s / 16.0), bump(of, a - s / 16.0), bump(of, a));
            let c1 = slope(of, a) / 16.0;
            let c2 = (above + below - 2.0 * at) / (2.0 * s * s);
            let c3 = ((above - below) / (2.0 * s) - c1) / (s * s);
            for (k, (want, &got)) in [at, c1, c2, c3].into_iter().zip(row).enumerate() {
                let want = want * 2f64.powi(30);
                assert!((f64::from(got) - want).abs() <= 0.5 + 1e-3, "{form:?} {i}, power {k}: {got} for {want}");
            }
        }
    }
}

#[test]
fn every_argument_keeps_the_bound() {
    // Every exponent at which anything happens, and a thousand or two mantissas of each.
    let bits = (0x3000_0000..=0x41C0_0000u32).step_by(0x1FF3);
    for (form, of) in FORMS {
        for x in bits.clone().flat_map(|bits| [bits, bits | 0x8000_0000]).map(f32::from_bits) {
            let mut y = [0.0];
            gelu(&mut y, &[x], form);
            let error = (f64::from(y[0]) - of(f64::from(x))).abs();
            assert!(error < 8e-8 * f64::from(x.abs().max(1.0)), "{form:?} {x}: {} off by {error}", y[0]);
        }
    }
}
