//! The checkpoint reader and the float reference against PyTorch's float64.

use emberlm::checkpoint::{Checkpoint, Layout, Options};
use emberlm::reference::{Decoder, Reference};
use emberlm_core::config::TokenId;
use emberlm_core::window::{Convention, Window};
use emberlm_tests::fixtures::{self, BUNDLED, FAMILIES, NAMES};
use rayon::prelude::*;

/// Of a mean loss, in nats.
const MAX_LOSS_ERROR: f64 = 1e-5;
/// Of one token's loss, in nats.
const MAX_NLL_ERROR: f64 = 1e-4;
/// Of one logit, as part of its fixture's largest.
const MAX_LOGIT_ERROR: f64 = 1e-5;

fn open(path: &std::path::Path) -> Checkpoint {
    Checkpoint::open(path, &Options::default()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn losses_and_logits_agree_on_every_fixture() {
    for name in NAMES.into_iter().chain(FAMILIES) {
        let checkpoint = open(&fixtures::path(name));
        let reference = Reference::new(&checkpoint);
        let golden = fixtures::golden(name);
        let n_vocab = checkpoint.architecture().n_vocab as usize;
        let largest = golden.logits.iter().flatten().flatten().fold(0.0, |max: f64, logit| max.max(logit.abs()));
        let mut sum = 0.0;
        for ((tokens, golden_logits), golden_nll) in golden.tokens.iter().zip(&golden.logits).zip(&golden.nll) {
            let mut nlls = Vec::new();
            reference.nll(tokens, 0, |nll| nlls.push(nll)).unwrap();
            assert_eq!(nlls.len(), golden_nll.len());
            for (nll, expected) in nlls.iter().zip(golden_nll) {
                assert!((nll - expected).abs() <= MAX_NLL_ERROR, "{name}: {nll} for {expected}");
            }
            sum += nlls.iter().sum::<f64>() / (nlls.len() * golden.tokens.len()) as f64;

            let hidden = reference.hidden(&tokens[..tokens.len() - 1]).unwrap();
            let mut logits = vec![0.0; nlls.len() * n_vocab];
            reference.head_rows(&hidden, 0, &mut logits);
            for (row, golden_row) in logits.chunks(n_vocab).zip(golden_logits) {
                for (logit, expected) in row.iter().zip(golden_row) {
                    let error = (f64::from(*logit) - expected).abs();
                    assert!(error <= MAX_LOGIT_ERROR * largest, "{name}: {logit} for {expected}");
                }
            }
        }
        assert!((sum - golden.loss).abs() <= MAX_LOSS_ERROR, "{name}: {sum} for {}", golden.loss);
    }
}

#[test]
fn every_fixture_is_in_the_layout_of_its_name() {
    for name in NAMES {
        let checkpoint = open(&fixtures::path(name));
        let (layout, assumed) = match name.split('-').next() {
            Some("hf") => (Layout::HuggingFace, None),
            Some("nanogpt") => (Layout::NanoGpt, Some("gelu")),
            _ => (Layout::Scratch, Some("gelu_new")),
        };
        assert_eq!(checkpoint.layout().layout, layout, "{name}");
        assert_eq!(checkpoint.is_tied(), name != "hf-untied-ragged" && layout != Layout::Scratch, "{name}");
        let notes = assumed.map(|gelu| {
            let default = |what: &str| format!("assumed default of layout {layout}: {what}");
            vec![default(&format!("activation_function {gelu}")), default("layer_norm_epsilon 1e-5")]
        });
        assert_eq!(checkpoint.notes(), notes.unwrap_or_default(), "{name}");
    }
}

#[test]
fn bundled_models_have_the_losses_that_pytorch_gives() {
    let text = fixtures::as_you_like_it();
    for name in BUNDLED {
        let checkpoint = open(&fixtures::bundled(name));
        let reference = Reference::new(&checkpoint);
        let expected = fixtures::reference(name);
        let ids: Vec<TokenId> = serde_json::from_value(expected["first_ids"].clone()).unwrap();
        let first: Vec<f64> = serde_json::from_value(expected["first_nll"].clone()).unwrap();
        let mut nlls = Vec::new();
        reference.nll(&ids, 0, |nll| nlls.push(nll)).unwrap();
        assert!(!first.is_empty() && first.len() <= nlls.len());
        for (nll, expected) in nlls.iter().zip(&first) {
            assert!((nll - expected).abs() <= MAX_NLL_ERROR, "{name}: {nll} for {expected}");
        }
    }

    let checkpoint = open(&fixtures::bundled("shakespeare-char"));
    let reference = Reference::new(&checkpoint);
    let expected = fixtures::reference("shakespeare-char");
    let ids = fixtures::char_ids(&text);
    let windows: Vec<_> = Convention::Disjoint.windows(ids.len(), checkpoint.config().n_ctx as usize).collect();
    let score = |window: &Window| {
        let mut nlls = Vec::new();
        let tokens = &ids[window.start..][..window.n_inputs + 1];
        reference.nll(tokens, window.first_scored, |nll| nlls.push(nll)).unwrap();
        nlls
    };
    let nlls = windows.par_iter().map(score).collect::<Vec<_>>().concat();
    assert_eq!(nlls.len() as u64, expected["tokens_scored"].as_u64().unwrap());
    let mean = |nlls: &[f64]| nlls.iter().sum::<f64>() / nlls.len() as f64;
    let whole = expected["loss"].as_f64().unwrap();
    assert!((mean(&nlls) - whole).abs() <= MAX_LOSS_ERROR, "{} for {whole}", mean(&nlls));
    let start = expected["first_2048_tokens_scored"]["loss"].as_f64().unwrap();
    assert!((mean(&nlls[..2048]) - start).abs() <= MAX_LOSS_ERROR, "{} for {start}", mean(&nlls[..2048]));
}

#[test]
fn stories260k_has_the_loss_that_pytorch_gives() {
    let folder = fixtures::bundled("stories260K");
    let golden = std::fs::read_to_string(folder.join("golden.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
    let rows: Vec<Vec<TokenId>> = serde_json::from_value(golden["tokens"].clone()).unwrap();
    let checkpoint = open(&folder.join("stories260K.bin"));
    let reference = Reference::new(&checkpoint);
    let mut nlls = Vec::new();
    rows.iter().for_each(|tokens| reference.nll(tokens, 0, |nll| nlls.push(nll)).unwrap());
    let (loss, expected) = (nlls.iter().sum::<f64>() / nlls.len() as f64, golden["loss"].as_f64().unwrap());
    assert!((loss - expected).abs() <= MAX_LOSS_ERROR, "{loss} for {expected}");

    // The most likely token, one after another.
    let ids: Vec<TokenId> = serde_json::from_value(golden["greedy_ids"].clone()).unwrap();
    let prompt: Vec<TokenId> = serde_json::from_value(golden["greedy_prompt_ids"].clone()).unwrap();
    assert!(ids.starts_with(&prompt) && ids.len() > prompt.len());
    let mut decoder = Decoder::new(&reference, 1, ids.len());
    for (position, (&id, &next)) in ids.iter().zip(&ids[1..]).enumerate() {
        let logits = decoder.step(&[id]);
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        assert!(position + 1 < prompt.len() || best == next as usize, "{position}: {best} for {next}");
    }
}
