//! One model, one window of tokens and one type of KV cache have one set of bits: whatever the source, the cache's
//! memory, the number of tokens a call and a batch, of rows a block and of workers, the step size and the kernel.

use std::fmt::Debug;

use emberlm::engine::kernel::HostKernel;
use emberlm::engine::{self, HostTeam, run};
use emberlm_core::config::TokenId;
use emberlm_core::kernel::{Kernel, Portable};
use emberlm_core::kv_cache::KvType;
use emberlm_core::loss::CrossEntropy;
use emberlm_core::model::Model;
use emberlm_core::planner::Order;
use emberlm_core::score::score_window;
use emberlm_core::scratch::Batch;
use emberlm_core::sink::Dense;
use emberlm_core::source::Mapped;
use emberlm_core::team::Team;
use emberlm_tests::blob_writer;
use emberlm_tests::models::Spec;
use emberlm_tests::passes::{self, Memory, Way, Weights, Workers};
use emberlm_tests::quantised::{Activations, Storage};
use proptest::prelude::*;
use proptest::sample::select;
use rayon::prelude::*;

const BATCHES: [usize; 5] = [1, 2, 3, 7, 16];
const SOURCES: [Weights; 3] = [Weights::Mapped, Weights::Through256, Weights::Through1024];
const MEMORIES: [Memory; 3] = [Memory::Whole, Memory::PerLayer, Memory::OneLayer];
const STEPS: [Option<usize>; 6] = [None, Some(1), Some(2), Some(5), Some(33), Some(1000)];

/// One token at a time, as a device generates.
const TOKEN_BY_TOKEN: Way = Way { tokens_a_call: 1, batch: 1, ..Way::PLAIN };

/// Those of every logit [inputs, n_vocab] and of every nll [inputs].
type Bits = (Vec<Vec<u32>>, Vec<Option<u32>>);

fn bits(blob: &[u8], kernel: impl Kernel, tokens: &[TokenId], way: Way) -> Bits {
    let inputs = &tokens[..tokens.len() - 1];
    let n_vocab = passes::n_vocab(blob).expect("a sound blob");
    let mut rows = vec![vec![0.0; n_vocab]; inputs.len()];
    let sinks = rows.iter_mut().zip(&tokens[1..]);
    let mut sinks: Vec<_> = sinks.map(|(row, &target)| (Dense(row), CrossEntropy::new(target))).collect();
    passes::pass(blob, kernel, inputs, &mut sinks, way).expect("a pass to the end");
    let nll = sinks.iter().map(|(_, cross_entropy)| cross_entropy.nll().expect("logits").map(f32::to_bits)).collect();
    let logits = rows.iter().map(|row| row.iter().map(|logit| logit.to_bits()).collect()).collect();
    (logits, nll)
}

/// Whether every kernel that this processor can run gives `expected`.
fn same_bits(blob: &[u8], tokens: &[TokenId], way: Way, expected: &Bits) -> bool {
    HostKernel::all().all(|kernel| bits(blob, kernel, tokens, way) == *expected)
}

/// Compares ways of one pass, each by the next of the kernels that this processor can run.
struct InTurn<'a> {
    blob: &'a [u8],
    tokens: &'a [TokenId],
    expected: Bits,
    kernels: Vec<HostKernel>,
    turn: usize,
}

impl<'a> InTurn<'a> {
    /// Expects what the portable kernel gives token by token. `first` says whose turn it is.
    fn new(blob: &'a [u8], tokens: &'a [TokenId], kv_type: KvType, first: usize) -> Self {
        let expected = bits(blob, Portable, tokens, Way { kv_type, ..TOKEN_BY_TOKEN });
        Self { blob, tokens, expected, kernels: HostKernel::all().collect(), turn: first }
    }

    fn compare(&mut self, way: Way, what: &impl Debug) {
        let kernel = self.kernels[self.turn % self.kernels.len()];
        self.turn += 1;
        assert!(bits(self.blob, kernel, self.tokens, way) == self.expected, "{way:?} by {} of {what:?}", kernel.name());
    }
}

/// How matrices and activations are stored, every pair, each with one of the ways in which keys and values are.
fn stored() -> impl Iterator<Item = (Storage, Activations, KvType)> {
    (0..).zip(Storage::ALL).flat_map(|(i, storage)| {
        [0, 1, 2].map(|j| (storage, Activations::ALL[j], KvType::ALL[(i + j) % KvType::ALL.len()]))
    })
}

/// Some of GPT-2, and one of each other family.
const fn shapes() -> [Spec; 11] {
    let gpt2 = [Spec::SMALL, Spec::RAGGED, Spec::LONG_ROWS, Spec::LONG_CONTEXT];
    let [small, ragged, long_rows, long_context] = gpt2;
    let [neo, llama, mistral] = [Spec::NEO, Spec::LLAMA, Spec::MISTRAL];
    let [neox, qwen3, gemma, microgpt] = [Spec::NEOX, Spec::QWEN3, Spec::GEMMA, Spec::MICROGPT];
    [small, ragged, long_rows, long_context, neo, llama, mistral, neox, qwen3, gemma, microgpt]
}

/// Tokens for every position that the model has, and the last one's target.
fn full_window(spec: &Spec, seed: u64) -> Vec<TokenId> {
    spec.tokens(spec.n_ctx + 1, seed)
}

