//! A source that fails once, at any of its reads: the pass under way says so from then on, and the session gives the same
//! bits as before as soon as the source does.

use std::cell::Cell;

use emberlm_core::blob::{Descriptor, Head, LayerSlot, LongSelfTest, OpenError, Preamble, Slot, TextTokens};
use emberlm_core::config::TokenId;
use emberlm_core::generate::{GenerateError, Generation, WhenFull};
use emberlm_core::kernel::Portable;
use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::loss::CrossEntropy;
use emberlm_core::model::Model;
use emberlm_core::sample::{Sampler, Settings};
use emberlm_core::score::{ScoreError, score_window};
use emberlm_core::scratch::{Batch, Scratch, ScratchSize};
use emberlm_core::session::{ForwardError, Progress, Session};
use emberlm_core::sink::Dense;
use emberlm_core::source::{Aligned, Copying, ReadError, Source};
use emberlm_tests::blob_writer;
use emberlm_tests::models::{NormPlaces, Positions, Spec, Window, past_two_wraps};
use emberlm_tests::quantised::{Activations, Storage};

/// Two layers of nothing even.
const TINY: Spec = Spec { n_vocab: 11, n_ctx: 6, n_embd: 10, n_head: 2, n_layer: 2, n_ff: 13, ..Spec::RAGGED };

/// The same of another family: frequencies are read too, and gates.
const TINY_LLAMA: Spec = Spec {
    n_vocab: 11,
    n_ctx: TINY.n_ctx,
    n_embd: 9,
    n_head: 4,
    n_kv_head: Some(2),
    head_dim: Some(5),
    n_layer: 2,
    n_ff: 13,
    positions: Positions::Rotary { dim: 4, two_tables: true },
    window: Some(Window { len: 3, layers: [true, false] }),
    ..Spec::LLAMA
};

/// The same with norms wherever they can be, whose scales and shifts are read too, and attention beside the MLP.
const TINY_NORMS: Spec = Spec {
    norm_places: NormPlaces { before: true, after: true, embedding: true, heads: true, last: true },
    parallel: true,
    ..TINY
};

/// Rows of the MLP's second matrix that outgrow the source's buffer in every format.
const LONG_ROWS: Spec = Spec { n_vocab: 5, n_ctx: 2, n_embd: 3, n_head: 1, n_ff: 720, n_layer: 1, ..TINY };

/// Bytes of the source's buffer.
const BUFFER: usize = 256;

/// How many more reads succeed before the one that fails, and how many there have been.
#[derive(Default)]
struct Reads {
    left: Cell<Option<usize>>,
    taken: Cell<usize>,
}

impl Reads {
    /// The `n`-th read from now on fails, and no other.
    fn fail_at(&self, n: usize) {
        self.left.set(Some(n));
    }

    /// Reads that `work` takes.
    fn of<R>(&self, work: impl FnOnce() -> R) -> (usize, R) {
        let before = self.taken.get();
        let result = work();
        (self.taken.get() - before, result)
    }
}

struct Failing<'r, S> {
    source: S,
    reads: &'r Reads,
}

impl<S: Source> Source for Failing<'_, S> {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn max_read(&self) -> usize {
        self.source.max_read()
    }

    fn read(&mut self, offset: usize, len: usize) -> Result<&[u8], ReadError> {
        self.reads.taken.set(self.reads.taken.get() + 1);
        let left = self.reads.left.get();
        self.reads.left.set(left.and_then(|left| left.checked_sub(1)));
        if left == Some(0) { Err(ReadError { offset }) } else { self.source.read(offset, len) }
    }
}

/// How tokens go through the model.
#[derive(Clone, Copy, Debug)]
struct Order {
    kv_type: KvType,
    one_layer: bool,
    tokens_a_call: usize,
    batch: usize,
    step: usize,
}

impl Order {
    const fn size(self) -> Batch {
        Batch { window: self.tokens_a_call, ..Batch::of(self.batch) }
    }
}

