//! The type of the KV cache, where a verb lets people choose it.

use clap::Args;
use emberlm_core::kv_cache::KvType;

use crate::ground::named;

/// The words that say how a blob's keys and values are stored while it is scored.
#[derive(Args, Clone, Copy, Debug)]
pub struct RawKv {
    /// How keys and values are stored: f32, f16 or i8 [default: f32]
    #[arg(long, value_name = "TYPE", value_parser = parse)]
    kv: Option<KvType>,
}

impl RawKv {
    /// What was asked for, if anything was.
    pub const fn named(self) -> Option<KvType> {
        self.kv
    }

    /// What was asked for, or the default.
    pub fn resolve(self) -> KvType {
        self.kv.unwrap_or(KvType::F32)
    }
}

/// The type of that name.
///
/// # Errors
/// There is none: a line that lists the names.
pub fn parse(name: &str) -> Result<KvType, String> {
    named::find(&KvType::ALL, KvType::name, name)
}