#[test]
fn every_shape_in_every_batch_from_every_source_into_every_memory() {
    let with_seeds: Vec<_> = (0..).zip(Spec::all()).collect();
    with_seeds.par_iter().for_each(|(seed, spec)| {
        let tokens = full_window(spec, *seed);
        // Every fourth for a shape, others for the next one.
        for (i, (storage, activations, kv_type)) in stored().skip(*seed as usize % 4).step_by(4).enumerate() {
            let blob = blob_writer::write_for(&spec.model(*seed), storage, activations, &[]);
            let mut ways = InTurn::new(&blob, &tokens, kv_type, i);
            for batch in BATCHES {
                for weights in SOURCES {
                    for memory in MEMORIES {
                        let way = Way { weights, kv_type, memory, batch, ..Way::PLAIN };
                        ways.compare(way, &(storage, activations, spec));
                    }
                }
            }
        }
    });
}

#[test]
fn every_step_size() {
    let specs = shapes();
    (0..specs.len()).into_par_iter().zip(&specs).for_each(|(i, spec)| {
        let tokens = full_window(spec, 5);
        for (storage, activations, kv_type) in stored().skip(i).step_by(specs.len()) {
            let blob = blob_writer::write_for(&spec.model(5), storage, activations, &[]);
            let mut ways = InTurn::new(&blob, &tokens, kv_type, i);
            for step in STEPS {
                for (weights, memory, batch) in
                    [(Weights::Mapped, Memory::Whole, 3), (Weights::Through1024, Memory::OneLayer, 7)]
                {
                    let way = Way { weights, kv_type, memory, batch, step, ..Way::PLAIN };
                    ways.compare(way, &(storage, activations, spec));
                }
            }
        }
    });
}

#[test]
fn every_number_of_rows_and_of_workers() {
    let specs = shapes();
    let workers = [Workers::Solo, Workers::Backwards(2), Workers::Backwards(3), Workers::Backwards(16)];
    (0..specs.len()).into_par_iter().zip(&specs).for_each(|(i, spec)| {
        let tokens = full_window(spec, 8);
        for (storage, activations, kv_type) in stored().skip(i).step_by(2 * specs.len()) {
            let blob = blob_writer::write_for(&spec.model(8), storage, activations, &[]);
            let mut ways = InTurn::new(&blob, &tokens, kv_type, i);
            let mut same = |way: Way| ways.compare(way, &(storage, activations, spec));
            for (rows, batch) in [(1, 3), (7, 1), (8, 16), (Batch::ROWS, 7), (usize::MAX, 2)] {
                for workers in workers {
                    for weights in [Weights::Mapped, Weights::Through1024] {
                        same(Way { weights, kv_type, batch, rows, workers, ..Way::PLAIN });
                    }
                }
            }
            for workers in [Workers::TwoThreads, Workers::TwoCores] {
                same(Way { kv_type, workers, ..Way::PLAIN });
            }
        }
    });
}

/// Whether threads of the pool give the bits of one, for a model wide enough to be worth their while.
#[test]
fn the_host_s_threads() {
    let spec = Spec { n_embd: 256, n_head: 4, n_ff: 1024, n_vocab: 997, ..Spec::SMALL };
    let tokens = full_window(&spec, 3);
    let blob = blob_writer::write_for(&spec.model(3), Storage::Q4, Activations::I16, &[]);
    let model = || Model::open(Mapped::new(&blob).unwrap()).unwrap();
    let config = *model().config();
    let bits = |most: usize| {
        let team = HostTeam::new(most);
        let divided = team.ranges(tokens.len() * 256 * 1024);
        assert_eq!(divided > 1, most > 1, "{divided} ranges by {most}");
        let mut memory = engine::Memory::new(&config, run(Order::LayerMajor, KvType::I8, tokens.len(), 64)).unwrap();
        let mut session = memory.session(model(), HostKernel::detect()).with_team(team);
        let (mut sinks, mut nlls) = (vec![CrossEntropy::new(0); 64], Vec::new());
        score_window(&mut session, &tokens, 0, &mut sinks, |nll| nlls.push(nll.to_bits())).unwrap();
        nlls
    };
    let expected = bits(1);
    assert!([2, 3, 16].iter().all(|&most| bits(most) == expected));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_shape_in_any_way(
        spec in Spec::any(),
        seed in any::<u64>(),
        storage in select(&Storage::ALL[..]),
        activations in select(&Activations::ALL[..]),
        n_inputs in 1..20_usize,
        weights in select(SOURCES.to_vec()),
        kv_type in select(KvType::ALL.to_vec()),
        memory in select(MEMORIES.to_vec()),
        tokens_a_call in 1..20_usize,
        batch in 1..18_usize,
        rows in prop_oneof![1..40_usize, Just(Batch::ROWS), Just(usize::MAX)],
        workers in prop_oneof![
            12 => Just(Workers::Solo),
            12 => (1..9_usize).prop_map(Workers::Backwards),
            1 => Just(Workers::TwoThreads),
            1 => Just(Workers::TwoCores),
        ],
        step in prop_oneof![Just(None), (1..100_usize).prop_map(Some)],
    ) {
        let tokens = spec.tokens(n_inputs.min(spec.n_ctx) + 1, seed);
        let blob = blob_writer::write_for(&spec.model(seed), storage, activations, &[]);
        let way = Way { weights, kv_type, memory, tokens_a_call, batch, rows, workers, step };
        let expected = bits(&blob, Portable, &tokens, Way { kv_type, ..TOKEN_BY_TOKEN });
        prop_assert!(same_bits(&blob, &tokens, way, &expected));
    }
}