/// One token at a time, and layer by layer.
fn orders(kv_type: KvType, step: usize) -> [Order; 3] {
    [
        Order { kv_type, one_layer: false, tokens_a_call: 1, batch: 1, step },
        Order { kv_type, one_layer: false, tokens_a_call: 4, batch: 3, step },
        Order { kv_type, one_layer: true, tokens_a_call: TINY.n_ctx, batch: 3, step },
    ]
}

type FailingSession<'s> = Session<'s, Failing<'s, Copying<'s, &'s [u8]>>, Portable>;

fn with_session<R>(blob: &[u8], order: Order, run: impl FnOnce(&mut FailingSession<'_>, &Reads) -> R) -> R {
    let (reads, mut buffer) = (Reads::default(), Aligned([0; BUFFER]));
    let source = Failing { source: Copying::new(blob, &mut buffer.0).unwrap(), reads: &reads };
    let model = Model::open(source).unwrap();
    let config = *model.config();
    let n_ctx = config.n_ctx as usize;
    let need = ScratchSize::new(&config, order.size());
    let (mut floats, mut words) = (vec![f32::NAN; need.floats], vec![u32::MAX; need.words]);
    let size = KvSize::new(order.kv_type, n_ctx, order.batch);
    let n_words = if order.one_layer { size.largest_layer_words(&config) } else { size.words(&config) };
    let mut cache = vec![u32::MAX; n_words];
    let kv = if order.one_layer {
        KvCache::one_layer(size, &config, &mut cache)
    } else {
        KvCache::whole(size, &config, &mut cache)
    };
    let scratch = Scratch::new(&config, order.size(), &mut floats, &mut words).unwrap();
    run(&mut Session::new(model, Portable, kv.unwrap(), scratch).unwrap(), &reads)
}

/// Every format of weights, each with one kind of activations and of KV cache.
fn stored() -> impl Iterator<Item = (Storage, Activations, KvType)> {
    (0..).zip(Storage::ALL).map(|(i, storage)| (storage, Activations::ALL[i % 3], KvType::ALL[i / 2 % 3]))
}

/// Takes a pass to its end. Where a step fails, every further one has to say the same.
fn finish(mut step: impl FnMut() -> Result<Progress, ReadError>) -> Result<(), ForwardError> {
    loop {
        match step() {
            Ok(Progress::More) => {}
            Ok(Progress::Done) => {
                assert_eq!(step(), Ok(Progress::Done));
                return Ok(());
            }
            Err(error) => {
                (0..3).for_each(|_| assert_eq!(step(), Err(error)));
                return Err(error.into());
            }
        }
    }
}

fn forward(session: &mut FailingSession<'_>, tokens: &[TokenId], step: usize) -> Result<(), ForwardError> {
    let mut pass = session.begin_forward(tokens)?;
    finish(|| pass.step(step))
}

/// The bits of the logits after each of positions `first ..` of the last forward call, `n` of them.
fn head(session: &mut FailingSession<'_>, first: usize, n: usize, step: usize) -> Result<Vec<Vec<u32>>, ForwardError> {
    let mut rows = vec![vec![f32::NAN; session.config().n_vocab as usize]; n];
    let mut sinks: Vec<_> = rows.iter_mut().map(|row| Dense(row)).collect();
    let mut walk = session.begin_head(first, &mut sinks)?;
    finish(|| walk.step(step))?;
    Ok(rows.iter().map(|row| row.iter().map(|logit| logit.to_bits()).collect()).collect())
}

/// What is done where a pass failed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// The session is reset, and all begins anew.
    Reset,
    /// The same once more.
    Retry,
}

