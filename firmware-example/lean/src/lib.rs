//! What the lean programs share: the shape of their model, known when they are built, and a console for integers.
#![no_std]

mod vectors;

use core::fmt::Write;
use emberlm_core::config::Config;
use emberlm_core::kv_cache::KvType;
use emberlm_request::report::SEPARATOR;
use emberlm_semihosted::Console;

/// `shakespeare-char`.
pub const MODEL: Config =
    Config { n_vocab: 65, n_ctx: 128, n_embd: 128, n_layer: 4, n_ff: 512, ..Config::GPT2 }.with_heads(4);

/// How keys and values are stored.
pub const KV: KvType = KvType::I8;

/// Prints a line: a key, and a number in 16 hexadecimal digits; `None` where the console fails.
#[inline(never)] // Once is enough.
pub fn print(console: &mut Console, key: &str, number: u64) -> Option<()> {
    console.write_str(key).ok()?;
    console.write_str(SEPARATOR).ok()?;
    for place in (0..16).rev() {
        let digit = (number >> (4 * place)) as usize & 15;
        console.write_str("0123456789abcdef".get(digit..=digit)?).ok()?;
    }
    console.write_str("\n").ok()
}
