//! Formats by budget lose no more than what lies between the two formats around the budget: the divergence that they would
//! have if its logarithm fell evenly with the bits.
//!
//! Everything is measured on text that the model writes itself, from another seed than the text that it is rounded by.

mod common;

use std::path::Path;

use common::run;
use emberlm::checkpoint::{Checkpoint, Options};
use emberlm::convert::auto::Sensitivities;
use emberlm::convert::budget::Budget;
use emberlm::convert::calibrate::{OwnText, Windows};
use emberlm::convert::formats::{Choice, Formats, Weights};
use emberlm::convert::quantized::matrices;
use emberlm::convert::room::{FORMATS, Room};
use emberlm::convert::trial::Trial;
use emberlm::reference::Reference;
use emberlm_core::config::TokenId;
use emberlm_tests::fixtures;

/// Bits a weight and nats of divergence.
type Point = (f64, f64);

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(path, &Options::default()).unwrap()
}

/// The model's own text from a seed.
fn own_text(checkpoint: &Checkpoint, seed: u64, tokens: usize) -> Windows {
    let text = OwnText { first: checkpoint.bos(), seed, tokens };
    Windows::own_text(&Reference::new(checkpoint), &text, |_| ())
}

fn bits(checkpoint: &Checkpoint, formats: &Formats) -> f64 {
    let (bytes, weights) = matrices(checkpoint).fold((0, 0), |(bytes, weights), slot| {
        let (rows, cols) = slot.shape(checkpoint.config());
        let stride = formats.get(slot).row_stride(cols as usize);
        (bytes + rows as usize * stride, weights + rows as usize * cols as usize)
    });
    8.0 * bytes as f64 / weights as f64
}

/// The divergence at `bits` on the line between the two points around it.
fn interpolated(uniform: &[Point], bits: f64) -> f64 {
    let pair = uniform.windows(2).find(|pair| (pair[1].0..=pair[0].0).contains(&bits)).unwrap();
    let [(high, at_high), (low, at_low)] = [pair[0], pair[1]];
    let share = (bits - low) / (high - low);
    (at_low.ln() * (1.0 - share) + at_high.ln() * share).exp()
}

/// The ratio of the divergence by budget to the interpolated one, for each budget in bits a weight.
fn ratios(name: &str, checkpoint: &Checkpoint, text: &Windows, held_out: Windows, budgets: &[f64]) -> Vec<f64> {
    let judge = Trial::new(checkpoint, text.clone(), held_out);
    let point = |formats: &Formats| (bits(checkpoint, formats), judge.divergences(&[formats]).unwrap()[0]);
    let around = |format: &&emberlm_core::format::Format| {
        let at = bits(checkpoint, &Formats::uniform(checkpoint.config(), **format));
        let (least, most) = budgets.iter().fold((f64::MAX, 0f64), |(least, most), b| (least.min(*b), most.max(*b)));
        at > least - 1.01 && at < most + 2.01
    };
    let uniform: Vec<Point> =
        FORMATS.iter().filter(around).map(|&format| point(&Formats::uniform(checkpoint.config(), format))).collect();
    let sensitivities = Sensitivities::measure(Trial::of_text(checkpoint, text), |_| ()).unwrap();
    let ratio = |&budget: &f64| {
        let budget = Budget::BitsPerWeight(budget);
        let choice = Choice { weights: Weights::Auto(budget), ..Choice::uniform(FORMATS[0]) };
        let settled = choice.settled(checkpoint.config(), checkpoint.is_tied()).unwrap();
        let room = Room::new(checkpoint, &settled, budget, 0).unwrap();
        let (bits, divergence) = point(&sensitivities.formats(&room).unwrap());
        let between = interpolated(&uniform, bits);
        let ratio = divergence / between;
        println!("{name}, {budget}: {bits:.3} bits, {divergence:.3e}, between formats {between:.3e}, ratio {ratio:.3}");
        ratio
    };
    budgets.iter().map(ratio).collect()
}

#[test]
fn a_short_text_leads_to_no_mix_that_is_worse_than_one_format() {
    let checkpoint = open(&fixtures::bundled("shakespeare-char"));
    let tokens: Vec<TokenId> = fixtures::char_ids(&fixtures::as_you_like_it()[..200]);
    let text = Windows::of_rows([tokens.as_slice()], checkpoint.architecture());
    let held_out = own_text(&checkpoint, 1, 1024);
    let ratios = ratios("shakespeare-char, 200 tokens", &checkpoint, &text, held_out, &[4.24]);
    assert!(ratios[0] <= 1.0, "{ratios:?}");
}

/// Takes long: `scripts/test-all auto` runs it, with optimised code.
#[test]
#[ignore = "takes minutes on idle cores"]
fn five_budgets_of_three_models_by_long_and_by_short_texts() {
    const BUDGETS: [f64; 5] = [3.6, 4.24, 4.75, 5.25, 6.0];
    let folder = tempfile::tempdir().unwrap();
    let random = folder.path().join("random");
    let config = folder.path().join("config.json");
    let sizes = r#"{"vocab_size": 33, "n_positions": 128, "n_embd": 512, "n_head": 8, "n_layer": 4}"#;
    std::fs::write(&config, sizes).unwrap();
    let init = ["init", "--config", config.to_str().unwrap(), "--seed", "1", "-o", random.to_str().unwrap()];
    run("init", 0, &init);
    let mut worst: f64 = 0.0;
    for (name, path) in [
        ("shakespeare-char", fixtures::bundled("shakespeare-char")),
        ("shakespeare-bpe512", fixtures::bundled("shakespeare-bpe512")),
        ("random, 512 wide", random),
    ] {
        let checkpoint = open(&path);
        let own = Windows::own_text(&Reference::new(&checkpoint), &OwnText::to_round_by(checkpoint.bos()), |_| ());
        let short: Vec<TokenId> = own_text(&checkpoint, 2, 2048).iter().flatten().copied().take(200).collect();
        let short = Windows::of_rows([short.as_slice()], checkpoint.architecture());
        for (text_name, text) in [("own text", own), ("200 tokens", short)] {
            let name = format!("{name}, {text_name}");
            let ratios = ratios(&name, &checkpoint, &text, own_text(&checkpoint, 1, 2048), &BUDGETS);
            worst = ratios.into_iter().fold(worst, f64::max);
        }
    }
    assert!(worst <= 1.0, "the worst ratio is {worst:.3}");
}
