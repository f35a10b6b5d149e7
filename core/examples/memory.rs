//! Says what a model takes of memory in each order of scoring and with each type of KV cache, from its blob alone.
//!
//! usage: `cargo run --example memory`

use core::fmt::Write;

use emberlm_core::{
    Batch, CrossEntropy, Error, KvType, Mapped, Model, Portable, ScratchSize, Session, TokenId, include_blob,
};

static BLOB: &[u8] = include_blob!("letters.blob");

/// Positions that go through a layer together.
pub const TOGETHER: usize = 4;

/// Prints a line for each order and type: bytes of the KV cache, the scratch memory, the sinks and a window's tokens.
pub fn memory(console: &mut impl Write) -> Result<(), Error> {
    let model = Model::open(Mapped::new(BLOB)?)?;
    let config = model.config();
    let (n_ctx, n_layer) = (config.n_ctx as usize, config.n_layer as usize);
    let orders = [("layer by layer", n_ctx, 1), ("batch by batch", TOGETHER, n_layer)];
    for (order, window, layers) in orders {
        let scratch = ScratchSize::new(config, Batch { window, batch: TOGETHER }).bytes();
        let sinks = TOGETHER * size_of::<CrossEntropy>();
        let tokens = (n_ctx + 1) * size_of::<TokenId>();
        for kv_type in KvType::ALL {
            let kv = size_of::<u32>() * layers * kv_type.layer_words(config, n_ctx);
            writeln!(
                console,
                "{order}, {} kv cache: {kv} + {scratch} + {sinks} + {tokens} = {} bytes",
                kv_type.name(),
                kv + scratch + sinks + tokens,
            )?;
        }
    }
    writeln!(console, "a session: {} bytes", size_of::<Session<'_, Mapped<'_>, Portable>>())?;
    writeln!(console, "the blob: {} bytes", model.blob_bytes())?;
    Ok(())
}

fn main() -> Result<(), Error> {
    let mut console = String::new();
    memory(&mut console)?;
    print!("{console}");
    Ok(())
}
