//! Writes what follows the request's first row, up to an end of a text or a full context of every layer's keys and values:
//! the tokens that `emberlm generate` draws with the same seed and temperature.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use emberlm_core::config::TokenId;
use emberlm_core::generate::{Generation, WhenFull};
use emberlm_core::model::Model;
use emberlm_core::planner::Need;
use emberlm_core::sample::{Sampler, Settings};
use emberlm_core::session::Session;
use emberlm_core::source::Mapped;
use emberlm_firmware::{Board, Buffers, StaticBuffers, static_buffers};
use emberlm_request::Request;
use emberlm_request::report::{Report, key};
use emberlm_semihosted::Semihosted;
use emberlm_small::stories::{GENERATING, TINY_STORIES};
use emberlm_small::{Small, check, exit, model_partition, request_partition};

const NEED: Need = Need::new(&TINY_STORIES, GENERATING);
const _: () = check(&NEED);

/// Random weights are sure of themselves, which a high temperature makes up for.
const SETTINGS: Settings = Settings { temperature: 8.0, seed: 1, ..Settings::DEFAULT };

static BUFFERS: static_buffers!(NEED) = StaticBuffers::new();

#[entry]
fn main() -> ! {
    let Some((mut board, buffers)) = Semihosted::<Small>::take(&BUFFERS) else { exit(false) };
    let is_well = generate(&mut board, buffers).is_some();
    exit(board.end(is_well).is_ok() && is_well)
}

/// Takes the prompt and what follows it through the model.
fn generate<B: Board>(board: &mut B, buffers: Buffers<'_>) -> Option<()> {
    board.line(key::BOARD, B::NAME).ok()?;
    let prompt = Request::decode(request_partition()).ok()?.rows().next()?;
    let mut model = Model::open(Mapped::new(model_partition()).ok()?).ok()?;
    model.verify_sections().ok()?;
    let config = *model.config();
    let text = model.text_tokens().ok()?;
    if let Some(pruned) = text.pruned(config.n_vocab) {
        board.line(key::VOCABULARY, pruned).ok()?;
    }
    let kv = GENERATING.kv_cache(&config, buffers.kv).ok()?;
    let scratch = GENERATING.scratch(&config, buffers.floats, buffers.words).ok()?;
    let mut session = Session::new(model, B::Kernel::default(), kv, scratch).ok()?;
    let context = buffers.tokens.get_mut(..GENERATING.n_ctx)?;
    let mut generation = Generation::new(&mut session, Sampler::new(SETTINGS).ok()?, context, WhenFull::Stop).ok()?;
    for position in 0..prompt.len() {
        let mut token: [TokenId; 1] = [0];
        prompt.read(position, &mut token);
        generation.append(&token).ok()?;
    }
    while let Some(drawn) = generation.next_token().ok()? {
        board.line(key::TOKEN, drawn.token).ok()?;
        if text.ends_with(drawn.token) {
            break;
        }
    }
    board.line(key::RAM_BYTES, board.static_bytes()).ok()?;
    board.line(key::STACK_BYTES, board.stack_bytes()).ok()
}