/// The logits' bits of all `tokens`.
fn logits(session: &mut FailingSession<'_>, tokens: &[TokenId], order: Order, then: Then) -> Vec<Vec<u32>> {
    let mut all = Vec::new();
    while let Some(rest) = tokens.get(all.len()..).filter(|rest| !rest.is_empty()) {
        let (n_past, call) = (session.n_past(), &rest[..rest.len().min(order.tokens_a_call)]);
        assert_eq!(n_past, all.len());
        if let Err(error) = forward(session, call, order.step) {
            assert!(matches!(error, ForwardError::Read(_)), "{error}");
            assert_eq!(session.n_past(), n_past);
            let walk = head(session, 0, 1, order.step);
            assert_eq!(walk, Err(ForwardError::NotForwarded { need: 1, have: 0 }));
            if then == Then::Reset {
                session.reset();
                all.clear();
            }
            continue;
        }
        let mut first = 0;
        while first < call.len() {
            let n = order.batch.min(call.len() - first);
            match head(session, first, n, order.step) {
                Ok(rows) => {
                    all.extend(rows);
                    first += n;
                }
                Err(error) => {
                    assert!(matches!(error, ForwardError::Read(_)), "{error}");
                    assert_eq!(session.n_past(), n_past + call.len());
                    if then == Then::Reset {
                        session.reset();
                        all.clear();
                        break;
                    }
                }
            }
        }
    }
    all
}

/// A failure at every read of a window's way through the model.
fn fail_at_every_read(spec: &Spec, storage: Storage, activations: Activations, order: Order) {
    let blob = blob_writer::write_for(&spec.model(3), storage, activations, &[]);
    let tokens = spec.tokens(spec.n_ctx, 3);
    with_session(&blob, order, |session, reads| {
        let (n_reads, expected) = reads.of(|| logits(session, &tokens, order, Then::Reset));
        for n in 0..n_reads {
            for then in [Then::Reset, Then::Retry] {
                session.reset();
                reads.fail_at(n);
                let got = logits(session, &tokens, order, then);
                assert_eq!(reads.left.get(), None, "read {n} came");
                assert_eq!(got, expected, "{then:?} after read {n} of {storage:?}, {activations:?}, {order:?}");
            }
        }
    });
}

#[test]
fn a_pass_that_failed_stays_failed_and_the_session_goes_on() {
    for ((storage, activations, kv_type), step) in stored().zip([5, usize::MAX].into_iter().cycle()) {
        for order in orders(kv_type, step) {
            fail_at_every_read(&TINY, storage, activations, order);
            fail_at_every_read(&TINY_LLAMA, storage, activations, order);
            fail_at_every_read(&TINY_NORMS, storage, activations, order);
        }
    }
}

#[test]
fn a_row_that_came_in_part_is_not_added() {
    for (storage, activations, kv_type) in stored() {
        let [.., layer_major] = orders(kv_type, usize::MAX);
        fail_at_every_read(&LONG_ROWS, storage, activations, layer_major);
    }
}

#[test]
fn other_tokens_follow_a_failed_pass_as_if_there_had_been_none() {
    let order = Order { kv_type: KvType::I8, one_layer: false, tokens_a_call: 4, batch: 3, step: 9 };
    let blob = blob_writer::write(&TINY.model(4), Storage::Q8, &[]);
    let (kept, failed, others) = ([1, 2, 3], [4, 5, 6], [8, 9]);
    with_session(&blob, order, |session, reads| {
        let all = [&kept[..], &others].concat();
        let expected = logits(session, &all[..3], order, Then::Reset);
        forward(session, &others, 9).unwrap();
        let expected = [expected, head(session, 0, 2, 9).unwrap()].concat();
        session.reset();
        forward(session, &kept, 9).unwrap();
        let (n_reads, ()) = reads.of(|| forward(session, &failed, 9).unwrap());
        for n in 0..n_reads {
            session.reset();
            forward(session, &kept, 9).unwrap();
            reads.fail_at(n);
            assert!(forward(session, &failed, 9).is_err());
            forward(session, &others, 9).unwrap();
            assert_eq!(head(session, 0, 2, 9).unwrap(), expected[3..], "read {n}");
        }
    });
}

