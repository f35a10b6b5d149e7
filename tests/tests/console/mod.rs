//! A board's console: what is typed, and what it shows.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use emberlm::device::{Board, emulator, firmware};

/// Far beyond what any run takes on a busy machine.
const PATIENT: Duration = Duration::from_secs(1500);

/// What a console shows.
pub struct Shown {
    #[allow(dead_code, reason = "not every test reads it")]
    pub head: String,
    /// What follows each prompt sign.
    pub answers: Vec<String>,
}

/// What the board's console shows of a blob after `typed`.
pub fn type_to(board: &str, blob: &Path, typed: &[u8]) -> Shown {
    let board = Board::named(board).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("typed");
    fs::write(&keys, typed).unwrap();
    let program = firmware::build(board, firmware::CONSOLE).unwrap();
    let command = emulator::command(board, &program, &[(blob, board.model.address)]).unwrap();
    let run = emulator::run_typed(command, File::open(&keys).unwrap().into(), PATIENT, |_| {}).unwrap();
    assert!(run.status.success(), "{run:?}");
    assert_eq!(run.lines.last().map(String::as_str), Some("done: ok"));
    let all = run.lines.join("\n");
    let (head, answers) = all.split_once("\n> ").unwrap();
    let mut answers: Vec<String> = answers.split("> ").map(str::to_owned).collect();
    // What follows the prompt that nobody answers.
    answers.pop();
    Shown { head: head.to_owned(), answers }
}
