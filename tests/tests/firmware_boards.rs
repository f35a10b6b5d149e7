//! The firmware on every board: the host's bits in every format and KV cache type, and on the bundled models.
//!
//! The emulated Cortex-M4F has tests of its own besides. All formats, caches and activations of all fixtures on all boards
//! with memory for them take long: `cargo test --release -p emberlm-tests --test firmware_boards -- --ignored`.

mod common;
mod device;

use device::{blob, blob_for, check_on_board, run_program};
use emberlm::device::{BOARDS, Board};
use emberlm_core::config::TokenId;
use emberlm_core::format::Format;
use emberlm_core::kv_cache::KvType;
use emberlm_tests::fixtures;

/// A test for each board that is named, and one that no board is left out.
macro_rules! boards {
    ($($test:ident: $board:literal, $memory:ident;)*) => {
        $(
            #[test]
            fn $test() {
                gives_the_hosts_bits(Board::named($board).unwrap(), Memory::$memory);
            }
        )*

        #[test]
        fn no_board_is_left_out() {
            let tested = [$($board),*, "mps2-an386"];
            let untested = BOARDS.iter().find(|board| !tested.contains(&board.name));
            assert_eq!(untested, None);
        }
    };
}

boards! {
    cortex_m0_that_faults: "microbit", Tiny;
    cortex_m0: "mps2-an385-m0", Large;
    stm32f405: "netduinoplus2", Medium;
    cortex_m3: "mps2-an385", Large;
    cortex_m7: "mps2-an500", Large;
    cortex_m33: "mps2-an505", Large;
    cortex_m55: "mps3-an547", Large;
    riscv_imc: "virt-rv32imc", Large;
    riscv_imac: "virt-rv32imac", Large;
    riscv_imafc: "virt-rv32imafc", Large;
}

/// What a board has room for.
#[derive(Clone, Copy, PartialEq)]
enum Memory {
    /// The smallest fixtures, and no heap.
    Tiny,
    /// The bundled models, with an 8-bit KV cache and 4-bit weights.
    Medium,
    /// Whatever is tested, and a heap.
    Large,
}

fn gives_the_hosts_bits(board: &Board, memory: Memory) {
    let (fixture, weights) = match memory {
        Memory::Tiny => ("hf-gelu-erf", [].as_slice()),
        Memory::Medium => ("hf-untied-ragged", ["q4"].as_slice()),
        Memory::Large => ("hf-untied-ragged", ["q8", "q4"].as_slice()),
    };
    every_format_and_kv_cache(board, fixture);
    a_window_of_each_bundled_model(board, weights);
    if memory == Memory::Large {
        let lines = run_program(board, "kernels");
        assert!(lines.iter().any(|line| line.starts_with("products_with_the_portable_bits: ")), "{lines:?}");
    }
}

fn every_format_and_kv_cache(board: &Board, fixture: &str) {
    let (folder, rows) = (tempfile::tempdir().unwrap(), fixtures::golden(fixture).tokens);
    for format in Format::ALL {
        let blob = blob(&folder, &fixtures::path(fixture), format.name());
        for kv_type in KvType::ALL {
            let report = check_on_board(board, &blob, &rows, &["--kv", kv_type.name()]);
            assert_eq!(report["kv"], kv_type.name());
        }
    }
}

/// With an 8-bit KV cache.
fn a_window_of_each_bundled_model(board: &Board, weights: &[&str]) {
    const N_CTX: usize = 128;
    let text: String = fixtures::as_you_like_it().chars().take(1000).collect();
    for name in ["shakespeare-char", "shakespeare-bpe512"] {
        let (folder, model) = (tempfile::tempdir().unwrap(), fixtures::bundled(name));
        let tokenizer = model.to_str().unwrap();
        let all = common::run("tokenize", 0, &["tokenize", &text, "--tokenizer", tokenizer]);
        let all: Vec<TokenId> = serde_json::from_value(all["ids"].clone()).unwrap();
        for weights in weights {
            let blob = blob(&folder, &model, weights);
            let report = check_on_board(board, &blob, &[all[..=N_CTX].to_vec()], &["--kv", "i8"]);
            assert_eq!(report["tokens_scored"], N_CTX);
        }
    }
}

#[test]
#[ignore = "takes long"]
fn every_board_fixture_format_kv_cache_and_activation() {
    for board in BOARDS.iter().filter(|board| !["microbit", "netduinoplus2"].contains(&board.name)) {
        for fixture in fixtures::NAMES {
            let (folder, rows) = (tempfile::tempdir().unwrap(), fixtures::golden(fixture).tokens);
            for format in Format::ALL {
                for activations in ["i16", "i8", "f32"] {
                    let blob = blob_for(&folder, &fixtures::path(fixture), format.name(), activations);
                    for kv_type in KvType::ALL {
                        check_on_board(board, &blob, &rows, &["--kv", kv_type.name()]);
                    }
                }
            }
        }
    }
}
