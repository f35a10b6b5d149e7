//! The board's name, where a verb takes any board that a model may be planned for.

use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::plan::boards::BOARDS;

/// Every board's name, what else people call it, and further words.
pub fn board_names(more: &[&'static str]) -> PossibleValuesParser {
    let boards = BOARDS.iter().map(|board| PossibleValue::new(board.name).aliases(board.aliases).help(help(board)));
    PossibleValuesParser::new(boards.chain(more.iter().map(|&word| PossibleValue::new(word))))
}

/// What a board is, and what else it is called.
fn help(board: &crate::plan::boards::Board) -> String {
    match board.aliases {
        [] => board.about.to_owned(),
        aliases => format!("{}: also {}", board.about, aliases.join(", ")),
    }
}
