//! A TinyStories-1M's shape, its vocabulary cut to 4,096 tokens, on parts that the whole has no room on: the host's bits by
//! programs whose linker scripts have only such a part's memory.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use common::run;
use emberlm::device::{self, Board, Family, Medium, Region, emulator, firmware};
use emberlm::engine::Blob;
use emberlm::text::tokenizer::Tokenizer;
use emberlm_core::config::TokenId;
use emberlm_core::kv_cache::KvType;
use emberlm_core::window::Convention;
use emberlm_request::Header;
use emberlm_request::report::key;
use emberlm_tests::fixtures;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Far beyond what any run takes on a busy machine.
const PATIENT: Duration = Duration::from_secs(1500);

const SMALL: Family = Family { package: "small", emulator: "qemu-system-arm", options: &[] };

const KIB: u64 = 1 << 10;

/// On MPS2 boards, which have memory at the same addresses.
static RP2040: Board = Board {
    name: "rp2040",
    about: "",
    family: &SMALL,
    machine: "mps2-an385",
    target: "thumbv6m-none-eabi",
    rustflags: "",
    model: Region { address: 0x2_8000, bytes: 1879 * KIB },
    request: Region { address: 0x1F_DC00, bytes: 8 * KIB },
};

static NRF52840: Board = Board {
    name: "nrf52840",
    machine: "mps2-an386",
    target: "thumbv7em-none-eabihf",
    model: Region { address: 0x2_8000, bytes: 856 * KIB },
    request: Region { address: 0xF_E000, bytes: 8 * KIB },
    ..RP2040
};

const PROMPT: &str = "Good morrow, fool. What is the news?";

/// The checkpoint, a text, and the blob that was cut by it.
struct Stories {
    folder: TempDir,
    converted: Value,
}

static STORIES: LazyLock<Stories> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let [model, play, blob] =
        ["model", "play.txt", "blob"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    run("init", 0, &["init", "--config", "tinystories-1m", "-o", &model]);
    fs::write(&play, fixtures::as_you_like_it()).unwrap();
    let args = ["convert", &model, "-o", &blob, "--calibrate", "none", "--prune-vocab", &play];
    let converted = run("convert", 0, &[&args[..], &CUT].concat());
    Stories { folder, converted }
});

/// How it is converted, the text besides.
const CUT: [&str; 6] = ["--tokenizer", "gpt2", "--weights", "q4", "--keep", "4096"];

impl Stories {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn blob(&self) -> PathBuf {
        self.path("blob")
    }

    fn ids(&self, text: &str) -> Vec<TokenId> {
        let parts = Blob::open(&self.blob()).unwrap().section().unwrap().unwrap();
        Tokenizer::from_parts(parts, "a blob").unwrap().encode(text).unwrap()
    }

    /// A window of 256 inputs.
    fn window(&self) -> Vec<TokenId> {
        let text: String = fixtures::as_you_like_it().chars().take(3000).collect();
        self.ids(&text)[..=256].to_vec()
    }
}

fn plan(code: i32, model: &Path, board: &str, order: &str, n_ctx: &str, more: &[&str]) -> Value {
    let args = ["plan", model.to_str().unwrap(), "--board", board, "--kv", "i8", "--order", order, "--n-ctx", n_ctx];
    run("plan", code, &[&args[..], &["--batch", "1"], more].concat())
}

#[test]
fn a_plan_has_room_for_what_was_cut_and_none_for_the_whole() {
    let stories = &*STORIES;
    let pruned = &stories.converted["pruned"];
    println!("{pruned}: {} bytes, tokenizer {}", stories.converted["bytes"], stories.converted["tokenizer_bytes"]);
    assert_eq!((&pruned["from"], &pruned["to"]), (&json!(50_257), &json!(4096)));
    for board in ["rp2040", "nrf52840"] {
        for (order, n_ctx) in [("layer-major", "256"), ("token-major", "128")] {
            let cut = plan(0, &stories.blob(), board, order, n_ctx, &[]);
            assert_eq!((&cut["fits"], &cut["pruned"]), (&json!(true), &json!({"from": 50_257, "to": 4096})));
            let whole = plan(1, &stories.path("model"), board, order, n_ctx, &CUT[..4]);
            let [need, have] = ["need", "have"].map(|key| whole["flash"][key].as_u64().unwrap());
            let sums = |plan: &Value| ["flash", "ram"].map(|memory| plan[memory]["need"].clone());
            println!("{board}, {order}, {n_ctx}: {:?}; whole: {:?} of {have}", sums(&cut), sums(&whole));
            assert!(need > have, "{whole}");
        }
    }
    // What a checkpoint's blob would come to is known before it is written.
    let play = stories.path("play.txt");
    let more = [&CUT[..], &["--prune-vocab", play.to_str().unwrap()]].concat();
    let before = plan(0, &stories.path("model"), "nrf52840", "layer-major", "256", &more);
    let after = plan(0, &stories.blob(), "nrf52840", "layer-major", "256", &[]);
    assert_eq!((&before["flash"], &before["pruned"]), (&after["flash"], &after["pruned"]));
}

