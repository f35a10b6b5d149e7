//! The forward pass of the core against the oracle, on random models of every shape.

use emberlm_core::format::Format;
use emberlm_core::kernel::Portable;
use emberlm_tests::models::Spec;
use emberlm_tests::oracle::Matrix;
use emberlm_tests::passes::{self, Way};
use emberlm_tests::quantised::round_to_a16;
use emberlm_tests::{blob_reader, blobs};
use proptest::prelude::*;

/// What f32 arithmetic may cost, as a share of the largest logit.
const MAX_F32_ERROR: f64 = 1e-4;
/// What rounding activations to 16 bits may cost, as a share of the largest logit.
///
/// An activation moves by at most 1/65534 of the largest beside it, 1.5e-5, in each of four products a layer and the
/// head's. The moves are independent and mostly cancel in a dot product; sharp attention multiplies them.
const MAX_A16_ERROR: f64 = 1e-3;

/// The largest difference, as a share of the largest magnitude in `expected`.
fn relative_error(actual: &[Vec<f32>], expected: &Matrix) -> f64 {
    let largest = expected.iter().flatten().fold(0.0, |max: f64, x| max.max(x.abs()));
    let pairs = actual.iter().flatten().zip(expected.iter().flatten());
    let error = pairs.map(|(&a, &b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
    assert!(actual.iter().flatten().all(|x| x.is_finite()));
    assert_eq!((actual.len(), actual[0].len()), (expected.len(), expected[0].len()));
    if largest > 0.0 { error / largest } else { error }
}

fn assert_agreement(spec: &Spec, seed: u64) {
    let model = spec.model(seed);
    let tokens = spec.tokens(spec.n_ctx, seed);

    let f32_blob = blobs::of_model(&model, Format::F32);
    let f32_logits = passes::logits(&f32_blob, Portable, &tokens, Way::PLAIN).expect("a pass to the end");
    let error = relative_error(&f32_logits, &model.logits(&tokens));
    assert!(error <= MAX_F32_ERROR, "f32: {error} of {spec:?}");

    let q8_blob = blobs::of_model(&model, Format::Q8);
    let q8_logits = passes::logits(&q8_blob, Portable, &tokens, Way::PLAIN).expect("a pass to the end");
    let dequantised = blob_reader::read(&q8_blob);
    let error = relative_error(&q8_logits, &dequantised.logits_rounded(&tokens, round_to_a16));
    assert!(error <= MAX_F32_ERROR, "q8 beside the oracle's own rounding: {error} of {spec:?}");
    let error = relative_error(&q8_logits, &dequantised.logits(&tokens));
    assert!(error <= MAX_A16_ERROR, "q8 beside unrounded activations: {error} of {spec:?}");
}

#[test]
fn every_shape_of_the_catalogue() {
    for spec in Spec::catalogue() {
        for seed in 0..4 {
            assert_agreement(&spec, seed);
        }
    }
}

#[test]
fn an_f32_blob_holds_the_checkpoint() {
    for spec in Spec::catalogue() {
        let model = spec.model(11);
        assert_eq!(blob_reader::read(&blobs::of_model(&model, Format::F32)), model, "{spec:?}");
    }
}

#[test]
fn a_q8_blob_is_off_by_less_than_a_step() {
    for spec in Spec::catalogue() {
        let model = spec.model(12);
        let dequantised = blob_reader::read(&blobs::of_model(&model, Format::Q8));
        for (row, stored) in model.wte.iter().zip(&dequantised.wte) {
            let largest = row.iter().fold(0.0, |max: f64, w| max.max(w.abs()));
            for (weight, stored) in row.iter().zip(stored) {
                assert!((weight - stored).abs() <= largest / 127.0, "{weight} became {stored} of {spec:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_shape(spec in Spec::any(), seed in any::<u64>()) {
        assert_agreement(&spec, seed);
    }
}
