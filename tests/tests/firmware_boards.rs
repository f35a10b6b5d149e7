//! The firmware on every board: the host's bits in every format and KV cache type, and on the bundled models.
//!
//! The emulated Cortex-M4F has tests of its own besides. `everything` is the full matrix, and takes long:
//! `scripts/test-boards` runs it.

mod common;
mod device;

use std::fs;
use std::path::Path;

use device::{PATIENT, blob, blob_for, check_kernel, check_on_board};
use emberlm::device::{BOARDS, Board, firmware};
use emberlm_core::config::{Activations, TokenId};
use emberlm_core::format::Format;
use emberlm_core::kv_cache::KvType;
use emberlm_tests::fixtures;

/// Two tests for each board that is named, and one that no board is left out.
macro_rules! boards {
    ($($(#[$attribute:meta])* $test:ident: $board:literal, $memory:ident;)*) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $test() {
                gives_the_hosts_bits(Board::named($board).unwrap(), Memory::$memory);
            }
        )*

        mod everything {
            use super::*;

            $(
                #[test]
                #[ignore = "takes long"]
                fn $test() {
                    gives_the_hosts_bits_in_everything(Board::named($board).unwrap(), Memory::$memory);
                }
            )*
        }

        #[test]
        fn no_board_is_left_out() {
            let untested = BOARDS.iter().find(|board| ![$($board),*].contains(&board.name));
            assert_eq!(untested, None);
        }
    };
}

boards! {
    cortex_m0_that_faults: "microbit", Tiny;
    cortex_m0: "mps2-an385-m0", Large;
    stm32f405: "netduinoplus2", Medium;
    cortex_m3: "mps2-an385", Large;
    #[ignore = "has tests of its own"]
    cortex_m4f: "mps2-an386", Large;
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
        check_kernel(board);
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
    for name in fixtures::BUNDLED {
        let (folder, window) = (tempfile::tempdir().unwrap(), window(name));
        for weights in weights {
            let blob = blob(&folder, &fixtures::bundled(name), weights);
            let report = check_on_board(board, &blob, std::slice::from_ref(&window), &["--kv", "i8"]);
            assert_eq!(report["tokens_scored"], window.len() - 1);
        }
    }
}

/// The first tokens of a text for a bundled model: 128 and the last one's target.
fn window(model: &str) -> Vec<TokenId> {
    let text: String = fixtures::as_you_like_it().chars().take(1000).collect();
    let tokenizer = fixtures::bundled(model);
    let all = common::run("tokenize", 0, &["tokenize", &text, "--tokenizer", tokenizer.to_str().unwrap()]);
    let all: Vec<TokenId> = serde_json::from_value(all["ids"].clone()).unwrap();
    all[..=128].to_vec()
}

/// All fixtures of every family and a window of the bundled models in every format, with every type of activations and KV
/// cache. What a
/// small board has no room for it refuses, with what that needs and what it has.
fn gives_the_hosts_bits_in_everything(board: &Board, memory: Memory) {
    let program = firmware::build(board, "score").unwrap();
    let [mut scored, mut refused] = [0; 2];
    let mut each = |checkpoint: &Path, rows: &[Vec<TokenId>], activations: &[Activations]| {
        let folder = tempfile::tempdir().unwrap();
        for format in Format::ALL {
            // Weights that are floats multiply floats.
            let activations = if format.packing().is_some() { activations } else { &[Activations::I16] };
            for activations in activations {
                let blob = blob_for(&folder, checkpoint, format.name(), activations.name());
                for kv_type in KvType::ALL {
                    match score(board, &program, &blob, rows, kv_type) {
                        Ok(()) => scored += 1,
                        Err(reason) if memory != Memory::Large && reason.contains("need ") => refused += 1,
                        Err(reason) => panic!("{checkpoint:?} {format:?} {activations:?} {kv_type:?}: {reason}"),
                    }
                }
            }
        }
    };
    for name in fixtures::NAMES {
        each(&fixtures::path(name), &fixtures::golden(name).tokens, &Activations::ALL);
    }
    for name in fixtures::BUNDLED {
        each(&fixtures::bundled(name), &[window(name)], &[Activations::I16]);
    }
    for name in fixtures::FAMILIES {
        each(&fixtures::path(name), &fixtures::golden(name).tokens, &[Activations::I16, Activations::I8]);
    }
    println!("{}: {scored} runs gave the host's bits, {refused} did not fit", board.name);
    assert!(scored > 0 && (refused > 0) == (memory != Memory::Large), "{scored} {refused}");
}

/// What is built for a processor, by what its linker says, is for it and for newer ones.
#[test]
fn a_program_for_a_newer_processor_is_refused() {
    let arm = ["mps2-an385-m0", "mps2-an385", "mps2-an386", "mps2-an505", "mps3-an547"];
    let riscv = ["virt-rv32imc", "virt-rv32imac", "virt-rv32imafc"];
    for family in [arm.as_slice(), &riscv] {
        let boards: Vec<_> = family.iter().map(|name| Board::named(name).unwrap()).collect();
        for (i, built_for) in boards.iter().enumerate() {
            let program = firmware::build(built_for, "score").unwrap();
            for (j, board) in boards.iter().enumerate() {
                let checked = firmware::check(&program, board);
                assert_eq!(checked.is_ok(), i <= j, "{} on {}: {checked:?}", built_for.name, board.name);
            }
        }
    }
    let [m3, m55] = ["mps2-an385", "mps3-an547"].map(|name| Board::named(name).unwrap());
    let refusal = firmware::check(&firmware::build(m55, "score").unwrap(), m3).unwrap_err().to_string();
    assert!(
        refusal.ends_with(
            "it is a program for Armv8.1-M Mainline (Cortex-M55), and mps2-an385 runs programs of Armv7-M (Cortex-M3): \
             name another, or leave --firmware out"
        ),
        "{refusal}"
    );
}

/// Scores with a program that is built, to the host's bits.
///
/// # Errors
/// What the command said.
fn score(board: &Board, program: &Path, blob: &Path, rows: &[Vec<TokenId>], kv_type: KvType) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens.json");
    fs::write(&tokens, serde_json::to_vec(rows).unwrap()).unwrap();
    let output = common::command()
        .args(["device", "score", "--check", "--board", board.name, "--kv", kv_type.name()])
        .args(["--timeout", &PATIENT.as_secs().to_string()])
        .args([blob, Path::new("--tokens"), &tokens, Path::new("--firmware"), program])
        .output()
        .unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}
