//! Programs that reach the same bits another way: in steps, and with weights that are not addressable.

use std::fs;
use std::path::Path;
use std::time::Duration;

use emberlm::device::{Board, emulator, firmware};

/// Runs a program with the example's model in its partition; its report's lines of that key.
fn run(program: &str, key: &str) -> Vec<String> {
    let board = Board::named("mps2-an386").unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/tiny.blob");
    let program = firmware::build(board, program).unwrap();
    let command = emulator::command(board, &program, &[(&model, board.model.address)]).unwrap();
    let run = emulator::run(command, Duration::from_secs(600), |_| {}).unwrap();
    assert!(run.status.success(), "{run:?}");
    assert_eq!(run.lines.last().map(String::as_str), Some("done: ok"), "{run:?}");
    run.lines.iter().filter_map(|line| Some(line.strip_prefix(key)?.strip_prefix(": ")?.to_owned())).collect()
}

#[test]
fn steps_leave_room_for_a_timers_task_and_give_the_same_bits() {
    let numbers = |key| run("steps", key).iter().map(|word| word.parse().unwrap()).collect::<Vec<u64>>();
    assert!(numbers("tasks_between").iter().all(|&n_tasks| n_tasks > 0));
    let (longest, n_steps) = (numbers("longest_step_instructions"), numbers("steps"));
    assert!(n_steps.is_sorted_by(|more, less| more > less), "{n_steps:?}");
    assert!(longest[0] < longest[3] / 4, "{longest:?}");
}

#[test]
fn weights_behind_spi_give_the_bits_of_those_in_place() {
    let bits = run("spi_nor", "nll_bits");
    assert_eq!((bits.len(), &bits[0]), (2, &bits[1]));
    let bytes: Vec<u64> = run("spi_nor", "spi_bytes").iter().map(|word| word.parse().unwrap()).collect();
    let blob = fs::metadata(Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/tiny.blob")).unwrap().len();
    assert!(bytes[0] > 4 * bytes[1] && bytes[1] > blob, "{bytes:?}");
    assert_eq!(run("steps", "nll_bits"), bits[..1], "layer by layer and token by token");
}
