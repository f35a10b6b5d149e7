//! The firmware's program on a board that is made up: what it needs, and what it says when it does not have it.

use std::fmt::{self, Write};

use emberlm_core::config::TokenId;
use emberlm_core::kernel::Portable;
use emberlm_core::kv_cache::{KvSize, KvType};
use emberlm_core::loss::CrossEntropy;
use emberlm_core::model::Model;
use emberlm_core::planner::{Need, Order, Run};
use emberlm_core::scratch::{Batch, ScratchSize};
use emberlm_core::source::{Aligned, Mapped, Nor};
use emberlm_core::window::Convention;
use emberlm_firmware::{
    BATCH, Board, Buffers, Partitions, SimulatedNor, StaticBuffers, TINY, score, self_test, self_test_copied,
    static_buffers, steps_copied,
};
use emberlm_request::{Header, encode, encoded_len};
use emberlm_tests::aligned::AlignedBytes;

/// A board whose console is a string.
#[derive(Default)]
struct Fake {
    console: String,
    /// The console takes no more lines than these.
    lines: Option<usize>,
    heap_free: usize,
}

impl Write for Fake {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.lines.is_some_and(|lines| self.console.lines().count() >= lines) {
            return Err(fmt::Error);
        }
        self.console.push_str(text);
        Ok(())
    }
}

impl Board for Fake {
    const NAME: &'static str = "fake";
    type Kernel = Portable;
    const TICKS_PER_1000_INSTRUCTIONS: u64 = 25;

    fn ticks(&self) -> u64 {
        self.console.len() as u64
    }

    fn static_bytes(&self) -> usize {
        1 << 30
    }

    fn stack_bytes(&self) -> usize {
        1234
    }

    fn heap_free(&self) -> usize {
        self.heap_free
    }
}

/// Lengths of buffers, in elements.
#[derive(Clone, Copy)]
struct Lengths {
    kv: usize,
    floats: usize,
    words: usize,
    tokens: usize,
    heap_bytes: usize,
}

const N_CTX: usize = 8;
const F32: KvType = KvType::F32;

fn model() -> AlignedBytes {
    AlignedBytes::new(include_bytes!("../../firmware-example/tiny.blob"))
}

/// The least that windows of `N_CTX` inputs take, and the heap that the second run takes.
fn enough(blob: &[u8], kv_type: KvType) -> Lengths {
    let model = Model::open(Mapped::new(blob).unwrap()).unwrap();
    let config = model.config();
    let kv_size = KvSize::new(kv_type, N_CTX, N_CTX.min(BATCH));
    let kv = kv_size.largest_layer_words(config);
    let fixed = ScratchSize::new(config, Batch { window: N_CTX, ..Batch::of(N_CTX.min(BATCH)) });
    let heap = ScratchSize::new(config, Batch::of(N_CTX.min(BATCH)));
    let sinks = size_of::<CrossEntropy>() * N_CTX.min(BATCH);
    let heap_bytes = 4 * kv_size.words(config) + heap.bytes() + 4 * (N_CTX + 1) + sinks;
    Lengths { kv, floats: fixed.floats, words: fixed.words, tokens: N_CTX + 1, heap_bytes }
}

fn request(n_ctx: usize, kv_type: KvType, rows: &[&[TokenId]]) -> Vec<u8> {
    let header = Header { n_ctx, convention: Convention::Disjoint, kv_type, n_bytes: Some(100) };
    let mut bytes = vec![0; encoded_len(rows).unwrap()];
    encode(&mut bytes, &header, rows).unwrap();
    bytes
}

/// Whether the program ended well, and what it printed.
fn run(blob: &[u8], request: &[u8], lengths: Lengths) -> (bool, String) {
    let mut board = Fake { heap_free: lengths.heap_bytes, ..Fake::default() };
    let ok = with_buffers(lengths, |buffers| score(&mut board, Partitions { model: blob, request }, buffers));
    (ok, board.console)
}

fn with_buffers<R>(lengths: Lengths, use_them: impl FnOnce(Buffers<'_>) -> R) -> R {
    let (mut kv, mut floats) = (vec![0; lengths.kv], vec![0.0; lengths.floats]);
    let (mut words, mut tokens) = (vec![0; lengths.words], vec![0; lengths.tokens]);
    let mut sinks = [CrossEntropy::new(0); BATCH];
    use_them(Buffers { kv: &mut kv, floats: &mut floats, words: &mut words, tokens: &mut tokens, sinks: &mut sinks })
}

/// The last two lines of a program that failed.
fn failure(console: &str) -> &str {
    let lines = console.strip_suffix("\ndone: failed\n").expect(console);
    lines.lines().last().unwrap()
}

#[test]
fn exactly_enough_memory_is_enough() {
    let blob = model();
    let rows: [&[TokenId]; 2] = [&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], &[4, 5]];
    for kv_type in KvType::ALL {
        let (ok, console) = run(&blob, &request(N_CTX, kv_type, &rows), enough(&blob, kv_type));
        assert!(ok, "{console}");
        assert!(console.ends_with("\ndone: ok\n"), "{console}");
        let kv = format!("kv: {}", kv_type.name());
        for line in ["tokens_scored: 11", "tokens_skipped: 2", "self_test: passed", "stack_bytes: 1234", &kv] {
            assert!(console.lines().any(|other| other == line), "{line} is not in {console}");
        }
        assert!(console.contains("progress: 22 of 22"), "{console}");
    }
}

