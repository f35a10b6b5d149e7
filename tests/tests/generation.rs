//! Core's generation: what becomes of a full context, and that only blob, text and seed decide.

use emberlm::engine::{Memory, run};
use emberlm_core::config::TokenId;
use emberlm_core::format::Format;
use emberlm_core::generate::{GenerateError, Generation, WhenFull};
use emberlm_core::kernel::Portable;
use emberlm_core::kv_cache::KvType;
use emberlm_core::loss::CrossEntropy;
use emberlm_core::model::Model;
use emberlm_core::planner::Order;
use emberlm_core::sample::{Drawn, Sampler, Settings};
use emberlm_core::session::ForwardError;
use emberlm_core::sink::ArgMax;
use emberlm_core::source::Mapped;
use emberlm_tests::aligned::AlignedBytes;
use emberlm_tests::blob_writer;
use emberlm_tests::blobs;
use emberlm_tests::models::{Spec, past_two_wraps};
use emberlm_tests::quantised::Storage;

const GREEDY: Settings = Settings { temperature: 0.0, ..Settings::DEFAULT };

/// A tiny model with a context of `n_ctx`.
struct Tiny {
    blob: AlignedBytes,
    n_ctx: usize,
}

impl Tiny {
    fn new() -> Self {
        let shape = Spec::SMALL;
        Self { blob: blobs::of_model(&shape.model(7), Format::Q8, None), n_ctx: shape.n_ctx }
    }

    fn model(&self) -> Model<Mapped<'_>> {
        Model::open(Mapped::new(&self.blob).unwrap()).unwrap()
    }

    fn memory(&self, n_ctx: usize, batch: usize) -> Memory {
        Memory::new(self.model().config(), run(Order::TokenMajor, KvType::F32, n_ctx, batch)).unwrap()
    }

    /// Up to `n` tokens that follow `prompt`; `check` sees the context that each came from.
    fn generate(
        &self,
        (n_ctx, batch): (usize, usize),
        (settings, when_full): (Settings, WhenFull),
        prompt: &[TokenId],
        n: usize,
        mut check: impl FnMut(&[TokenId], Drawn),
    ) -> Result<Vec<Drawn>, GenerateError> {
        let mut memory = self.memory(n_ctx, batch);
        let mut session = memory.session(self.model(), Portable);
        let mut context = vec![TokenId::MAX; n_ctx];
        let mut generation = Generation::new(&mut session, Sampler::new(settings).unwrap(), &mut context, when_full)?;
        generation.append(prompt)?;
        let mut all = Vec::new();
        while all.len() < n {
            let Some(drawn) = generation.next_token()? else { break };
            check(generation.context(), drawn);
            all.push(drawn);
        }
        Ok(all)
    }

    /// The most likely token after `context`, by a fresh session, and its loss.
    fn fresh(&self, context: &[TokenId]) -> Drawn {
        let mut memory = self.memory(context.len(), context.len());
        let mut session = memory.session(self.model(), Portable);
        session.forward(context).unwrap();
        let mut sink = [ArgMax::new()];
        session.head(context.len() - 1, &mut sink).unwrap();
        let token = sink[0].token().unwrap().unwrap();
        let mut sink = [CrossEntropy::new(token)];
        session.head(context.len() - 1, &mut sink).unwrap();
        Drawn { token, nll: sink[0].nll().unwrap().unwrap() }
    }
}

#[test]
fn every_token_is_what_a_fresh_session_makes_of_the_context() {
    let tiny = Tiny::new();
    let n_ctx = tiny.n_ctx.min(9);
    for keep in [1, 4, n_ctx - 1] {
        let (mut text, mut slid) = (vec![3, 1, 4, 1, 5], 0);
        let check = |context: &[TokenId], drawn: Drawn| {
            assert!(text.ends_with(context));
            slid += usize::from(context.len() < text.len());
            assert_eq!(drawn, tiny.fresh(context));
            text.push(drawn.token);
        };
        let how = (GREEDY, WhenFull::Slide(keep));
        let prompt = [3, 1, 4, 1, 5];
        assert_eq!(tiny.generate((n_ctx, 4), how, &prompt, 40, check).unwrap().len(), 40);
        assert!(slid > 30);
    }
}

