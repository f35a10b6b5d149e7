//! The report: what a program on a device prints, in lines `key: value`.
//!
//! [`key`] spells the keys, for the device that writes them ([`Report`]) and the host that reads them ([`parse`]).

use core::fmt;

/// Between a key and its value.
pub const SEPARATOR: &str = ": ";

/// The value of [`key::DONE`] of a program that ended well.
pub const OK: &str = "ok";

/// And of one that did not.
pub const FAILED: &str = "failed";

/// A console that takes reports.
pub trait Report: fmt::Write {
    /// Prints a line.
    ///
    /// # Errors
    /// The console's.
    fn line(&mut self, key: impl fmt::Display, value: impl fmt::Display) -> fmt::Result {
        writeln!(self, "{key}{SEPARATOR}{value}")
    }

    /// Prints the last line.
    ///
    /// # Errors
    /// The console's.
    fn end(&mut self, is_well: bool) -> fmt::Result {
        self.line(key::DONE, if is_well { OK } else { FAILED })
    }
}

impl<W: fmt::Write + ?Sized> Report for W {}

/// A line's key and value; `None` for a line that is none of a report's.
pub fn parse(line: &str) -> Option<(&str, &str)> {
    line.split_once(SEPARATOR)
}

/// The value of [`key::PROGRESS`].
pub fn progress(done: u64, all: u64) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "{done}{OF}{all}"))
}

/// What a line says of progress; `None` for any other.
pub fn parse_progress(line: &str) -> Option<(u64, u64)> {
    let (done, all) = parse(line).filter(|&(key, _)| key == key::PROGRESS)?.1.split_once(OF)?;
    Some((done.parse().ok()?, all.parse().ok()?))
}

const OF: &str = " of ";

/// The key of a part of a forward pass with that KV cache and so many positions together: `i8_t1_products`.
pub fn of_part(kv: &str, batch: usize, part: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "{kv}_t{batch}_{part}"))
}

/// The key of the instructions of a square product of `n` rows and columns with so many positions, `kind` being the weights'
/// format and what the activations are rounded to: `instructions_q8_i16_256x256_t1`.
pub fn of_product(kind: impl fmt::Display, n: usize, positions: usize) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "instructions_{kind}_{n}x{n}_t{positions}"))
}

/// The keys.
pub mod key {
    // Every program.
    /// The board's name. Every report begins with it.
    pub const BOARD: &str = "board";
    /// Why the program did not come to its end.
    pub const ERROR: &str = "error";
    /// A panic's message, and where it was.
    pub const PANIC: &str = "panic";
    /// What the processor faulted on.
    pub const FAULT: &str = "fault";
    /// How the program ended: [`OK`](super::OK), or another word. It is the last line.
    pub const DONE: &str = "done";

    // What was scored, and how.
    /// The model's CRC-32, 8 hexadecimal digits.
    pub const MODEL_CRC32: &str = "model_crc32";
    /// `passed`: what else becomes of it is an error.
    pub const SELF_TEST: &str = "self_test";
    /// The arithmetic's version.
    pub const ARITHMETIC: &str = "arithmetic";
    /// What products round their inputs to.
    pub const ACTIVATIONS: &str = "activations";
    /// How keys and values are stored.
    pub const KV: &str = "kv";
    /// What the vocabulary was cut from; not there where it is whole.
    pub const VOCABULARY: &str = "vocabulary";
    /// How the text is cut.
    pub const CONVENTION: &str = "convention";
    /// Positions of a window, at most.
    pub const N_CTX: &str = "n_ctx";
    /// Tokens from one window's start to the next's.
    pub const STRIDE: &str = "stride";
    /// Tokens scored so far, of all; the only key that a report has more than once.
    pub const PROGRESS: &str = "progress";

    // What came out.
    /// Tokens whose loss counts.
    pub const TOKENS_SCORED: &str = "tokens_scored";
    /// Tokens that were context alone.
    pub const TOKENS_SKIPPED: &str = "tokens_skipped";
    /// Mean nll in nats, or `none`, as all figures up to the next.
    pub const LOSS: &str = "loss";
    /// Its exponential.
    pub const PERPLEXITY: &str = "perplexity";
    /// The loss in bits.
    pub const BITS_PER_TOKEN: &str = "bits_per_token";
    /// Bits by the text's bytes.
    pub const BITS_PER_BYTE: &str = "bits_per_byte";
    /// The loss's standard error.
    pub const LOSS_STDERR: &str = "loss_stderr";
    /// The bits of the summed nll, 16 hexadecimal digits.
    pub const NLL_BITS: &str = "nll_bits";

