//! Where a forward pass spends its instructions.

use alloc::vec;
use alloc::vec::Vec;
use core::hint::black_box;

use emberlm_core::config::TokenId;
use emberlm_core::kernel::Kernel;
use emberlm_core::kernel::conformance::{Product, Random};
use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::loss::CrossEntropy;
use emberlm_core::model::Model;
use emberlm_core::score::ScoreError;
use emberlm_core::scratch::{Batch, Scratch, ScratchSize};
use emberlm_core::session::{Progress, Session, Stage};
use emberlm_core::source::Mapped;
use emberlm_request::report::{Report, key, of_part};

use crate::counting::{Counting, Outputs, Products};
use crate::report::print_end;
use crate::{Board, ProgramError};

/// Positions that are taken together: generating, and scoring.
const BATCHES: [usize; 2] = [1, 4];

/// Positions, at most, so that models of any context compare.
const MOST: usize = 128;

/// A prime far from small powers of two: tokens are its multiples.
const STEP: u32 = 1_000_003;

/// Takes a context through the model in the partition, with each type of KV cache, and prints the instructions of
/// each part, a mean over all positions; every position's loss is computed.
pub fn profile<B: Board + Sync>(board: &mut B, model: &[u8]) -> bool {
    let result = KvType::ALL
        .into_iter()
        .try_for_each(|kv_type| BATCHES.into_iter().try_for_each(|batch| print_parts(board, model, kv_type, batch)));
    print_end(board, result)
}

/// Ticks of a pass by part.
#[derive(Clone, Copy, Default)]
struct Parts {
    /// Integer sums and their conversion to floats.
    products: u64,
    /// Layer norms, and rounding the inputs of products.
    norms: u64,
    /// With the hidden layer's bias.
    gelu: u64,
    attention: u64,
    /// Embeddings, biases, residual additions, and keys and values on their way to the cache.
    rest: u64,
    /// All of the output head, its norm and product included.
    head_loss: u64,
    /// Of the head, its product.
    head_products: u64,
}

impl Parts {
    const fn total(&self) -> u64 {
        self.products + self.norms + self.gelu + self.attention + self.rest + self.head_loss
    }
}

fn print_parts<B: Board + Sync>(board: &mut B, blob: &[u8], kv_type: KvType, batch: usize) -> Result<(), ProgramError> {
    // Counting takes instructions too: it has no part in the total.
    let (n_ctx, parts) = run(board, blob, kv_type, batch, B::Kernel::default(), &Products::default())?;
    let total = parts.total();
    let products = Products::default();
    let (_, parts) = run(board, blob, kv_type, batch, Counting::new(&*board, &products), &products)?;
    let conversion = products.outputs().map(|outputs| conversion(board, outputs, batch)).sum();
    let dots = if kv_type == KvType::I8 {
        let products = Products::default();
        let (_, twice) = run(board, blob, kv_type, batch, Counting::twice(&*board, &products), &products)?;
        twice.attention - parts.attention
    } else {
        0
    };
    let integers = parts.products + parts.head_products - conversion;
    let figures = [
        (key::PRODUCTS, parts.products),
        (key::NORMS, parts.norms),
        (key::GELU, parts.gelu),
        (key::ATTENTION, parts.attention),
        (key::REST, parts.rest),
        (key::HEAD_LOSS, parts.head_loss),
        (key::TOTAL, total),
        // The same once more: what is done in integers, what in floats, and of the floats what the parts above hide.
        (key::INTEGER_PRODUCTS, integers),
        (key::INTEGER_DOTS, dots),
        (key::FLOATS, parts.total() - integers - dots),
        (key::CONVERSION, conversion),
        (key::HEAD_NORM_LOSS, parts.head_loss - parts.head_products),
    ];
    for (part, ticks) in figures {
        board.line(of_part(kv_type.name(), batch, part), B::instructions(ticks) / n_ctx)?;
    }
    Ok(())
}

