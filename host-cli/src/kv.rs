//! The type of the KV cache, where a verb lets people choose it.

use clap::Args;
use emberlm_core::kv_cache::KvType;

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

fn parse(name: &str) -> Result<KvType, String> {
    let names = || KvType::ALL.map(KvType::name).join(", ");
    KvType::ALL.into_iter().find(|kv_type| kv_type.name() == name).ok_or_else(|| format!("types are {}", names()))
}