#[test]
fn one_element_less_of_anything_is_an_error_that_says_need_and_have() {
    let blob = model();
    let enough = enough(&blob, F32);
    let less = [
        (Lengths { kv: enough.kv - 1, ..enough }, "kv cache", enough.kv),
        (Lengths { floats: enough.floats - 1, ..enough }, "scratch", enough.floats),
        (Lengths { words: enough.words - 1, ..enough }, "scratch", enough.words),
        (Lengths { tokens: enough.tokens - 1, ..enough }, "token buffer", enough.tokens),
        (Lengths { heap_bytes: enough.heap_bytes - 1, ..enough }, "heap", enough.heap_bytes),
    ];
    for (lengths, name, need) in less {
        let (ok, console) = run(&blob, &request(N_CTX, F32, &[&[1; N_CTX + 1]]), lengths);
        assert!(!ok);
        let (line, have) = (failure(&console), need - 1);
        assert!(line.starts_with(&format!("error: {name}")), "{line}");
        assert!(line.contains(&format!("need {need}")) && line.contains(&format!("have {have}")), "{line}");
    }
}

#[test]
fn nothing_to_score_is_no_error_and_no_number() {
    let blob = model();
    let (ok, console) = run(&blob, &request(N_CTX, F32, &[&[1], &[2]]), enough(&blob, F32));
    assert!(ok, "{console}");
    assert!(console.contains("tokens_scored: 0\n") && console.contains("\nloss: none\n"), "{console}");
}

#[test]
fn what_is_wrong_with_the_partitions_is_said() {
    let blob = model();
    let good = request(N_CTX, F32, &[&[1, 2]]);
    let mut corrupt = good.clone();
    corrupt[20] ^= 1;
    let beyond = request(N_CTX, F32, &[&[1, 2], &[1, 2, TokenId::MAX]]);
    let long = request(100_000, F32, &[&[1, 2]]);
    for (request, reason) in [
        (&[0xFF; 64][..], "no request in its memory"),
        (&corrupt, "request is corrupt: CRC-32"),
        (&beyond, "row 1, window at token 0"),
        (&long, "need 100000"),
    ] {
        let (ok, console) = run(&blob, request, enough(&blob, F32));
        assert!(!ok && failure(&console).contains(reason), "{console}");
    }
    let shifted = AlignedBytes::new(&[&[0; 4], &blob[..]].concat());
    let (ok, console) = run(&shifted[4..], &good, enough(&blob, F32));
    assert!(!ok && failure(&console).starts_with("error: model: "), "{console}");
}

#[test]
fn a_changed_self_test_fails_before_anything_is_scored() {
    let mut blob = model();
    let Some(at) = known_bits(&blob) else { panic!("the blob's known bits are not where they were") };
    blob[at] ^= 1;
    emberlm_tests::blob_writer::write_checksums(&mut blob);
    let (ok, console) = run(&blob, &request(N_CTX, F32, &[&[1, 2]]), enough(&blob, F32));
    assert!(!ok && failure(&console).contains("self-test failed: need nll bits"), "{console}");
    assert!(!console.contains("progress"), "{console}");
    let mut board = Fake::default();
    assert!(!with_buffers(enough(&blob, F32), |buffers| self_test(&mut board, &blob, buffers)));
}

#[test]
fn a_console_that_fails_fails_the_program() {
    let (blob, request) = (model(), request(N_CTX, F32, &[&[1, 2]]));
    let (_, whole) = run(&blob, &request, enough(&blob, F32));
    for lines in 0..whole.lines().count() {
        let mut board = Fake { lines: Some(lines), heap_free: usize::MAX, ..Fake::default() };
        let partitions = Partitions { model: &blob, request: &request };
        assert!(!with_buffers(enough(&blob, F32), |buffers| score(&mut board, partitions, buffers)), "{lines} lines");
    }
}

#[test]
fn the_self_test_alone_passes() {
    let blob = model();
    let mut board = Fake::default();
    assert!(with_buffers(enough(&blob, F32), |buffers| self_test(&mut board, &blob, buffers)), "{}", board.console);
    assert!(board.console.ends_with("done: ok\n"));
}

#[test]
fn a_model_behind_a_flash_passes_the_self_test_and_gives_the_same_bits_in_steps() {
    const N: usize = TINY.n_ctx as usize;
    const NEED: Need = Need::new(&TINY, Run { batch: 4, ..Run::new(Order::LayerMajor, F32, N) })
        .or(Need::new(&TINY, Run::new(Order::TokenMajor, KvType::I8, N)));
    static BUFFERS: static_buffers!(NEED) = StaticBuffers::new();
    let mut buffers = BUFFERS.take().unwrap();
    assert!(BUFFERS.take().is_none());
    assert_eq!(buffers.bytes(), NEED.bytes());

    let blob = model();
    assert_eq!(*Model::open(Mapped::new(&blob).unwrap()).unwrap().config(), TINY);
    let mut flash = SimulatedNor::new(&blob);
    let (mut board, mut block) = (Fake::default(), Aligned([0; 512]));
    let passed = self_test_copied(&mut board, Nor::new(&mut flash), &mut block.0, buffers.reborrow());
    assert!(passed && steps_copied(&mut board, Nor::new(&mut flash), &mut block.0, buffers, || 0), "{}", board.console);
    assert!(board.console.contains("self_test: passed\n") && board.console.contains("same_bits: yes\n"));
    assert!(flash.n_bytes > 0);
}

/// Where the low byte of the self-test's first known sum lies.
fn known_bits(blob: &[u8]) -> Option<usize> {
    let mut model = Model::open(Mapped::new(blob).ok()?).ok()?;
    let bits = model.self_test().ok()?.known.first()?.nll_bits.to_le_bytes();
    blob.windows(bits.len()).position(|window| window == bits)
}
