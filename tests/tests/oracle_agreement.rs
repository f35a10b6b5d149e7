//! The forward pass of the core against the oracle, on random models of every shape.

use emberlm_core::kernel::Portable;
use emberlm_core::kv_cache::KvType;
use emberlm_tests::blob_reader;
use emberlm_tests::blob_writer;
use emberlm_tests::models::{Spec, WINDOWS, past_two_wraps};
use emberlm_tests::oracle::Matrix;
use emberlm_tests::passes::{self, Way};
use emberlm_tests::quantised::{Activations, Storage, round_to_f16, round_to_i8};
use proptest::prelude::*;
use proptest::sample::select;

/// What f32 arithmetic may cost, as a share of the largest logit. Nearly all models stay below 1e-6.
const MAX_F32_ERROR: f64 = 1e-4;

/// What rounding activations to 16 bits may cost on the catalogue's models, as a share of the largest logit.
///
/// An activation moves by at most 1/65534 of the largest beside it, 1.5e-5, in each of four products a layer and in the
/// head's. The moves are independent and mostly cancel in a dot product; sharp attention magnifies them.
const MAX_A16_ERROR: f64 = 1e-3;

/// The same of 8 bits: each moves by at most 1/254 of the largest of 32.
const MAX_A8_ERROR: f64 = 0.1;

/// How many times the error that the oracle gets from rounding its own activations, keys or values the core's may be.
///
/// Both round to the same grid, but a value that lies near a tie goes either way: the errors are alike, not the same.
const MAX_RATIO: f64 = 3.0;

/// What 8-bit attention adds to the rounding of keys and values, as a share of the largest logit: 1/1000 of the largest
/// value, by the bound of `attend_i8`, in each of up to three layers.
const MAX_I8_ATTENTION_ERROR: f64 = 3e-3;

/// Below this width a layer norm may divide by almost nothing, and magnify any rounding without bound.
const MIN_WIDTH: usize = 8;

/// The largest difference, as a share of the largest magnitude in `expected`.
fn relative_error(actual: &Matrix, expected: &Matrix) -> f64 {
    assert_eq!((actual.len(), actual[0].len()), (expected.len(), expected[0].len()));
    assert!(actual.iter().flatten().all(|logit| logit.is_finite()));
    let largest = expected.iter().flatten().fold(0.0, |max: f64, logit| max.max(logit.abs()));
    let pairs = actual.iter().flatten().zip(expected.iter().flatten());
    let error = pairs.map(|(actual, expected)| (actual - expected).abs()).fold(0.0, f64::max);
    if largest > 0.0 { error / largest } else { error }
}

fn core_logits(blob: &[u8], tokens: &[u32], kv_type: KvType) -> Matrix {
    let rows = passes::logits(blob, Portable, tokens, Way { kv_type, ..Way::PLAIN }).expect("a pass to the end");
    rows.into_iter().map(|row| row.into_iter().map(f64::from).collect()).collect()
}

/// Checks that the core errs no more than the oracle whose keys and values are rounded alike.
fn assert_cache_agreement(spec: &Spec, seed: u64, kv_type: KvType) {
    let (model, tokens) = (spec.model(seed), spec.tokens(spec.n_ctx, seed));
    let (round_head, more): (fn(&mut [f64]), f64) = match kv_type {
        KvType::F32 => (|_| (), 0.0),
        KvType::F16 => (round_to_f16, 0.0),
        KvType::I8 => (round_to_i8, MAX_I8_ATTENTION_ERROR),
    };
    let exact = model.logits(&tokens);
    let blob = blob_writer::write(&model, Storage::F32, &[]);
    let error = relative_error(&core_logits(&blob, &tokens, kv_type), &exact);
    let expected = relative_error(&model.logits_rounded(&tokens, |_, _| (), round_head), &exact);
    let allowed = MAX_RATIO * expected + MAX_F32_ERROR + more;
    assert!(error <= allowed, "{kv_type:?}: {error:.1e}, the oracle {expected:.1e}, of {spec:?}");
}

/// Checks a full window of the model as it is stored, and returns what rounded activations cost.
fn assert_agreement(spec: &Spec, seed: u64, storage: Storage, activations: Activations) -> f64 {
    let tokens = spec.tokens(spec.n_ctx, seed);
    let blob = blob_writer::write_for(&spec.model(seed), storage, activations, &[]);
    let stored = blob_reader::read(&blob);
    let exact = stored.logits(&tokens);
    let error = relative_error(&core_logits(&blob, &tokens, KvType::F32), &exact);
    let expected = match storage.is_integer() {
        true => {
            let rounded = stored.logits_rounded(&tokens, |product, x| activations.round(product, x), |_| ());
            relative_error(&rounded, &exact)
        }
        false => 0.0,
    };
    let allowed = MAX_RATIO * expected + MAX_F32_ERROR;
    assert!(error <= allowed, "{storage:?}, {activations:?}: {error:.1e}, the oracle {expected:.1e}, of {spec:?}");
    error
}

#[test]
fn every_shape_of_the_catalogue() {
    for spec in Spec::all() {
        for storage in Storage::ALL {
            for activations in Activations::ALL {
                let error = assert_agreement(&spec, 1, storage, activations);
                let most = if activations == Activations::I8 { MAX_A8_ERROR } else { MAX_A16_ERROR };
                assert!(error <= most, "{storage:?}, {activations:?}: {error:.1e} of {spec:?}");
            }
        }
        for seed in 0..4 {
            KvType::ALL.into_iter().for_each(|kv_type| assert_cache_agreement(&spec, seed, kv_type));
        }
    }
}

#[test]
fn windows_past_two_wraps_of_their_rings() {
    for spec in WINDOWS.into_iter().flat_map(past_two_wraps) {
        KvType::ALL.into_iter().for_each(|kv_type| assert_cache_agreement(&spec, 3, kv_type));
        assert_agreement(&spec, 3, Storage::Q8, Activations::I16);
    }
}

#[test]
fn heads_of_any_width() {
    for (head_dim, n_head) in [(64, 1), (97, 1), (128, 1), (129, 2), (256, 2), (513, 1)] {
        let n_embd = n_head * head_dim;
        let spec = Spec { n_vocab: 7, n_ctx: 6, n_embd, n_head, n_layer: 1, n_ff: 5, ..Spec::SMALL };
        KvType::ALL.into_iter().for_each(|kv_type| assert_cache_agreement(&spec, 2, kv_type));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_shape(
        spec in Spec::any().prop_filter("too narrow", |spec| spec.n_embd >= MIN_WIDTH),
        seed in any::<u64>(),
        storage in select(&Storage::ALL[..]),
        activations in select(&Activations::ALL[..]),
    ) {
        assert_agreement(&spec, seed, storage, activations);
        KvType::ALL.into_iter().for_each(|kv_type| assert_cache_agreement(&spec, seed, kv_type));
    }
}
