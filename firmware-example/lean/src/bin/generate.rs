//! Generates a full context in two memories that do not touch: three layers' keys and values lie in one, the last one's in
//! the other.
//!
//! The prompt is the first row of the request. Each further token is the likeliest; they are printed as hexadecimal lines
//! `token: id`.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use emberlm_core::config::TokenId;
use emberlm_core::kernel::CortexMDsp;
use emberlm_core::kv_cache::KvCache;
use emberlm_core::model::Model;
use emberlm_core::planner::{Need, Order, Run};
use emberlm_core::session::Session;
use emberlm_core::sink::ArgMax;
use emberlm_core::source::Mapped;
use emberlm_lean::{KV, MODEL, print};
use emberlm_request::Request;
use emberlm_request::report::key;
use emberlm_semihosted::memory::{self, model_partition, request_partition};
use emberlm_semihosted::{Console, exit};
use static_cell::ConstStaticCell;

const N_CTX: usize = MODEL.n_ctx as usize;
const RUN: Run = Run::new(Order::TokenMajor, KV, N_CTX);
const NEED: Need = Need::new(&MODEL, RUN);
const LAYER_WORDS: usize = RUN.kv_size().largest_layer_words(&MODEL);

/// Layers whose keys and values lie in the first memory.
const FIRST: usize = MODEL.n_layer as usize - 1;

static FIRST_KV: ConstStaticCell<[[u32; LAYER_WORDS]; FIRST]> = ConstStaticCell::new([[0; _]; _]);
static FLOATS: ConstStaticCell<[f32; NEED.scratch.floats]> = ConstStaticCell::new([0.0; _]);
static WORDS: ConstStaticCell<[u32; NEED.scratch.words]> = ConstStaticCell::new([0; _]);

/// The second memory, which the runtime does not fill before the program starts.
mod second {
    #![allow(unsafe_code)]

    use super::LAYER_WORDS;
    use core::mem::MaybeUninit;
    use static_cell::StaticCell;

    type Words = [u32; LAYER_WORDS];

    #[unsafe(link_section = ".second_memory")]
    static mut KV: MaybeUninit<Words> = MaybeUninit::uninit();

    /// Its words, all 0; `None` when they are taken.
    pub fn take() -> Option<&'static mut Words> {
        static ONCE: StaticCell<()> = StaticCell::new();
        ONCE.try_init(())?;
        let words = (&raw mut KV).cast::<Words>();
        // SAFETY: nobody else has come here, and all zeros are words.
        unsafe {
            words.write_bytes(0, 1);
            Some(&mut *words)
        }
    }
}

#[entry]
fn main() -> ! {
    memory::stack().paint();
    exit(generate().is_some())
}

/// Takes the prompt and what follows it through the model, up to a full context.
fn generate() -> Option<()> {
    let prompt = Request::decode(request_partition()).ok()?.rows().next()?;
    let mut model = Model::open(Mapped::new(model_partition()).ok()?).ok()?;
    model.verify_sections().ok()?;
    let [a, b, c] = FIRST_KV.try_take()?;
    let layers: &mut [&mut [u32]] = &mut [a, b, c, second::take()?];
    let kv = KvCache::per_layer(RUN.kv_size(), &MODEL, layers).ok()?;
    let scratch = RUN.scratch(&MODEL, FLOATS.try_take()?, WORDS.try_take()?).ok()?;
    let mut session = Session::new(model, CortexMDsp, kv, scratch).ok()?;
    let mut console = Console::open()?;
    let mut token: [TokenId; 1] = [0];
    for position in 0..N_CTX {
        prompt.read(position, &mut token);
        session.forward(&token).ok()?;
        let mut likeliest = [ArgMax::new()];
        session.head(0, &mut likeliest).ok()?;
        token = [likeliest[0].token().ok()??];
        if position + 1 >= prompt.len() {
            print(&mut console, key::TOKEN, token[0].into())?;
        }
    }
    print(&mut console, key::RAM_BYTES, memory::static_bytes() as u64)?;
    print(&mut console, key::STACK_BYTES, memory::stack().high_water_bytes() as u64)
}
