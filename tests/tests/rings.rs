//! Layers whose queries see a window keep a ring of positions: past two wraps of it no bit depends on the way, and a pass
//! that came to no end is forgotten, unless it has written over what others see.

use emberlm::convert::Beside;
use emberlm::engine::kernel::HostKernel;
use emberlm_core::blob::{LongSelfTest, NO_TOKEN, TextTokens};
use emberlm_core::config::{self, TokenId};
use emberlm_core::format::Format;
use emberlm_core::kernel::{Kernel, Portable};
use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::model::Model;
use emberlm_core::scratch::{Batch, Scratch, ScratchSize};
use emberlm_core::session::{ForwardError, MemoryError, Session};
use emberlm_core::sink::Dense;
use emberlm_core::source::Mapped;
use emberlm_tests::aligned::AlignedBytes;
use emberlm_tests::blob_writer;
use emberlm_tests::blobs;
use emberlm_tests::family_models::{Llama, write_llama};
use emberlm_tests::models::{Positions, Spec, WINDOWS, Window, past_two_wraps};
use emberlm_tests::passes::{self, Memory, Way, Weights, Workers};
use emberlm_tests::quantised::{Activations, Storage};
use rayon::prelude::*;

/// One token at a time, as a device generates.
const TOKEN_BY_TOKEN: Way = Way { tokens_a_call: 1, batch: 1, ..Way::PLAIN };

fn bits(blob: &[u8], kernel: impl Kernel, tokens: &[TokenId], way: Way) -> Vec<u32> {
    let nll = passes::nll(blob, kernel, tokens, way).unwrap_or_else(|error| panic!("{error:?}: {way:?}"));
    nll.into_iter().map(f32::to_bits).collect()
}

#[test]
fn no_bit_depends_on_the_way_past_two_wraps() {
    let batched = |tokens_a_call, batch| Way { tokens_a_call, batch, ..Way::PLAIN };
    let ways = [
        batched(1, 3),
        batched(3, 3),
        batched(64, 64),
        batched(7, 2),
        batched(usize::MAX, 3),
        batched(usize::MAX, 64),
        Way { memory: Memory::OneLayer, ..batched(1, 3) },
        Way { memory: Memory::OneLayer, ..batched(1, 64) },
        Way { memory: Memory::PerLayer, weights: Weights::Through256, ..batched(40, 5) },
        Way { step: Some(7), ..batched(usize::MAX, 31) },
        Way { step: Some(1), rows: 5, ..batched(100, 33) },
        Way { workers: Workers::Backwards(3), ..batched(64, 16) },
        Way { workers: Workers::TwoThreads, ..batched(usize::MAX, 64) },
        Way { workers: Workers::TwoCores, ..batched(usize::MAX, 40) },
    ];
    let stored = [
        (Storage::F32, Activations::I16, KvType::F32),
        (Storage::Q8, Activations::I16, KvType::F16),
        (Storage::Q4, Activations::I8, KvType::I8),
        (Storage::Q8, Activations::F32, KvType::F32),
        (Storage::Q5, Activations::I16, KvType::I8),
    ];
    let cases: Vec<_> = (0_usize..).zip(WINDOWS.into_iter().flat_map(past_two_wraps)).collect();
    cases.par_iter().for_each(|&(i, spec)| {
        let (storage, activations, kv_type) = stored[i % stored.len()];
        let blob = blob_writer::write_for(&spec.model(1), storage, activations, &[]);
        let tokens = spec.tokens(spec.n_ctx + 1, 1);
        let expected = bits(&blob, Portable, &tokens, Way { kv_type, ..TOKEN_BY_TOKEN });
        for way in ways {
            let way = Way { kv_type, ..way };
            for kernel in HostKernel::all() {
                assert!(bits(&blob, kernel, &tokens, way) == expected, "{kernel:?}, {way:?}, {storage:?}, {spec:?}");
            }
        }
        let way = Way { kv_type, ..Way::PLAIN };
        assert!(bits(&blob, Portable, &tokens, way) == expected, "{storage:?}, {spec:?}");
    });
}

