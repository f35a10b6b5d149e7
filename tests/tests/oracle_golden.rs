//! The oracle against PyTorch's float64: it must be right before anything is measured by it.

use emberlm_tests::fixtures::{self, BUNDLED, FAMILIES, NAMES};
use emberlm_tests::{checkpoint, family_reader};

/// The golden logits were rounded to float32, by 6e-8 of their size.
const MAX_RELATIVE_LOGIT_ERROR: f64 = 1e-7;
/// Both sides compute in float64, in different orders.
const MAX_NLL_ERROR: f64 = 1e-10;

#[test]
fn logits_and_nll_agree_on_every_fixture() {
    for name in NAMES {
        let model = checkpoint::read(&fixtures::path(name));
        let golden = fixtures::golden(name);
        let mut all_nll = Vec::new();
        for ((tokens, golden_logits), golden_nll) in golden.tokens.iter().zip(&golden.logits).zip(&golden.nll) {
            let logits = model.logits(&tokens[..tokens.len() - 1]);
            assert_eq!(logits.len(), golden_logits.len());
            for (row, golden_row) in logits.iter().zip(golden_logits) {
                assert_eq!(row.len(), golden_row.len());
                for (&logit, &expected) in row.iter().zip(golden_row) {
                    let error = (logit - expected).abs();
                    let allowed = MAX_RELATIVE_LOGIT_ERROR * expected.abs() + MAX_NLL_ERROR;
                    assert!(error <= allowed, "{name}: {logit} for {expected}");
                }
            }
            let nll = model.nll(tokens);
            assert_eq!(nll.len(), golden_nll.len());
            for (&nll, &expected) in nll.iter().zip(golden_nll) {
                assert!((nll - expected).abs() <= MAX_NLL_ERROR, "{name}: {nll} for {expected}");
            }
            all_nll.extend(nll);
        }
        let loss = all_nll.iter().sum::<f64>() / all_nll.len() as f64;
        assert!((loss - golden.loss).abs() <= MAX_NLL_ERROR, "{name}");
        assert!((loss.exp() / golden.perplexity - 1.0).abs() <= MAX_NLL_ERROR, "{name}");
    }
}

/// Of the loss, and of a logit as part of its fixture's largest: of other families than GPT-2 PyTorch computes some steps
/// in float32 (rotary angles, RMS norms, GPT-Neo's scores), whatever the model's type.
const MAX_FAMILY_ERROR: f64 = 1e-5;

#[test]
fn logits_and_nll_agree_on_the_fixtures_of_every_family() {
    for name in FAMILIES {
        let model = family_reader::read(&fixtures::path(name));
        let golden = fixtures::golden(name);
        let largest = golden.logits.iter().flatten().flatten().fold(0.0, |max: f64, logit| max.max(logit.abs()));
        let mut all_nll = Vec::new();
        for ((tokens, golden_logits), golden_nll) in golden.tokens.iter().zip(&golden.logits).zip(&golden.nll) {
            let logits = model.logits(&tokens[..tokens.len() - 1]);
            for (&logit, &expected) in logits.iter().flatten().zip(golden_logits.iter().flatten()) {
                let error = (logit - expected).abs();
                assert!(error <= MAX_FAMILY_ERROR * largest, "{name}: {logit} for {expected}");
            }
            let nll = model.nll(tokens);
            assert_eq!(nll.len(), golden_nll.len());
            for (&nll, &expected) in nll.iter().zip(golden_nll) {
                assert!((nll - expected).abs() <= 10.0 * MAX_FAMILY_ERROR, "{name}: {nll} for {expected}");
            }
            all_nll.extend(nll);
        }
        let loss = all_nll.iter().sum::<f64>() / all_nll.len() as f64;
        assert!((loss - golden.loss).abs() <= MAX_FAMILY_ERROR, "{name}: {loss} for {}", golden.loss);
    }
}

#[test]
fn first_nll_of_the_bundled_models_agree() {
    for name in BUNDLED {
        let model = checkpoint::read(&fixtures::bundled(name));
        let reference = fixtures::reference(name);
        let ids: Vec<u32> = serde_json::from_value(reference["first_ids"].clone()).unwrap();
        let expected: Vec<f64> = serde_json::from_value(reference["first_nll"].clone()).unwrap();
        let nll = model.nll(&ids);
        assert!(expected.len() <= nll.len() && !expected.is_empty());
        for (nll, expected) in nll.iter().zip(&expected) {
            assert!((nll - expected).abs() <= MAX_NLL_ERROR, "{name}: {nll} for {expected}");
        }
    }
}

#[test]
fn characters_have_the_ids_that_were_trained() {
    let text = fixtures::as_you_like_it();
    let ids = fixtures::char_ids(&text);
    let reference = fixtures::reference("shakespeare-char");
    let first: Vec<u32> = serde_json::from_value(reference["first_ids"].clone()).unwrap();
    assert_eq!(ids[..first.len()], first);
    assert_eq!(ids.len() as u64, reference["tokens"].as_u64().unwrap());
}