/// Wherever the text has come to, and once it slides.
#[test]
fn a_text_goes_round_a_ring_and_on() {
    for spec in past_two_wraps(5) {
        let tiny = Tiny { blob: blob_writer::write(&spec.model(6), Storage::Q8, &[]), n_ctx: spec.n_ctx };
        let mut n = 0;
        let check = |context: &[TokenId], drawn: Drawn| {
            if n % 13 == 0 {
                assert_eq!(drawn, tiny.fresh(context), "{n} tokens of {spec:?}");
            }
            n += 1;
        };
        // A ring of 64 for such a window and batch.
        let how = (GREEDY, WhenFull::Slide(100));
        assert_eq!(tiny.generate((200, 2), how, &[3, 1, 4], 260, check).unwrap().len(), 260);
    }
}

#[test]
fn a_long_prompt_slides_to_what_is_left_of_it() {
    let tiny = Tiny::new();
    let n_ctx = tiny.n_ctx.min(8);
    let prompt: Vec<TokenId> = (0..30).map(|i| i % 7).collect();
    let mut contexts = Vec::new();
    let check = |context: &[TokenId], drawn| {
        assert_eq!(drawn, tiny.fresh(context));
        contexts.push(context.to_vec());
    };
    tiny.generate((n_ctx, 3), (GREEDY, WhenFull::Slide(4)), &prompt, 2, check).unwrap();
    assert!(prompt.ends_with(&contexts[0]));
    assert!((4..=n_ctx).contains(&contexts[0].len()));
}

#[test]
fn a_full_context_ends_the_text_after_the_token_that_its_last_position_foretells() {
    let tiny = Tiny::new();
    let n_ctx = tiny.n_ctx.min(8);
    let all = tiny.generate((n_ctx, 2), (GREEDY, WhenFull::Stop), &[1, 2, 3], 100, |_, _| ()).unwrap();
    assert_eq!(all.len(), n_ctx - 3 + 1);
    let full = tiny.generate((n_ctx, 2), (GREEDY, WhenFull::Stop), &vec![1; n_ctx], 100, |_, _| ()).unwrap();
    assert_eq!(full.len(), 1);
}

#[test]
fn batches_and_context_size_do_not_matter_but_the_seed_does() {
    let tiny = Tiny::new();
    let run = |seed, n_ctx, batch| {
        let settings = Settings { temperature: 1.0, seed, ..Settings::DEFAULT };
        tiny.generate((n_ctx, batch), (settings, WhenFull::Stop), &[5, 3, 2, 6], 5, |_, _| ()).unwrap()
    };
    let want = run(1, tiny.n_ctx, 1);
    for (n_ctx, batch) in [(tiny.n_ctx, 3), (9, 9), (8, 2)] {
        assert_eq!(run(1, n_ctx, batch), want);
    }
    assert!((2..6).any(|seed| run(seed, tiny.n_ctx, 1) != want));
}

#[test]
fn what_cannot_be_generated() {
    let tiny = Tiny::new();
    let error = |n_ctx, when_full, prompt: &[TokenId]| {
        tiny.generate((n_ctx, 2), (GREEDY, when_full), prompt, 1, |_, _| ()).unwrap_err()
    };
    assert_eq!(error(8, WhenFull::Stop, &[]), GenerateError::NoPrompt);
    assert_eq!(error(4, WhenFull::Stop, &[1; 5]), GenerateError::PromptTooLong { need: 5, have: 4 });
    for keep in [0, 4] {
        assert_eq!(error(4, WhenFull::Slide(keep), &[1]), GenerateError::Keep { keep, n_ctx: 4 });
    }
    let out_of_range = ForwardError::TokenOutOfRange { token: 60_000, n_vocab: tiny.model().config().n_vocab };
    assert_eq!(error(4, WhenFull::Stop, &[1, 60_000]), GenerateError::Forward(out_of_range));
    let mut memory = tiny.memory(4, 2);
    let mut session = memory.session(tiny.model(), Portable);
    let mut context = [0; 3];
    let new = Generation::new(&mut session, Sampler::new(GREEDY).unwrap(), &mut context, WhenFull::Stop);
    assert_eq!(new.unwrap_err().to_string(), "context buffer too small: need 4 ids, have 3");
}