/// A part's own memory, within which flash lies before the model and the request.
fn check_memory(board: &Board, flash: u64, ram: u64) {
    let map = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/small/memory").join(board.name);
    let script = fs::read_to_string(map.with_extension("x")).unwrap();
    let regions =
        script.lines().filter_map(|line| line.split_once("LENGTH = ").map(|(name, length)| (name.trim(), length)));
    let kib = |length: &str| length.trim_end_matches('K').parse::<u64>().unwrap();
    let sum = |names: [&str; 3]| -> u64 {
        regions
            .clone()
            .filter(|(line, _)| names.iter().any(|name| line.starts_with(name)))
            .map(|(_, length)| kib(length))
            .sum()
    };
    assert!(sum(["FLASH ", "MODEL ", "REQUEST "]) <= flash && sum(["STACK ", "RAM ", "-"]) == ram, "{script}");
    assert_eq!(board.request.address + board.request.bytes, 1024 * sum(["FLASH ", "MODEL ", "REQUEST "]));
}

/// Scores a window of 256 layer by layer, and writes up to 128 token by token, with the host's bits and tokens.
fn scores_and_writes(board: &'static Board) {
    let (stories, folder) = (&*STORIES, tempfile::tempdir().unwrap());
    let (blob, window) = (stories.blob(), stories.window());
    let header = Header { n_ctx: 256, convention: Convention::Disjoint, kv_type: KvType::I8, n_bytes: None };
    let rows = [window.as_slice()];
    let emulated = device::Emulated { board, blob: &blob, medium: Medium::Memory, firmware: None };
    let job = device::Job { link: device::Link::Emulator(emulated), header, rows: &rows, timeout: PATIENT };
    let report = device::score(&job, |_| ()).unwrap();
    let tokens = folder.path().join("tokens.json");
    fs::write(&tokens, json!([window]).to_string()).unwrap();
    let scored = ["--tokens", tokens.to_str().unwrap(), "--kv", "i8", "--n-ctx", "256"];
    let host = run("eval", 0, &[&["eval", blob.to_str().unwrap()], &scored[..]].concat());
    assert_eq!(host["nll_bits"], report.nll_bits, "{report:?}");
    assert_eq!((&host["tokens_scored"], &host["pruned"]), (&json!(256), &json!({"from": 50_257, "to": 4096})));
    println!("{}: {} bytes of RAM, {} of stack", board.name, report.ram_bytes, report.stack_bytes);

    let lines = generated(board, &stories.ids(PROMPT));
    let has = |key: &str, value: &str| lines.contains(&format!("{key}: {value}"));
    assert!(has(key::VOCABULARY, "pruned from 50,257 to 4,096 tokens") && has(key::DONE, "ok"), "{lines:?}");
    println!("{:?}", lines.iter().filter(|line| line.contains("_bytes")).collect::<Vec<_>>());
    let more = ["--temperature", "8", "--seed", "1", "--max-tokens", "117", "--kv", "i8"];
    let made = run("generate", 0, &[&["generate", blob.to_str().unwrap(), "--prompt", PROMPT], &more[..]].concat());
    let host: Vec<String> =
        made["tokens"].as_array().unwrap().iter().map(|id| format!("{}: {id}", key::TOKEN)).collect();
    let board: Vec<&String> = lines.iter().filter(|line| line.starts_with(key::TOKEN)).collect();
    // A window of 128 inputs, the last of which has a token behind it.
    assert_eq!(board.len(), 128 + 1 - stories.ids(PROMPT).len(), "{board:?}");
    assert!(host.len() > 100 && board.iter().zip(&host).all(|(board, host)| *board == host), "{board:?} {host:?}");
    assert!(host.iter().collect::<BTreeSet<_>>().len() > 50, "{host:?}");
}

/// What the program that writes prints.
fn generated(board: &Board, prompt: &[TokenId]) -> Vec<String> {
    let (blob, folder) = (STORIES.blob(), tempfile::tempdir().unwrap());
    let header = Header { n_ctx: 128, convention: Convention::Disjoint, kv_type: KvType::I8, n_bytes: None };
    let mut bytes = vec![0; emberlm_request::encoded_len(&[prompt]).unwrap()];
    let n = emberlm_request::encode(&mut bytes, &header, &[prompt]).unwrap();
    let request = folder.path().join("request");
    fs::write(&request, &bytes[..n]).unwrap();
    board.check_blob(&blob).unwrap();
    let program = firmware::build(board, "generate").unwrap();
    let loads = [(&*blob, board.model.address), (&*request, board.request.address)];
    let run = emulator::run(emulator::command(board, &program, &loads).unwrap(), PATIENT, |_| {}).unwrap();
    assert!(run.status.success(), "{run:?}");
    run.lines
}

#[test]
fn an_rp2040_scores_and_writes_with_what_was_cut() {
    check_memory(&RP2040, 2048, 264);
    scores_and_writes(&RP2040);
}

#[test]
fn an_nrf52840_scores_and_writes_with_what_was_cut() {
    check_memory(&NRF52840, 1024, 256);
    scores_and_writes(&NRF52840);
}
