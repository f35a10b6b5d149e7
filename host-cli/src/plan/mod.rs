//! Whether a model fits a board: flash and RAM to the byte, before anything is built or converted.
//!
//! [`boards`] says what memory there is, [`firmware`] what the program itself takes, as measured; [`memory`] what a model
//! takes, by core's planner; `place` puts the pieces into memories that are not contiguous, and
//! [`fit`] looks for formats that do. [`program`] writes down what a program of one's own for a model needs, on one of the
//! [`cores`].

pub mod boards;
pub mod cores;
pub mod firmware;
pub mod fit;
pub mod memory;
mod place;
pub mod program;

use emberlm_core::config::Config;
use emberlm_core::planner::Run;
use serde::Serialize;

use boards::{Board, Region};
use firmware::Firmware;
use memory::Piece;
use place::place;

/// A kind of memory: what is needed, what is there, and what goes where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Bytes of all parts.
    pub need: u64,
    /// Bytes of all regions.
    pub have: u64,
    /// What is needed, one line for each region that it lies in.
    pub parts: Vec<Part>,
}

/// Bytes of one kind in one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What they are for.
    pub name: &'static str,
    /// How many.
    pub bytes: u64,
    /// The region; none where no region has room.
    pub region: Option<&'static str>,
}

impl Budget {
    fn new(pieces: &[Piece], regions: &[Region]) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        for (piece, place) in pieces.iter().zip(place(pieces, regions)) {
            let region = place.map(|index| regions[index].name);
            match parts.iter_mut().find(|part| part.name == piece.name && part.region == region) {
                Some(part) => part.bytes = part.bytes.saturating_add(piece.bytes),
                None => parts.push(Part { name: piece.name, bytes: piece.bytes, region }),
            }
        }
        let need = parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.bytes));
        Self { need, have: regions.iter().fold(0, |sum, region| sum.saturating_add(region.bytes)), parts }
    }

    /// Whether every part has found room.
    pub fn fits(&self) -> bool {
        self.parts.iter().all(|part| part.region.is_some())
    }
}

/// What a model and a way of running it take of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Model and code.
    pub flash: Budget,
    /// Everything that is written.
    pub ram: Budget,
    /// The longest context whose memory fits the RAM, all else equal; 0 where none does.
    pub max_n_ctx: usize,
}

impl Plan {
    /// The plan for a blob of `blob_bytes` with a model of shape `config`.
    pub fn new(board: &Board, firmware: &Firmware, config: &Config, blob_bytes: u64, run: &Run) -> Self {
        Self {
            flash: flash(board, firmware, blob_bytes),
            ram: ram(board, firmware, config, run),
            max_n_ctx: max_n_ctx(board, firmware, config, run),
        }
    }

    /// Whether flash and RAM suffice.
    pub fn fits(&self) -> bool {
        self.flash.fits() && self.ram.fits()
    }
}

/// Flash for the model, in the board's last region of flash, and for the code, in its first.
pub fn flash(board: &Board, firmware: &Firmware, blob_bytes: u64) -> Budget {
    let model = board.flash.len() - 1;
    Budget::new(&[Piece::at(model, "model", blob_bytes), Piece::at(0, "code", firmware.flash_bytes)], &board.flash)
}

/// RAM for all that is written.
pub fn ram(board: &Board, firmware: &Firmware, config: &Config, run: &Run) -> Budget {
    Budget::new(&memory::pieces(config, *run, firmware), &board.ram)
}

/// The longest context, up to the model's own, for which [`ram`] fits.
pub fn max_n_ctx(board: &Board, firmware: &Firmware, config: &Config, run: &Run) -> usize {
    let (mut fits, mut too_long) = (0, config.n_ctx as usize + 1);
    while too_long - fits > 1 {
        let n_ctx = fits + (too_long - fits) / 2;
        if ram(board, firmware, config, &Run { n_ctx, ..*run }).fits() { fits = n_ctx } else { too_long = n_ctx }
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use emberlm_core::kv_cache::KvType;
    use emberlm_core::planner::Order;

    const CONFIG: Config =
        Config { n_vocab: 65, n_ctx: 128, n_embd: 128, n_layer: 4, n_ff: 512, ..Config::GPT2 }.with_heads(4);
    const FIRMWARE: Firmware = Firmware {
        core: String::new(),
        board: String::new(),
        optimized: firmware::Optimized::Size,
        flash_bytes: 1000,
        static_bytes: 100,
        stack_bytes: 2000,
    };
    const RUN: Run = Run::new(Order::TokenMajor, KvType::I8, 128);

    fn board(ram: &[u64]) -> Board {
        Board::custom("any", 10_000, ram)
    }

    #[test]
    fn the_longest_context_fits_and_one_more_does_not() {
        for ram_bytes in [30_000, 80_000, 100_001] {
            let board = board(&[ram_bytes]);
            let longest = max_n_ctx(&board, &FIRMWARE, &CONFIG, &RUN);
            assert!(longest > 0 && longest < 128, "{ram_bytes}: {longest}");
            let fits = |n_ctx| ram(&board, &FIRMWARE, &CONFIG, &Run { n_ctx, ..RUN }).fits();
            assert!(fits(longest) && !fits(longest + 1), "{ram_bytes}: {longest}");
        }
        assert_eq!(max_n_ctx(&board(&[1000]), &FIRMWARE, &CONFIG, &RUN), 0);
        assert_eq!(max_n_ctx(&board(&[1 << 20]), &FIRMWARE, &CONFIG, &RUN), 128);
    }

    #[test]
    fn layers_of_the_cache_go_where_there_is_room() {
        let plan = Plan::new(&board(&[128 << 10, 64 << 10]), &FIRMWARE, &CONFIG, 9_001, &RUN);
        let cache: Vec<u64> = plan.ram.parts.iter().filter(|p| p.name == "kv cache").map(|p| p.bytes).collect();
        assert_eq!(cache, [3 * 34_816, 34_816]);
        assert!(plan.ram.fits() && !plan.flash.fits() && !plan.fits());
        assert_eq!((plan.flash.need, plan.flash.have), (10_001, 10_000));
        let whole = Plan::new(&board(&[192 << 10]), &FIRMWARE, &CONFIG, 9_000, &RUN);
        assert!(whole.fits());
        assert_eq!(plan.ram.need, whole.ram.need);
    }
}