/// A pass that failed after it went round a ring asks for a reset, and one that failed before does not.
#[test]
fn a_ring_that_was_written_over_asks_for_a_reset() {
    let order = Order { kv_type: KvType::F16, one_layer: false, tokens_a_call: 90, batch: 3, step: usize::MAX };
    for spec in past_two_wraps(5) {
        let blob = blob_writer::write(&spec.model(4), Storage::Q4, &[]);
        let tokens = spec.tokens(120, 4);
        let (kept, others, failed) = (&tokens[..25], &tokens[25..28], &tokens[30..120]);
        with_session(&blob, order, |session, reads| {
            forward(session, kept, order.step).unwrap();
            let (n_reads, ()) = reads.of(|| forward(session, failed, order.step).unwrap());
            session.reset();
            forward(session, kept, order.step).unwrap();
            forward(session, others, order.step).unwrap();
            let expected = head(session, 0, 3, order.step).unwrap();
            let [mut went_on, mut were_reset] = [0; 2];
            for n in (0..n_reads).step_by(13) {
                session.reset();
                forward(session, kept, order.step).unwrap();
                reads.fail_at(n);
                assert!(matches!(forward(session, failed, order.step), Err(ForwardError::Read(_))));
                match forward(session, others, order.step) {
                    Ok(()) => went_on += 1,
                    Err(error) => {
                        assert_eq!(error, ForwardError::Overwritten);
                        session.reset();
                        forward(session, kept, order.step).unwrap();
                        forward(session, others, order.step).unwrap();
                        were_reset += 1;
                    }
                }
                assert!(head(session, 0, 3, order.step).unwrap() == expected, "read {n} of {spec:?}");
            }
            assert!(went_on > 0 && were_reset > 0, "{went_on} went on, {were_reset} were reset");
        });
    }
}

#[test]
fn a_window_that_failed_is_scored_anew() {
    let blob = blob_writer::write(&TINY.model(5), Storage::Q5, &[]);
    let tokens = TINY.tokens(TINY.n_ctx + 1, 5);
    for order in orders(KvType::F16, 0) {
        with_session(&blob, order, |session, reads| {
            let mut sinks = [CrossEntropy::new(0); 2];
            let mut score = |session: &mut FailingSession<'_>| {
                let mut nlls = Vec::new();
                let outcome = score_window(session, &tokens, 1, &mut sinks, |nll| nlls.push(nll.to_bits()));
                (outcome, nlls)
            };
            let (n_reads, (outcome, expected)) = reads.of(|| score(session));
            assert_eq!((outcome, expected.len()), (Ok(()), TINY.n_ctx - 1));
            for n in 0..n_reads {
                reads.fail_at(n);
                let (outcome, nlls) = score(session);
                assert!(matches!(outcome, Err(ScoreError::Forward(ForwardError::Read(_)))), "{outcome:?}");
                assert!(expected.starts_with(&nlls) && nlls.len() < expected.len());
                assert_eq!(score(session), (Ok(()), expected.clone()), "after read {n}, {order:?}");
            }
        });
    }
}

#[test]
fn a_text_goes_on_where_the_medium_failed() {
    let blob = blob_writer::write(&TINY.model(6), Storage::Q4, &[]);
    let settings = Settings { temperature: 1.0, repeat_penalty: 1.3, seed: 8, ..Settings::DEFAULT };
    let chosen = Settings { top_k: Some(4), ..settings };
    for (settings, when_full) in [(settings, WhenFull::Slide(3)), (chosen, WhenFull::Stop)] {
        for order in orders(KvType::F32, 0).into_iter().filter(|order| !order.one_layer) {
            with_session(&blob, order, |session, reads| {
                let mut context = [0; TINY.n_ctx];
                let mut text = |session: &mut FailingSession<'_>, fail_at: Option<usize>| {
                    let sampler = Sampler::new(settings).unwrap();
                    let mut text = Generation::new(session, sampler, &mut context, when_full).unwrap();
                    text.append(&[3, 1, 4, 1]).unwrap();
                    fail_at.into_iter().for_each(|n| reads.fail_at(n));
                    let (mut drawn, mut failures) = (Vec::new(), 0);
                    while drawn.len() < 9 {
                        match text.next_token() {
                            Ok(Some(token)) => drawn.push((token.token, token.nll.to_bits())),
                            Ok(None) => break,
                            Err(error) => {
                                assert!(matches!(error, GenerateError::Forward(ForwardError::Read(_))), "{error}");
                                failures += 1;
                            }
                        }
                    }
                    (drawn, failures)
                };
                let (n_reads, (expected, _)) = reads.of(|| text(session, None));
                for n in 0..n_reads {
                    assert_eq!(text(session, Some(n)), (expected.clone(), 1), "read {n}, {order:?}");
                }
            });
        }
    }
}

