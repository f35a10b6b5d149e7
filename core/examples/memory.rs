//! Says what a model takes of memory in each order of scoring and with each type of KV cache, from its blob alone.
//!
//! usage: `cargo run --example memory`

use core::fmt::Write;

use emberlm_core::{Error, KvType, Mapped, Model, Need, Order, Portable, Run, Session, include_blob};

static BLOB: &[u8] = include_blob!("letters.blob");

/// Positions that go through a layer together.
pub const TOGETHER: usize = 4;

/// Prints a line for each order and type: bytes of the KV cache, the scratch memory, the sinks and a window's tokens.
pub fn memory(console: &mut impl Write) -> Result<(), Error> {
    let model = Model::open(Mapped::new(BLOB)?)?;
    let config = model.config();
    for order in Order::ALL {
        for kv_type in KvType::ALL {
            let run = Run { batch: TOGETHER, ..Run::new(order, kv_type, config.n_ctx as usize) };
            let need = Need::new(config, run);
            writeln!(
                console,
                "{}, {} kv cache: {} + {} + {} + {} = {} bytes",
                order.name(),
                kv_type.name(),
                need.kv_bytes(),
                need.scratch.bytes(),
                need.sink_bytes(),
                need.token_bytes(),
                need.bytes(),
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