/// Ticks that outputs of integer products take whatever the number of their columns: scales and conversion to floats,
/// and whatever else a kernel does once a row.
///
/// Columns cost in proportion, so that it is what twice a product has more than one with twice the columns.
fn conversion<B: Board>(board: &B, Outputs { format, width, count }: Outputs, batch: usize) -> u64 {
    const COLUMNS: usize = 256;
    const ROWS: usize = Batch::ROWS;
    const TIMES: u64 = 32;
    let kernel = B::Kernel::default();
    let ticks = |n_in| {
        let product = Product::new(format, n_in, ROWS, batch, &mut Random::default());
        let (inputs, mut out) = (product.inputs(&kernel, width), vec![0.0; batch * ROWS]);
        let start = board.ticks();
        for _ in 0..TIMES {
            product.multiply(black_box(&mut out), &kernel, &inputs, width, ROWS);
        }
        board.ticks() - start
    };
    let ticks = (2 * ticks(COLUMNS)).saturating_sub(ticks(2 * COLUMNS));
    ticks * count / (TIMES * (ROWS * batch) as u64)
}

/// Takes a full context through the model; returns its length and the ticks of each part, of which those in `kernel` are
/// what it counts in `products`.
fn run<B: Board, K: Kernel>(
    board: &B,
    blob: &[u8],
    kv_type: KvType,
    batch: usize,
    kernel: K,
    products: &Products,
) -> Result<(u64, Parts), ProgramError> {
    let model = Model::open(Mapped::new(blob)?)?;
    let config = *model.config();
    let n_ctx = MOST.min(config.n_ctx as usize);
    let size = ScratchSize::new(&config, Batch::of(batch));
    let kv_size = KvSize::new(kv_type, n_ctx, batch);
    let mut kv = vec![0; kv_size.words(&config)];
    let (mut floats, mut words) = (vec![0.0; size.floats], vec![0; size.words]);
    let kv = KvCache::whole(kv_size, &config, &mut kv)?;
    let scratch = Scratch::new(&config, Batch::of(batch), &mut floats, &mut words)?;
    let mut session = Session::new(model, kernel, kv, scratch)?;

    let tokens = (0..n_ctx as u32).map(|i| (u64::from(i) * u64::from(STEP) % u64::from(config.n_vocab)) as TokenId);
    let tokens: Vec<TokenId> = tokens.collect();
    let mut parts = Parts::default();
    let mut sinks = vec![CrossEntropy::new(0); batch];
    let failed = |error| ProgramError::Score { row: 0, start: 0, error: ScoreError::Forward(error) };
    for chunk in tokens.chunks(batch) {
        let mut pass = session.begin_forward(chunk).map_err(failed)?;
        let mut progress = Progress::More;
        while progress == Progress::More {
            let (stage, start) = (pass.stage(), board.ticks());
            products.reset();
            progress = pass.step(usize::MAX).map_err(|error| failed(error.into()))?;
            let spent = board.ticks() - start;
            match stage {
                Stage::Attend => parts.attention += spent,
                Stage::Qkv | Stage::AttnProj | Stage::Fc | Stage::MlpProj => {
                    let (first, within) = products.counted(start);
                    parts.norms += first;
                    parts.products += within;
                    *(if stage == Stage::Fc { &mut parts.gelu } else { &mut parts.rest }) += spent - first - within;
                }
                _ => parts.rest += spent,
            }
        }
        let start = board.ticks();
        let sinks = &mut sinks[..chunk.len()];
        sinks.fill(CrossEntropy::new(0));
        products.reset();
        session.head(0, sinks).map_err(failed)?;
        parts.head_products += products.counted(start).1;
        for (input, sink) in sinks.iter().enumerate() {
            let nll = sink.nll().map_err(|error| ScoreError::Logit { input, error });
            nll.map_err(|error| ProgramError::Score { row: 0, start: 0, error })?;
        }
        parts.head_loss += board.ticks() - start;
    }
    Ok((n_ctx as u64, parts))
}
