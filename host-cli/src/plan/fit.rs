//! Looking for a way to run a model on a board.

use emberlm_core::config::Config;
use emberlm_core::format::Format;
use emberlm_core::kv_cache::KvType;
use emberlm_core::planner::{Order, Run};

use super::boards::Board;
use super::firmware::{Firmware, Optimized};
use super::{flash, max_n_ctx, ram};
use crate::convert::formats::Choice;

/// Batches that are tried.
const BATCHES: [usize; 4] = [8, 4, 2, 1];

/// Formats of weights that are tried, the most exact first. Floats cost two to four times the flash and more time than
/// integers of 8 bits, which lose next to nothing.
const FORMATS: [Format; 5] = [Format::Q8, Format::Q6, Format::Q5, Format::Q4, Format::Q3];

/// What a user leaves open: `None` is looked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Positions of a window.
    pub n_ctx: Option<usize>,
    /// How keys and values are stored.
    pub kv_type: Option<KvType>,
    /// Positions that go through a layer together.
    pub batch: Option<usize>,
    /// The order of a window's way.
    pub order: Option<Order>,
    /// The build.
    pub optimized: Option<Optimized>,
}

impl Wish {
    /// What is asked for, and for the rest what the scoring program does.
    pub fn run(&self, config: &Config) -> Run {
        let (order, kv_type) = (self.order.unwrap_or(Order::LayerMajor), self.kv_type.unwrap_or(KvType::F32));
        let n_ctx = self.n_ctx.unwrap_or(config.n_ctx as usize);
        Run { batch: self.batch.unwrap_or(BATCHES[0]), ..Run::new(order, kv_type, n_ctx) }
    }

    /// The builds that may be taken, the fastest first.
    fn builds(&self, board: &Board) -> Vec<Firmware> {
        let mut builds = Firmware::of(board);
        builds.retain(|build| self.optimized.is_none_or(|optimized| optimized == build.optimized));
        builds
    }

    /// Ways to run a model, those with the most exact cache first, then those that read weights the least often.
    fn runs(&self, config: &Config) -> Vec<Run> {
        let kv_types = KvType::ALL.into_iter().filter(|&kv_type| self.kv_type.is_none_or(|it| it == kv_type));
        let batches = self.batch.map_or(BATCHES.to_vec(), |batch| vec![batch]);
        let orders = || Order::ALL.into_iter().filter(|&order| self.order.is_none_or(|it| it == order));
        let start = self.run(config);
        kv_types
            .flat_map(|kv_type| batches.iter().map(move |&batch| Run { kv_type, batch, ..start }))
            .flat_map(|run| orders().map(move |order| Run { order, ..run }))
            .collect()
    }
}

/// Formats to try: `chosen`, or each in turn.
pub fn choices(chosen: Option<Choice>) -> Vec<Choice> {
    chosen.map_or_else(|| FORMATS.map(Choice::uniform).to_vec(), |choice| vec![choice])
}

/// The first of `blobs` (a format and the length of its blob) and of the builds that fit the flash; the smallest of all
/// where none does.
pub fn fit_flash<T: Copy>(board: &Board, wish: &Wish, blobs: &[(T, u64)]) -> Option<(T, Firmware)> {
    let builds = wish.builds(board);
    let pairs = || blobs.iter().flat_map(|&(blob, bytes)| builds.iter().map(move |build| (blob, bytes, build)));
    let fits = pairs().find(|&(_, bytes, build)| flash(board, build, bytes).fits());
    let found = fits.or_else(|| pairs().min_by_key(|&(_, bytes, build)| flash(board, build, bytes).need))?;
    Some((found.0, found.2.clone()))
}

/// The first way to run a model that fits the RAM. Where none does, the one with the longest context, at that context
/// unless the wish names another.
pub fn fit_ram(board: &Board, firmware: &Firmware, config: &Config, wish: &Wish) -> Run {
    let runs = wish.runs(config);
    if let Some(&run) = runs.iter().find(|run| ram(board, firmware, config, run).fits()) {
        return run;
    }
    let longest = |run: &Run| max_n_ctx(board, firmware, config, run);
    // Of equals the last is taken otherwise: the first is the most exact.
    let best = runs.iter().rev().max_by_key(|&run| longest(run));
    match best {
        Some(&run) => Run { n_ctx: wish.n_ctx.unwrap_or_else(|| longest(&run).max(1)), ..run },
        None => wish.run(config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: Config =
        Config { n_vocab: 65, n_ctx: 128, n_embd: 128, n_layer: 4, n_ff: 512, ..Config::GPT2 }.with_heads(4);

    #[test]
    fn the_most_exact_that_fits_is_taken() {
        let blobs = [("q8", 3 << 20), ("q4", 2 << 20), ("q3", 1 << 20)];
        let board = Board::custom("cortex-m4f", 5 << 19, &[192 << 10]);
        let (name, firmware) = fit_flash(&board, &Wish::default(), &blobs).unwrap();
        assert_eq!((name, firmware.optimized), ("q4", Optimized::Speed));
        let run = fit_ram(&board, &firmware, &CONFIG, &Wish::default());
        assert!(ram(&board, &firmware, &CONFIG, &run).fits());
        assert_eq!(run.n_ctx, 128);
        let fixed =
            Wish { kv_type: Some(KvType::F32), n_ctx: Some(128), order: Some(Order::TokenMajor), ..Wish::default() };
        let run = fit_ram(&board, &firmware, &CONFIG, &fixed);
        assert_eq!((run.kv_type, run.n_ctx, run.order), (KvType::F32, 128, Order::TokenMajor));
        assert!(!ram(&board, &firmware, &CONFIG, &run).fits(), "four layers of 128 KiB do not fit");
    }

    #[test]
    fn a_shorter_context_is_proposed_where_none_is_asked_for() {
        let board = Board::custom("cortex-m4f", 1 << 20, &[56 << 10]);
        let firmware = Firmware::of(&board).swap_remove(0);
        let run = fit_ram(&board, &firmware, &CONFIG, &Wish::default());
        assert!((1..128).contains(&run.n_ctx) && ram(&board, &firmware, &CONFIG, &run).fits(), "{run:?}");
    }
}
