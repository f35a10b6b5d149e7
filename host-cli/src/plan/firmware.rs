//! What the scoring program itself takes of a board, whatever the model: measured, for each core.
//!
//! `scripts/measure-firmware` writes the table. It builds `score` for an emulated board with the core, reads its ELF file
//! for flash, and has it score a fixture in every weight format, activation and KV cache type for variables and stack.

use serde::Deserialize;

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

    /// The build for a core, where it was measured.
    pub fn find(core: &str, optimized: Optimized) -> Option<Self> {
        Self::all().into_iter().find(|firmware| firmware.core == core && firmware.optimized == optimized)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::boards::{BOARDS, CORES, USUAL_CORE};

    #[test]
    fn the_table_is_read_and_boards_have_known_cores() {
        assert!(Firmware::find(USUAL_CORE, Optimized::Speed).is_some());
        assert!(Firmware::all().iter().all(|firmware| CORES.contains(&firmware.core.as_str())));
        assert!(BOARDS.iter().all(|board| CORES.contains(&board.core)));
    }
}
