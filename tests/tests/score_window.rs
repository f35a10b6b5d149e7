//! Scoring a window gives the nll that single passes give, whatever memory it has to work in.

use emberlm_core::kernel::Portable;
use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::loss::CrossEntropy;
use emberlm_core::model::Model;
use emberlm_core::score::{ScoreError, SelfTestOutcome, run_self_test, score_window};
use emberlm_core::scratch::{Batch, Scratch, ScratchSize};
use emberlm_core::session::Session;
use emberlm_core::source::Mapped;
use emberlm_tests::blob_writer;
use emberlm_tests::models::Spec;
use emberlm_tests::passes::{self, Way};
use emberlm_tests::quantised::Storage;
use proptest::prelude::*;

/// Calls `run` with a session over `blob` that has room for `n_ctx` positions.
fn with_session<R>(
    blob: &[u8],
    n_ctx: usize,
    size: Batch,
    run: impl FnOnce(&mut Session<'_, Mapped<'_>, Portable>) -> R,
) -> R {
    let model = Model::open(Mapped::new(blob).unwrap()).unwrap();
    let config = *model.config();
    let need = ScratchSize::new(&config, size);
    let (mut floats, mut words) = (vec![f32::NAN; need.floats], vec![u32::MAX; need.words]);
    let kv_size = KvSize::new(KvType::F32, n_ctx, size.batch);
    let mut cache = vec![u32::MAX; kv_size.words(&config)];
    let kv = KvCache::whole(kv_size, &config, &mut cache).unwrap();
    let scratch = Scratch::new(&config, size, &mut floats, &mut words).unwrap();
    run(&mut Session::new(model, Portable, kv, scratch).unwrap())
}

proptest! {
    #[test]
    fn in_any_memory_from_any_input_on(
        spec in Spec::any(),
        seed in any::<u64>(),
        n_inputs in 1..20_usize,
        first_scored in 0..20_usize,
        window in 1..20_usize,
        batch in 1..8_usize,
        n_sinks in 1..10_usize,
    ) {
        let n_inputs = n_inputs.min(spec.n_ctx);
        let tokens = spec.tokens(n_inputs + 1, seed);
        let blob = blob_writer::write(&spec.model(seed), Storage::Q8, &[]);
        let all = passes::nll(&blob, Portable, &tokens, Way::PLAIN).unwrap();
        let expected: Vec<u32> = all.iter().skip(first_scored).map(|nll| nll.to_bits()).collect();

        let size = Batch { window: window.max(batch), ..Batch::of(batch) };
        let mut sinks = vec![CrossEntropy::new(0); n_sinks];
        with_session(&blob, n_inputs, size, |session| {
            // The second time the session holds a window already.
            for _ in 0..2 {
                let mut scored = Vec::new();
                score_window(session, &tokens, first_scored, &mut sinks, |nll| scored.push(nll.to_bits())).unwrap();
                assert_eq!(scored, expected);
            }
        });
    }
}

#[test]
fn tokens_and_targets_outside_the_vocabulary_are_errors() {
    let n_vocab = Spec::SMALL.n_vocab as u32;
    let blob = blob_writer::write(&Spec::SMALL.model(1), Storage::F32, &[]);
    let mut sinks = [CrossEntropy::new(0); 4];
    with_session(&blob, 16, Batch::of(4), |session| {
        for tokens in [[n_vocab, 0, 0], [0, n_vocab, 0], [0, 0, n_vocab], [0, 0, u32::MAX]] {
            let outcome = score_window(session, &tokens, 0, &mut sinks, |_| panic!("a score of {tokens:?}"));
            assert!(outcome.is_err(), "{tokens:?}");
        }
        assert!(score_window(session, &[], 0, &mut sinks, |_| ()).is_err());
        assert_eq!(score_window(session, &[0], 0, &mut sinks, |_| panic!("a score of nothing")), Ok(()));
        assert!(matches!(score_window(session, &[0, 1], 0, &mut [], |_| ()), Err(ScoreError::Sinks(_))));
    });
}

#[test]
fn a_window_beyond_the_context_is_an_error() {
    let blob = blob_writer::write(&Spec::SMALL.model(1), Storage::F32, &[]);
    let mut sinks = [CrossEntropy::new(0); 4];
    for n_ctx in [1, 5, 16, 40] {
        with_session(&blob, n_ctx, Batch::of(4), |session| {
            let fits = n_ctx.min(Spec::SMALL.n_ctx);
            let tokens = Spec::SMALL.tokens(fits + 2, 1);
            assert!(score_window(session, &tokens[..=fits], 0, &mut sinks, |_| ()).is_ok());
            assert!(score_window(session, &tokens, 0, &mut sinks, |_| ()).is_err());
        });
    }
}

#[test]
fn a_self_test_without_bits_is_not_taken_for_passed() {
    let blob = blob_writer::write(&Spec::SMALL.model(1), Storage::F32, &[]);
    let mut sinks = [CrossEntropy::new(0); 4];
    let outcome = with_session(&blob, 4, Batch::of(4), |session| run_self_test(session, &mut sinks));
    assert_eq!(outcome, Ok(SelfTestOutcome::NotRecorded(KvType::F32)));
}
