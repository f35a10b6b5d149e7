//! The core's GELU and SiLU against the oracle's: their tables of cubics, and what becomes of an argument.

use emberlm_core::config::Gelu;
use emberlm_core::ops::gelu::{gelu, table};
use emberlm_core::ops::lanes::Plain;
use emberlm_core::ops::silu::{TABLE, silu};
use emberlm_tests::gelu::{gelu_erf, gelu_tanh};

type Function = fn(f64) -> f64;

/// A function, its table, and the table's cubics for each 1 of an argument.
struct Tabled {
    name: &'static str,
    of: Function,
    core: fn(&mut [f32], &[f32]),
    table: &'static [[i32; 4]],
    per_one: f64,
}

fn all() -> [Tabled; 3] {
    let gelus = [("tanh GELU", gelu_tanh as Function, Gelu::Tanh), ("erf GELU", gelu_erf, Gelu::Erf)];
    let [tanh, erf] = gelus.map(|(name, of, form)| Tabled {
        name,
        of,
        core: match form {
            Gelu::Tanh => |out, x| gelu(&Plain, out, x, Gelu::Tanh),
            Gelu::Erf => |out, x| gelu(&Plain, out, x, Gelu::Erf),
        },
        table: table(form),
        per_one: 16.0,
    });
    let silu = Tabled {
        name: "SiLU",
        of: |x| x / (1.0 + (-x).exp()),
        core: |out, x| silu(&Plain, out, x),
        table: &TABLE,
        per_one: 8.0,
    };
    [tanh, erf, silu]
}

impl Tabled {
    /// What the function is short of its argument.
    fn bump(&self, a: f64) -> f64 {
        a - (self.of)(a)
    }

    /// The slope of the bump, by differences of the eighth order.
    fn slope(&self, a: f64) -> f64 {
        const STEP: f64 = 1.0 / 128.0;
        let weights = [4.0 / 5.0, -1.0 / 5.0, 4.0 / 105.0, -1.0 / 280.0];
        let difference = |(k, weight): (i32, f64)| {
            let h = STEP * f64::from(k);
            weight * (self.bump(a + h) - self.bump(a - h))
        };
        (1..).zip(weights).map(difference).sum::<f64>() / STEP
    }
}

#[test]
fn the_tables_are_what_they_say() {
    let s = ((2f64.sqrt() - 1.0) / 2.0).sqrt();
    for function in all() {
        for (i, row) in function.table.iter().enumerate() {
            let a = i as f64 / function.per_one;
            let [below, at, above] = [-s, 0.0, s].map(|t| function.bump(a + t / function.per_one));
            let c1 = function.slope(a) / function.per_one;
            let c2 = (above + below - 2.0 * at) / (2.0 * s * s);
            let c3 = ((above - below) / (2.0 * s) - c1) / (s * s);
            for (k, (want, &got)) in [at, c1, c2, c3].into_iter().zip(row).enumerate() {
                let want = want * 2f64.powi(30);
                assert!((f64::from(got) - want).abs() <= 0.5 + 1e-3, "{} {i}, power {k}: {got}, {want}", function.name);
            }
        }
    }
}

#[test]
fn every_argument_keeps_the_bound() {
    // Every exponent at which anything happens, and a thousand or two mantissas of each.
    let bits = (0x3000_0000..=0x42C0_0000u32).step_by(0x1FF3);
    for Tabled { name, of, core, .. } in all() {
        let mut worst = 0.0f64;
        for x in bits.clone().flat_map(|bits| [bits, bits | 0x8000_0000]).map(f32::from_bits) {
            let mut y = [0.0];
            core(&mut y, &[x]);
            let error = (f64::from(y[0]) - of(f64::from(x))).abs() / f64::from(x.abs().max(1.0));
            assert!(error < 8e-8, "{name} of {x}: {} off by {error}", y[0]);
            worst = worst.max(error);
        }
        println!("{name}: off by at most {worst:e} of an argument's size, or of 1");
    }
}
