//! What a run takes, piece by piece, by core's planner.

use emberlm_core::config::Config;
use emberlm_core::planner::{Need, Order, Run};

use super::firmware::Firmware;

/// Bytes that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What they are for.
    pub name: &'static str,
    /// How many.
    pub bytes: u64,
    /// The region, by its index, where it is not free.
    pub region: Option<usize>,
}

impl Piece {
    /// A piece that can lie in any region.
    const fn free(name: &'static str, bytes: u64) -> Self {
        Self { name, bytes, region: None }
    }

    /// A piece of the region of that index.
    pub const fn at(region: usize, name: &'static str, bytes: u64) -> Self {
        Self { name, bytes, region: Some(region) }
    }
}

/// All that a run writes. A core's own variables and its stack lie in the first region.
///
/// The KV cache comes in one piece a layer.
pub fn pieces(config: &Config, run: Run, firmware: &Firmware) -> Vec<Piece> {
    let need = Need::new(config, run);
    let words = |n: usize| (n as u64).saturating_mul(size_of::<u32>() as u64);
    let mut pieces = vec![
        Piece::at(0, "statics", firmware.static_bytes),
        Piece::at(0, "stack", firmware.stack_bytes),
        Piece::free("scratch", words(need.scratch.floats)),
        Piece::free("scratch", words(need.scratch.words)),
        Piece::free("tokens", need.token_bytes() as u64),
        Piece::free("sinks", need.sink_bytes() as u64),
    ];
    let size = run.kv_size();
    match run.order {
        Order::LayerMajor => pieces.push(Piece::free("kv cache", words(need.kv_words))),
        Order::TokenMajor => {
            let layers = (0..config.n_layer).map(|layer| words(size.layer_words(config, layer)));
            pieces.extend(layers.map(|bytes| Piece::free("kv cache", bytes)));
        }
    }
    pieces
}