#[test]
fn a_ring_has_the_slots_that_the_formula_says() {
    for len in WINDOWS {
        for spec in past_two_wraps(len) {
            let blob = blob_writer::write(&spec.model(1), Storage::F32, &[]);
            let config = *Model::open(Mapped::new(&blob).unwrap()).unwrap().config();
            for batch in [1, 3, 64] {
                let slots = (len + batch + 30).div_ceil(32) * 32;
                assert!(2 * slots < spec.n_ctx, "past two wraps of {slots}");
                let size = KvSize::new(KvType::I8, spec.n_ctx, batch);
                let layers = (0..config.n_layer).map(|layer| size.slots(&config, layer));
                let windows = spec.window.unwrap().layers;
                let expected = (0..spec.n_layer).map(|layer| if windows[layer % 2] { slots } else { spec.n_ctx });
                assert!(layers.eq(expected), "{spec:?}");
            }
        }
    }
}

/// The converter's long self-test: its sums are those of its tokens, one at a time.
#[test]
fn a_long_self_test_goes_round_the_ring() {
    let mut config = Llama::SMALL.config("mistral");
    (config["sliding_window"], config["max_position_embeddings"]) = (7.into(), 400.into());
    let folder = tempfile::tempdir().unwrap();
    write_llama(&Llama::SMALL.model(1), &config, folder.path()).unwrap();
    let text = TextTokens { bos: 1, adds_bos: true, ends: [2, 36, NO_TOKEN, NO_TOKEN], pruned_from: 0 };
    let beside = Beside { long_self_test: true, text, ..Beside::nothing(config::Activations::I16) };
    let blob = blobs::with(folder.path(), Format::Q8, beside);
    let mut model = Model::open(Mapped::new(&blob).unwrap()).unwrap();
    assert_eq!(model.text_tokens(), Ok(text));
    let (config, test) = (*model.config(), model.long_self_test().unwrap());
    let slots = KvSize::new(KvType::F32, config.n_ctx as usize, 32).slots(&config, 0);
    assert!(test.n_tokens as usize > slots + 1 && test.n_tokens <= config.n_ctx, "{slots} slots, {test:?}");
    let tokens: Vec<TokenId> = LongSelfTest::tokens(config.n_vocab).take(test.n_tokens as usize).collect();
    for kv_type in KvType::ALL {
        let nll = passes::nll(&blob, Portable, &tokens, Way { kv_type, ..TOKEN_BY_TOKEN }).unwrap();
        let sum: f64 = nll.into_iter().map(f64::from).sum();
        assert_eq!(sum.to_bits(), test.nll_bits(kv_type), "{kv_type:?}");
    }
    let plain = blobs::of_checkpoint(folder.path(), Format::Q8, None);
    let mut plain = Model::open(Mapped::new(&plain).unwrap()).unwrap();
    assert_eq!((plain.long_self_test(), plain.text_tokens()), (Ok(LongSelfTest::NONE), Ok(TextTokens::NONE)));
}

#[test]
fn more_positions_together_than_the_cache_has_room_for_are_refused() {
    let [spec, _] = past_two_wraps(33);
    let whole = Spec { window: None, ..spec };
    for (spec, expected) in [(spec, Some(MemoryError::KvBatch { need: 4, have: 3 })), (whole, None)] {
        let blob = blob_writer::write(&spec.model(1), Storage::Q8, &[]);
        let model = Model::open(Mapped::new(&blob).unwrap()).unwrap();
        let (config, batch, size) = (*model.config(), Batch::of(4), KvSize::new(KvType::F16, 100, 3));
        let need = ScratchSize::new(&config, batch);
        let (mut words, mut floats) = (vec![0; size.words(&config)], vec![0.0; need.floats]);
        let mut scratch_words = vec![0; need.words];
        let kv = KvCache::whole(size, &config, &mut words).unwrap();
        let scratch = Scratch::new(&config, batch, &mut floats, &mut scratch_words).unwrap();
        assert_eq!(Session::new(model, Portable, kv, scratch).err(), expected);
    }
}

/// Positions that go through a layer together where passes are dropped.
const TOGETHER: usize = 3;

/// Calls `run` with a session that takes whole contexts.
fn with_session<R>(blob: &AlignedBytes, run: impl FnOnce(&mut Session<'_, Mapped<'_>, Portable>) -> R) -> R {
    let model = Model::open(Mapped::new(blob).unwrap()).unwrap();
    let config = *model.config();
    let batch = Batch { window: config.n_ctx as usize, ..Batch::of(TOGETHER) };
    let size = KvSize::new(KvType::F32, config.n_ctx as usize, TOGETHER);
    let need = ScratchSize::new(&config, batch);
    let (mut words, mut floats) = (vec![u32::MAX; size.words(&config)], vec![f32::NAN; need.floats]);
    let mut scratch_words = vec![u32::MAX; need.words];
    let kv = KvCache::whole(size, &config, &mut words).unwrap();
    let scratch = Scratch::new(&config, batch, &mut floats, &mut scratch_words).unwrap();
    run(&mut Session::new(model, Portable, kv, scratch).unwrap())
}

