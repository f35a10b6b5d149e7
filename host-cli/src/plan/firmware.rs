//! What the scoring program itself takes of a board, whatever the model: measured, for each core, and for the small boards
//! on themselves.
//!
//! `scripts/measure-firmware` writes the table. It builds `score` for an emulated board with the core, reads its ELF file
//! for flash, and has it score a fixture in every weight format, activation and KV cache type for variables and stack.
//! Rows of small boards, whose programs have no heap and are optimised for size, come last.

use serde::Deserialize;

use super::boards::Board;

/// What the compiler was told to care for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimized {
    /// `opt-level = 3`, as the packages have it.
    Speed,
    /// `opt-level = "s"`.
    Size,
}

impl Optimized {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Speed, Self::Size];

    /// The name on the command line and in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::Size => "size",
        }
    }
}

/// What a build of the scoring program takes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Firmware {
    /// The core that it is for.
    pub core: String,
    /// The board that it was measured on.
    pub board: String,
    /// What it is optimised for.
    pub optimized: Optimized,
    /// Bytes of code, constants and the variables' first values.
    pub flash_bytes: u64,
    /// Bytes of variables that are no buffer of a run's.
    pub static_bytes: u64,
    /// The most bytes that the stack held.
    pub stack_bytes: u64,
}

const TABLE: &str = include_str!("measured.csv");

impl Firmware {
    /// All that were measured.
    ///
    /// # Panics
    /// The table in the source is damaged.
    pub fn all() -> Vec<Self> {
        let rows = csv::Reader::from_reader(TABLE.as_bytes()).into_deserialize();
        rows.collect::<Result<_, _>>().expect("scripts/measure-firmware wrote the table")
    }

    /// The builds for a board, the fastest first: as measured on the board itself, else on the first with its core.
    pub fn of(board: &Board) -> Vec<Self> {
        let mut all = Self::all();
        let itself = all.iter().find(|firmware| firmware.board == board.name);
        let measured = itself.or_else(|| all.iter().find(|firmware| firmware.core == board.core));
        let name = measured.map(|firmware| firmware.board.clone());
        all.retain(|firmware| name.as_ref() == Some(&firmware.board));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::boards::{BOARDS, USUAL_CORE};
    use crate::plan::cores::Core;

    #[test]
    fn the_table_is_read_and_boards_have_known_cores() {
        let usual = Firmware::of(&Board::custom(USUAL_CORE, 0, &[0]));
        assert_eq!(usual.iter().map(|firmware| firmware.optimized).collect::<Vec<_>>(), Optimized::ALL);
        assert!(Firmware::all().iter().all(|firmware| Core::named(&firmware.core).is_some()));
        assert!(BOARDS.iter().all(|board| Core::named(board.core).is_some() && !Firmware::of(board).is_empty()));
    }

    #[test]
    fn a_board_that_was_measured_itself_has_its_own_firmware() {
        for board in ["microbit", "netduinoplus2", "mps2-an385"].map(|name| Board::named(name).unwrap()) {
            let builds = Firmware::of(board);
            assert!(builds.iter().all(|firmware| firmware.board == board.name && firmware.core == board.core));
            assert!(builds.iter().any(|firmware| firmware.flash_bytes <= board.flash[0].bytes), "{}", board.name);
        }
    }
}
