//! The golden fixtures and the bundled models as blobs: what conversion and the core's arithmetic cost.

use std::fs;
use std::path::PathBuf;

use emberlm::engine::kernel::HostKernel;
use emberlm::text::tokenizer::Tokenizer;
use emberlm_core::config::TokenId;
use emberlm_core::format::Format;
use emberlm_core::kernel::Portable;
use emberlm_core::loss::Score;
use emberlm_core::sink::ArgMax;
use emberlm_core::window::{Convention, Window};
use emberlm_tests::blob_reader;
use emberlm_tests::blobs;
use emberlm_tests::fixtures::{self, BUNDLED, FAMILIES, NAMES};
use emberlm_tests::passes::{self, Way};
use rayon::prelude::*;
use serde_json::Value;

/// Between any logit of an f32 blob and PyTorch's, as a share of the largest of those.
const MAX_F32_LOGIT_ERROR: f64 = 1e-3;
/// Nats between the mean loss of a blob that rounds each weight to the nearest and PyTorch's: where weights are large and
/// random, and where they are trained.
fn max_loss_error(name: &str, format: Format) -> (f64, f64) {
    // Its six layers normalise what they add, so that errors of weights grow.
    let by = if name == "gemma3" { 2.0 } else { 1.0 };
    let (random, trained) = max_loss_error_of_most(format);
    (by * random, trained)
}

const fn max_loss_error_of_most(format: Format) -> (f64, f64) {
    match format {
        Format::F32 => (1e-4, 1e-4),
        Format::F16 => (2e-3, 1e-4),
        Format::Q8 => (0.03, 0.002),
        Format::Q6 => (0.1, 0.005),
        Format::Q5 => (0.2, 0.01),
        Format::Q4 => (0.4, 0.03),
        Format::Q3 => (1.0, 0.15),
    }
}

fn loss_of_fixture(blob: &[u8], golden: &fixtures::Golden) -> f64 {
    let mut score = Score::new();
    for tokens in &golden.tokens {
        let nll = passes::nll(blob, Portable, tokens, Way::PLAIN).expect("a pass to the end");
        nll.into_iter().for_each(|nll| score.push(nll));
    }
    score.mean().expect("a fixture has tokens")
}

/// Every fixture's name and checkpoint, of which two have another by llama2.c.
fn checkpoints() -> impl Iterator<Item = (&'static str, PathBuf)> {
    let folders = NAMES.into_iter().chain(FAMILIES).map(|name| (name, fixtures::path(name)));
    folders.chain(["llama-gqa", "llama-tied"].map(|name| (name, fixtures::path(name).join("llama2c.bin"))))
}

#[test]
fn f32_blobs_of_the_fixtures() {
    for (name, path) in checkpoints() {
        let golden = fixtures::golden(name);
        let blob = blobs::of_checkpoint(&path, Format::F32, None);
        let mut largest_error = 0_f64;
        let error = (loss_of_fixture(&blob, &golden) - golden.loss).abs();
        println!("{name} f32: loss off by {error:.2e}");
        assert!(error <= max_loss_error(name, Format::F32).0, "{name}: loss off by {error}");
        for (tokens, expected) in golden.tokens.iter().zip(&golden.logits) {
            let inputs = &tokens[..tokens.len() - 1];
            let logits = passes::logits(&blob, Portable, inputs, Way::PLAIN).expect("a pass to the end");
            let largest = expected.iter().flatten().fold(0.0, |max: f64, x| max.max(x.abs()));
            for (&logit, &expected) in logits.iter().flatten().zip(expected.iter().flatten()) {
                let error = (f64::from(logit) - expected).abs();
                assert!(error <= MAX_F32_LOGIT_ERROR * largest, "{name}: {logit} for {expected}");
                largest_error = largest_error.max(error / largest);
            }
        }
        println!("{name} f32: logits off by {largest_error:.2e} of the largest");
    }
}

/// Of the mean loss of what an f32 blob stores, in nats: what folding scales into weights may cost.
const MAX_STORED_ERROR: f64 = 1e-5;

/// What integer activations may add to the loss of the weights that a blob stores, in nats.
const MAX_A16_LOSS_ERROR: f64 = 1e-3;

/// The oracle reads what the converter wrote: its tensors, gates, tables of frequencies and windows.
#[test]
fn blobs_hold_the_models_of_the_fixtures() {
    for (name, path) in checkpoints() {
        let golden = fixtures::golden(name);
        let loss_of_stored = |blob: &[u8]| {
            let model = blob_reader::read(blob);
            let nll: Vec<f64> = golden.tokens.iter().flat_map(|tokens| model.nll(tokens)).collect();
            nll.iter().sum::<f64>() / nll.len() as f64
        };
        let blob = blobs::of_checkpoint(&path, Format::F32, None);
        let error = (loss_of_stored(&blob) - golden.loss).abs();
        assert!(error <= MAX_STORED_ERROR, "{name}: the loss of what is stored is off by {error}");
        let blob = blobs::of_checkpoint(&path, Format::Q8, None);
        let error = (loss_of_stored(&blob) - loss_of_fixture(&blob, &golden)).abs();
        println!("{name} q8: {error:.2e} between core and what is stored");
        assert!(error <= MAX_A16_LOSS_ERROR, "{name}: {error} between core and what is stored");
    }
}