/// The bits of the logits after the last of `tokens`.
fn last_logits(session: &mut Session<'_, Mapped<'_>, Portable>, tokens: &[TokenId]) -> Result<Vec<u32>, ForwardError> {
    session.forward(tokens)?;
    let mut row = vec![f32::NAN; session.config().n_vocab as usize];
    session.head(tokens.len() - 1, &mut [Dense(&mut row)])?;
    Ok(row.into_iter().map(f32::to_bits).collect())
}

#[test]
fn a_dropped_pass_is_forgotten_unless_it_has_written_over_what_others_see() {
    let (kept, others): (usize, usize) = (40, 5);
    let [mut seen, mut overwritten] = [0; 2];
    for len in [2, 5, 32, 33] {
        for spec in past_two_wraps(len) {
            let blob = blob_writer::write(&spec.model(2), Storage::Q8, &[]);
            let tokens = spec.tokens(spec.n_ctx, 2);
            let slots = (len + TOGETHER + 30).div_ceil(32) * 32;
            let first_that_matters = (kept + 1).saturating_sub(len);
            let windows = spec.window.unwrap().layers;
            // As many as go round the ring up to the first position that is seen, give or take a batch.
            let just = first_that_matters + slots - kept;
            with_session(&blob, |session| {
                session.forward(&tokens[..kept]).unwrap();
                let expected = last_logits(session, &tokens[kept..kept + others]).unwrap();
                for n in [just - 3, just, just + 1, just + 4, just + 40] {
                    let n_batches = n.div_ceil(TOGETHER);
                    // The embedding, then five stages for each batch of each layer; the last of them ends the pass.
                    for steps in 0..=5 * n_batches * spec.n_layer {
                        // Each layer's first stages, and its last ones; of those between some.
                        if steps % (5 * n_batches) > 12
                            && steps % (5 * n_batches) < 5 * n_batches - 12
                            && steps % 7 != 0
                        {
                            continue;
                        }
                        session.reset();
                        session.forward(&tokens[..kept]).unwrap();
                        let pass_tokens = &tokens[kept + others..][..n];
                        let mut pass = session.begin_forward(pass_tokens).unwrap();
                        for _ in 0..steps {
                            pass.step(usize::MAX).unwrap();
                        }
                        let writes_over = (0..spec.n_layer * n_batches).any(|i| {
                            let (layer, batch) = (i / n_batches, i % n_batches);
                            let last = kept + n.min((batch + 1) * TOGETHER) - 1;
                            let has_begun = 1 + 5 * i < steps;
                            has_begun && windows[layer % 2] && last >= slots + first_that_matters
                        });
                        let what = format!("{steps} steps of {n} tokens, {spec:?}");
                        assert_eq!(session.n_past(), kept, "{what}");
                        let got = last_logits(session, &tokens[kept..kept + others]);
                        if writes_over {
                            assert_eq!(got, Err(ForwardError::Overwritten), "{what}");
                            assert_eq!(session.forward(&tokens[..1]), Err(ForwardError::Overwritten), "{what}");
                            session.reset();
                            session.forward(&tokens[..kept]).unwrap();
                            assert!(last_logits(session, &tokens[kept..kept + others]).unwrap() == expected, "{what}");
                            overwritten += 1;
                        } else {
                            assert!(got.as_ref() == Ok(&expected), "{what}: {:?}", got.err());
                            seen += 1;
                        }
                    }
                }
            });
        }
    }
    assert!(seen > 100 && overwritten > 100, "{seen} went on, {overwritten} asked for a reset");
}

/// Whether what turns and what does not, and layers of both kinds, are among the models.
#[test]
fn the_models_are_of_both_kinds() {
    let [llama, neo] = past_two_wraps(5);
    assert!(llama.positions != Positions::Learned && neo.positions == Positions::Learned);
    assert_eq!(llama.window.map(|window| window.layers), Some([true; 2]));
    assert_eq!(neo.window, Some(Window { len: 5, layers: [false, true] }));
    assert!(neo.n_ctx >= 256 && llama.n_ctx >= 256);
}