/// Bytes that are 0 as soon as the blob is open.
struct Forgetful<'r, S> {
    source: S,
    forgotten: &'r Cell<Option<(usize, usize)>>,
    zeros: [u8; BUFFER],
}

impl<S: Source> Source for Forgetful<'_, S> {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn max_read(&self) -> usize {
        self.source.max_read()
    }

    fn read(&mut self, offset: usize, len: usize) -> Result<&[u8], ReadError> {
        if self.forgotten.get() == Some((offset, len)) { Ok(&self.zeros[..len]) } else { self.source.read(offset, len) }
    }
}

#[test]
fn a_tensor_that_is_gone_is_an_error_at_its_descriptor() {
    let blob = blob_writer::write(&TINY.model(8), Storage::Q8, &[]);
    let table = Preamble::BYTES + Head::BYTES + TextTokens::BYTES + LongSelfTest::BYTES + 1;
    for slot in [Slot::Wte, Slot::Wpe, Slot::Layer(1, LayerSlot::FcWeight)] {
        let (offset, len) = (table + slot.index() * Descriptor::BYTES, Descriptor::BYTES);
        let (forgotten, mut buffer) = (Cell::new(None), Aligned([0; BUFFER]));
        let source = Copying::new(&blob[..], &mut buffer.0).unwrap();
        let source = Forgetful { source, forgotten: &forgotten, zeros: [0; BUFFER] };
        let model = Model::open(source).unwrap();
        let config = *model.config();
        let need = ScratchSize::new(&config, Batch::of(1));
        let (mut floats, mut words) = (vec![0.0; need.floats], vec![0; need.words]);
        let size = KvSize::new(KvType::I8, 1, 1);
        let mut cache = vec![0; size.largest_layer_words(&config)];
        let kv = KvCache::one_layer(size, &config, &mut cache).unwrap();
        let scratch = Scratch::new(&config, Batch::of(1), &mut floats, &mut words).unwrap();
        let mut session = Session::new(model, Portable, kv, scratch).unwrap();
        forgotten.set(Some((offset, len)));
        let mut sinks = [CrossEntropy::new(0)];
        let outcome = session.forward(&[1]).and_then(|()| session.head(0, &mut sinks));
        assert_eq!(outcome, Err(ForwardError::Read(ReadError { offset })), "{slot}");
    }
}

#[test]
fn a_model_says_that_it_could_not_be_read() {
    let blob = blob_writer::write(&TINY.model(7), Storage::Q8, &[]);
    let (reads, mut buffer) = (Reads::default(), Aligned([0; BUFFER]));
    let mut source = Failing { source: Copying::new(&blob[..], &mut buffer.0).unwrap(), reads: &reads };
    let (n_reads, outcome) = reads.of(|| Model::open(&mut source).map(drop));
    assert_eq!(outcome, Ok(()));
    for n in 0..n_reads {
        reads.fail_at(n);
        assert!(matches!(Model::open(&mut source).err(), Some(OpenError::Read(_))), "read {n}");
    }
    let mut model = Model::open(&mut source).unwrap();
    let (n_reads, outcome) = reads.of(|| model.verify_sections());
    assert_eq!(outcome, Ok(()));
    for n in 0..n_reads {
        reads.fail_at(n);
        assert!(matches!(model.verify_sections(), Err(OpenError::Read(_))), "read {n}");
    }
    reads.fail_at(0);
    assert!(model.crc32().is_err() && model.crc32().is_ok());
    reads.fail_at(0);
    assert!(matches!(model.self_test(), Err(OpenError::Read(_))) && model.self_test().is_ok());
    reads.fail_at(0);
    assert!(model.tensor(Slot::Wpe).is_err() && model.tensor(Slot::Wpe).is_ok());
}
