//! Draws against the distributions that they claim, by Pearson's chi-square test.

use emberlm_core::sample::{Sampler, Settings};
use emberlm_core::sink::LogitSink;

const N_DRAWS: usize = 200_000;
const N_VOCAB: usize = 97;

/// Logits over a range of 5, in no order.
fn logits() -> [f32; N_VOCAB] {
    std::array::from_fn(|i| ((i * 37 + 11) % N_VOCAB) as f32 * (5.0 / N_VOCAB as f32))
}

/// The quantile of the chi-square distribution that is exceeded once in 10,000 tests of a right sampler, after Wilson and
/// Hilferty, *The Distribution of Chi-Square*, 1931: within 1 % for 2 or more degrees of freedom.
fn critical(degrees: usize) -> f64 {
    const Z: f64 = 3.719;
    let part = 2.0 / (9.0 * degrees as f64);
    degrees as f64 * (1.0 - part + Z * part.sqrt()).powi(3)
}

/// The statistic over its critical value: above 1 the test rejects. A draw of what cannot be drawn is infinitely wrong.
fn rejection(counts: &[u32], probabilities: &[f64]) -> f64 {
    let n: f64 = counts.iter().copied().map(f64::from).sum();
    let (mut statistic, mut cells) = (0.0, 0);
    for (&count, &probability) in counts.iter().zip(probabilities) {
        let expected = n * probability;
        if expected == 0.0 {
            statistic += if count == 0 { 0.0 } else { f64::INFINITY };
            continue;
        }
        // Cochran's rule for the approximation to hold.
        assert!(expected >= 5.0);
        statistic += (f64::from(count) - expected).powi(2) / expected;
        cells += 1;
    }
    statistic / critical(cells - 1)
}

/// How often each token comes.
fn counts(settings: Settings) -> Vec<u32> {
    let (mut sampler, logits) = (Sampler::new(settings).unwrap(), logits());
    let mut counts = vec![0; N_VOCAB];
    for _ in 0..N_DRAWS {
        let mut draw = sampler.draw();
        draw.push(0, &logits[..48]);
        draw.push(48, &logits[48..]);
        counts[draw.finish().unwrap().unwrap().token as usize] += 1;
    }
    counts
}

/// The distribution that `settings` mean, in f64 and from the definitions.
fn probabilities(settings: Settings) -> Vec<f64> {
    let weights = logits().map(|logit| (f64::from(logit) / f64::from(settings.temperature)).exp());
    let mut by_weight: Vec<usize> = (0..N_VOCAB).collect();
    by_weight.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
    by_weight.truncate(settings.top_k.unwrap_or(N_VOCAB));
    let total: f64 = by_weight.iter().map(|&token| weights[token]).sum();
    let mut sum = 0.0;
    let in_nucleus = by_weight.iter().take_while(|&&token| {
        let before = sum;
        sum += weights[token] / total;
        before < f64::from(settings.top_p)
    });
    let kept: Vec<usize> = in_nucleus.copied().collect();
    let least = f64::from(settings.min_p) * weights[kept[0]];
    let kept: Vec<usize> = kept.into_iter().filter(|&token| weights[token] >= least).collect();
    let total: f64 = kept.iter().map(|&token| weights[token]).sum();
    let mut probabilities = vec![0.0; N_VOCAB];
    kept.iter().for_each(|&token| probabilities[token] = weights[token] / total);
    probabilities
}

const PLAIN: Settings = Settings { temperature: 1.0, ..Settings::DEFAULT };

fn samplers() -> [(&'static str, Settings); 8] {
    [
        ("gumbel-max", PLAIN),
        ("gumbel-max, cold", Settings { temperature: 0.8, ..PLAIN }),
        ("gumbel-max, hot", Settings { temperature: 2.5, ..PLAIN }),
        ("top-k", Settings { top_k: Some(20), ..PLAIN }),
        ("top-k, cold", Settings { temperature: 0.7, top_k: Some(20), ..PLAIN }),
        ("top-p", Settings { top_p: 0.8, ..PLAIN }),
        ("min-p", Settings { temperature: 1.3, min_p: 0.15, ..PLAIN }),
        ("all", Settings { temperature: 1.5, top_k: Some(40), top_p: 0.85, min_p: 0.2, ..PLAIN }),
    ]
}

#[test]
fn draws_follow_the_distribution() {
    for (name, settings) in samplers() {
        for seed in [0, 1, 2] {
            let settings = Settings { seed, ..settings };
            let rejection = rejection(&counts(settings), &probabilities(settings));
            assert!(rejection < 1.0, "{name}, seed {seed}: {rejection} times the critical value");
        }
    }
}

/// The test sees a temperature that is 10 % off, and a set of tokens that is one token off.
#[test]
fn a_wrong_sampler_is_rejected() {
    let rejects = |drawn: Settings, claimed: Settings| rejection(&counts(drawn), &probabilities(claimed)) > 1.0;
    for (name, settings) in samplers() {
        let other = Settings { temperature: settings.temperature * 1.1, ..settings };
        assert!(rejects(other, settings), "{name}: temperature");
    }
    for k in [19, 21] {
        let claimed = Settings { top_k: Some(20), ..PLAIN };
        assert!(rejects(Settings { top_k: Some(k), ..PLAIN }, claimed), "top-k of {k}");
    }
    assert!(rejects(Settings { top_p: 0.77, ..PLAIN }, Settings { top_p: 0.8, ..PLAIN }));
    assert!(rejects(PLAIN, Settings { min_p: 0.15, ..PLAIN }));
}

#[test]
fn one_draw_says_nothing_of_the_next() {
    const N: usize = 8;
    let logits: [f32; N] = std::array::from_fn(|i| i as f32 * 0.3);
    let weights = logits.map(|logit| f64::from(logit).exp());
    let total: f64 = weights.iter().sum();
    for settings in [PLAIN, Settings { top_k: Some(N), ..PLAIN }] {
        let mut sampler = Sampler::new(settings).unwrap();
        let mut pairs = vec![0; N * N];
        let mut last = 0;
        for _ in 0..=N_DRAWS {
            let mut draw = sampler.draw();
            draw.push(0, &logits);
            let token = draw.finish().unwrap().unwrap().token as usize;
            pairs[last * N + token] += 1;
            last = token;
        }
        let probabilities: Vec<f64> =
            (0..N * N).map(|pair| weights[pair / N] * weights[pair % N] / (total * total)).collect();
        assert!(rejection(&pairs, &probabilities) < 1.0, "{settings:?}");
    }
}