#[test]
fn blobs_of_the_fixtures_in_every_format() {
    for ((name, path), format) in checkpoints().flat_map(|at| Format::ALL.map(|format| (at.clone(), format))) {
        let golden = fixtures::golden(name);
        let blob = blobs::of_checkpoint(&path, format, None);
        let error = (loss_of_fixture(&blob, &golden) - golden.loss).abs();
        println!("{name} {}: loss off by {error:.2e}", format.name());
        assert!(error <= max_loss_error(name, format).0, "{name} {}: loss off by {error}", format.name());
    }
}

/// The bundled text in the bundled model's tokens.
fn ids_of_the_text(name: &str) -> Vec<TokenId> {
    let read = |file| fs::read(fixtures::bundled(name).join(file));
    let tokenizer = match read("tokenizer.json") {
        Ok(json) => Tokenizer::from_tokenizer_json(&json, name),
        Err(_) => Tokenizer::from_chars_json(&read("chars.json").expect("a vocabulary"), name),
    };
    let ids = tokenizer.and_then(|tokenizer| tokenizer.encode(&fixtures::as_you_like_it())).expect("ids");
    let first: Vec<TokenId> = serde_json::from_value(fixtures::reference(name)["first_ids"].clone()).expect("ids");
    assert_eq!(ids[..first.len()], first);
    ids
}

/// The mean loss of `tokens` in disjoint windows, and how many were scored.
fn loss_of_text(blob: &[u8], tokens: &[TokenId], n_ctx: usize) -> (f64, u64) {
    let windows: Vec<_> = Convention::Disjoint.windows(tokens.len(), n_ctx).collect();
    let nll_of = |window: Window| {
        let tokens = &tokens[window.start..=window.start + window.n_inputs];
        passes::nll(blob, HostKernel::detect(), tokens, Way::PLAIN).expect("a pass to the end")
    };
    let nll: Vec<f32> = windows.into_par_iter().flat_map_iter(nll_of).collect();
    let mut score = Score::new();
    nll.into_iter().for_each(|nll| score.push(nll));
    (score.mean().expect("windows"), score.n())
}

#[test]
fn blobs_of_the_bundled_models() {
    const FORMATS: [Format; 3] = [Format::F32, Format::F16, Format::Q4];
    for (name, format) in BUNDLED.into_iter().flat_map(|name| FORMATS.map(|format| (name, format))) {
        let reference = fixtures::reference(name);
        let n_ctx = reference["n_ctx"].as_u64().unwrap() as usize;
        let expected = reference["first_2048_tokens_scored"]["loss"].as_f64().unwrap();
        let blob = blobs::of_checkpoint(&fixtures::bundled(name), format, None);
        let (loss, _) = loss_of_text(&blob, &ids_of_the_text(name)[..2049], n_ctx);
        let error = (loss - expected).abs();
        println!("{name} {}: loss off by {error:.2e}", format.name());
        assert!(error <= max_loss_error(name, format).1, "{name} {}: loss off by {error}", format.name());
    }
}

#[test]
fn q8_blobs_of_the_bundled_models_on_the_whole_text() {
    for name in BUNDLED {
        let reference = fixtures::reference(name);
        let n_ctx = reference["n_ctx"].as_u64().unwrap() as usize;
        let blob = blobs::of_checkpoint(&fixtures::bundled(name), Format::Q8, None);
        let (loss, n_scored) = loss_of_text(&blob, &ids_of_the_text(name), n_ctx);
        assert_eq!(n_scored, reference["tokens_scored"].as_u64().unwrap());
        let error = (loss - reference["loss"].as_f64().unwrap()).abs();
        println!("{name} q8: loss off by {error:.2e}");
        assert!(error <= max_loss_error(name, Format::Q8).1, "{name}: loss off by {error}");
    }
}

/// Of the mean loss of stories260K's golden text, in nats.
const MAX_STORY_ERROR: f64 = 1e-5;

#[test]
fn stories260k_has_pytorchs_ids_loss_and_story() {
    let folder = fixtures::bundled("stories260K");
    let json = fs::read_to_string(folder.join("golden.json")).expect("golden.json");
    let golden: Value = serde_json::from_str(&json).expect("JSON");
    let ids = |value: &Value| serde_json::from_value::<Vec<TokenId>>(value.clone()).expect("ids");
    let blob = blobs::of_checkpoint(&folder.join("stories260K.bin"), Format::F32, None);

    let tokens = ids(&golden["tokens"][0]);
    let loss = |kernel: HostKernel| {
        let mut score = Score::new();
        let nll = passes::nll(&blob, kernel, &tokens, Way::PLAIN).expect("a pass to the end");
        nll.into_iter().for_each(|nll| score.push(nll));
        score.mean().expect("tokens")
    };
    let error = (loss(HostKernel::detect()) - golden["loss"].as_f64().expect("a loss")).abs();
    println!("stories260K f32: loss off by {error:.2e}");
    assert!(error <= MAX_STORY_ERROR, "loss off by {error}");

    let (prompt, story) = (ids(&golden["greedy_prompt_ids"]), ids(&golden["greedy_ids"]));
    assert_eq!((&story[..prompt.len()], story.len()), (&prompt[..], prompt.len() + 60));
    // Given what PyTorch wrote so far, each next token is the likeliest: all of the story in one pass.
    let inputs = &story[..story.len() - 1];
    let mut sinks = vec![ArgMax::new(); inputs.len()];
    passes::pass(&blob, Portable, inputs, &mut sinks, Way::PLAIN).expect("a pass to the end");
    let likeliest: Vec<_> = sinks.iter().map(|sink| sink.token().expect("numbers").expect("logits")).collect();
    assert_eq!(likeliest[prompt.len() - 1..], story[prompt.len()..]);
}