    // What it took.
    /// Bytes of the KV cache.
    pub const KV_BYTES: &str = "kv_bytes";
    /// Bytes of the scratch memory.
    pub const SCRATCH_BYTES: &str = "scratch_bytes";
    /// Bytes of all variables and buffers in use, the stack excluded.
    pub const RAM_BYTES: &str = "ram_bytes";
    /// Bytes of the buffers from the heap.
    pub const HEAP_BYTES: &str = "heap_bytes";
    /// The most bytes that the stack held.
    pub const STACK_BYTES: &str = "stack_bytes";
    /// Bytes read from the model's medium.
    pub const BYTES_READ: &str = "bytes_read";
    /// Ticks of the board's clock.
    pub const TICKS: &str = "ticks";
    /// Instructions that these are in an emulator.
    pub const INSTRUCTIONS: &str = "instructions";

    // What a kernel was compared in.
    /// Products with the portable kernel's bits.
    pub const SAME_PRODUCTS: &str = "products_with_the_portable_bits";
    /// Heads of attention with them.
    pub const SAME_HEADS: &str = "heads_with_the_portable_bits";
    /// Elementwise operations with them.
    pub const SAME_VECTORS: &str = "vectors_with_the_portable_bits";
    /// Calls whose parts do not fit each other, which did nothing beyond their outputs.
    pub const MISFITS: &str = "calls_that_do_not_fit";

    // Other programs.
    /// Bytes of the blob.
    pub const BLOB_BYTES: &str = "blob_bytes";
    /// Positions that go through a layer together.
    pub const BATCH: &str = "batch";
    /// Bytes of the buffer that weights are read through.
    pub const BUFFER_BYTES: &str = "buffer_bytes";
    /// Commands that went over the bus.
    pub const SPI_READS: &str = "spi_reads";
    /// Bytes that went over it.
    pub const SPI_BYTES: &str = "spi_bytes";
    /// With weights in memory.
    pub const INSTRUCTIONS_IN_PLACE: &str = "instructions_in_place";
    /// With weights behind the bus.
    pub const INSTRUCTIONS_THROUGH_BUFFER: &str = "instructions_through_buffer";
    /// Tokens that passed.
    pub const TOKENS: &str = "tokens";
    /// A token that was generated.
    pub const TOKEN: &str = "token";
    /// Rows of a step, or `all`.
    pub const ROWS: &str = "rows";
    /// Steps that a text took.
    pub const STEPS: &str = "steps";
    /// Instructions of the longest.
    pub const LONGEST_STEP_INSTRUCTIONS: &str = "longest_step_instructions";
    /// Tasks that ran between steps.
    pub const TASKS_BETWEEN: &str = "tasks_between";
    /// `yes`: what else is an error.
    pub const SAME_BITS: &str = "same_bits";
    /// `ok`: what else is an error.
    pub const SIGNATURE: &str = "signature";
    /// Instructions that checking it took.
    pub const SIGNATURE_INSTRUCTIONS: &str = "signature_instructions";

    // Parts of a forward pass, which `of_part` makes keys of.
    /// Integer sums and their conversion to floats.
    pub const PRODUCTS: &str = "products";
    /// Layer norms, and rounding the inputs of products.
    pub const NORMS: &str = "norms";
    /// GELU, with the hidden layer's bias.
    pub const GELU: &str = "gelu";
    /// Attention.
    pub const ATTENTION: &str = "attention";
    /// Embeddings, other biases, residual additions, keys and values on their way to the cache.
    pub const REST: &str = "rest";
    /// The output head with its norm and product, and the loss.
    pub const HEAD_LOSS: &str = "head_loss";
    /// All of these.
    pub const TOTAL: &str = "total";
    /// Of the products, their sums.
    pub const INTEGER_PRODUCTS: &str = "integer_products";
    /// Of attention, its sums of integers.
    pub const INTEGER_DOTS: &str = "integer_dots";
    /// Everything else.
    pub const FLOATS: &str = "floats";
    /// Of the products, what is not their sums.
    pub const CONVERSION: &str = "conversion";
    /// The output head without its product.
    pub const HEAD_NORM_LOSS: &str = "head_norm_loss";
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::String;

    #[test]
    fn what_is_written_is_read() {
        let mut report = String::new();
        report.line(key::BOARD, "a: b").unwrap();
        report.line(key::PROGRESS, progress(3, 10)).unwrap();
        report.line(of_part("i8", 4, key::GELU), 7).unwrap();
        report.end(true).unwrap();
        report.end(false).unwrap();
        let lines: std::vec::Vec<_> = report.lines().map(parse).collect();
        let want =
            [("board", "a: b"), ("progress", "3 of 10"), ("i8_t4_gelu", "7"), ("done", "ok"), ("done", "failed")];
        assert_eq!(lines, want.map(Some));
        let progress: std::vec::Vec<_> = report.lines().filter_map(parse_progress).collect();
        assert_eq!(progress, [(3, 10)]);
        assert_eq!((parse("no key"), parse_progress("progress: 3")), (None, None));
    }
}
