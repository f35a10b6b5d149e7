//! From a blob and a block of memory to a session.

use core::ffi::c_void;

use emberlm_core::{KvType, Mapped, Model, Order, Run, SelfTestOutcome, Session, run_self_test};

use crate::Kernel;

use super::memory::{Layout, part};
use super::pointer::{place, read};
use super::session::{Parts, emberlm_session};
use super::status::emberlm_status::{
    EMBERLM_BAD_VALUE, EMBERLM_MISALIGNED, EMBERLM_NOT_TESTED, EMBERLM_NULL, EMBERLM_SELF_TEST_FAILED,
    EMBERLM_TOO_SMALL,
};
use super::status::{emberlm_status, failed};
use super::types::{
    EMBERLM_ALIGNMENT, EMBERLM_KV_F16, EMBERLM_KV_F32, EMBERLM_KV_I8, EMBERLM_LAYER_MAJOR, EMBERLM_TOKEN_MAJOR,
    emberlm_model, emberlm_run,
};

/// The model of a blob that is at `blob`, its header and tables checked.
///
/// # Safety
/// `blob` is null, misaligned, or `blob_bytes` bytes that nobody changes as long as the model is used.
unsafe fn open(blob: *const u8, blob_bytes: usize) -> Result<Model<Mapped<'static>>, emberlm_status> {
    if blob.is_null() {
        return Err(EMBERLM_NULL);
    }
    if blob_bytes > isize::MAX as usize {
        return Err(EMBERLM_BAD_VALUE);
    }
    // SAFETY: it is not null, bytes have no alignment, and the caller says that they are there.
    let bytes = unsafe { core::slice::from_raw_parts(blob, blob_bytes) };
    Model::open(Mapped::new(bytes).map_err(failed)?).map_err(failed)
}

/// The run that a C program asks for, of a model with so many positions.
///
/// # Safety
/// `run` is null, misaligned, or points to one.
unsafe fn checked(run: *const emberlm_run, n_ctx: u32) -> Result<Run, emberlm_status> {
    // SAFETY: as the caller says.
    let run = unsafe { read(run) }?;
    let order = match run.order {
        EMBERLM_LAYER_MAJOR => Order::LayerMajor,
        EMBERLM_TOKEN_MAJOR => Order::TokenMajor,
        _ => return Err(EMBERLM_BAD_VALUE),
    };
    let kv_type = match run.kv_type {
        EMBERLM_KV_F32 => KvType::F32,
        EMBERLM_KV_F16 => KvType::F16,
        EMBERLM_KV_I8 => KvType::I8,
        _ => return Err(EMBERLM_BAD_VALUE),
    };
    if !(1..=n_ctx).contains(&run.n_ctx) || !(1..=run.n_ctx).contains(&run.batch) {
        return Err(EMBERLM_BAD_VALUE);
    }
    Ok(Run { batch: run.batch as usize, ..Run::new(order, kv_type, run.n_ctx as usize) })
}

/// Says what a blob's model is. Its header is checked, its weights are not read.
///
/// # Safety
/// `blob` is `blob_bytes` bytes, and `model` a place for the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn emberlm_inspect(
    blob: *const u8,
    blob_bytes: usize,
    model: *mut emberlm_model,
) -> emberlm_status {
    emberlm_status::of((|| {
        let place = place(model)?;
        // SAFETY: as the caller says.
        let mut model = unsafe { open(blob, blob_bytes) }?;
        let text = model.text_tokens().map_err(failed)?;
        let config = *model.config();
        let about = emberlm_model {
            blob_bytes: model.blob_bytes(),
            n_vocab: config.n_vocab,
            pruned_from: text.pruned_from,
            n_ctx: config.n_ctx,
            n_embd: config.n_embd,
            n_layer: config.n_layer,
            n_head: config.n_head,
            n_kv_head: config.n_kv_head,
            head_dim: config.head_dim,
            n_ff: config.n_ff,
            bos: text.bos,
            adds_bos: text.adds_bos,
            has_tokenizer: model.head().tokenizer.bytes != 0,
        };
        // SAFETY: `place` is neither null nor misaligned.
        unsafe { place.write(about) };
        Ok(())
    })())
}

/// Says how many bytes of memory a session takes for a blob's model and a run of it: handle, KV cache, everything.
///
/// # Safety
/// `blob` is `blob_bytes` bytes, `run` points to one, and `bytes` is a place for the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn emberlm_session_bytes(
    blob: *const u8,
    blob_bytes: usize,
    run: *const emberlm_run,
    bytes: *mut usize,
) -> emberlm_status {
    emberlm_status::of((|| {
        let place = place(bytes)?;
        // SAFETY: as the caller says.
        let model = unsafe { open(blob, blob_bytes) }?;
        // SAFETY: as the caller says.
        let run = unsafe { checked(run, model.config().n_ctx) }?;
        // SAFETY: `place` is neither null nor misaligned.
        unsafe { place.write(Layout::new(model.config(), run).end) };
        Ok(())
    })())
}

/// Opens a session in the caller's memory: checks the whole blob, its CRCs too, and puts the handle into `*session`, which
/// is null if that fails. `memory` is aligned to `EMBERLM_ALIGNMENT`, and holds what `emberlm_session_bytes` says, or it is
/// `EMBERLM_TOO_SMALL`.
///
/// # Safety
/// `blob` is `blob_bytes` bytes that nobody changes, and `memory` is `memory_bytes` bytes that nobody else uses, both as
/// long as the session is used; `run` points to one, and `session` is a place for the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn emberlm_open(
    blob: *const u8,
    blob_bytes: usize,
    run: *const emberlm_run,
    memory: *mut c_void,
    memory_bytes: usize,
    session: *mut *mut emberlm_session,
) -> emberlm_status {
    emberlm_status::of((|| {
        let handle = place(session)?;
        // SAFETY: `handle` is neither null nor misaligned.
        unsafe { handle.write(core::ptr::null_mut()) };
        let memory = memory.cast::<u8>();
        if memory.is_null() {
            return Err(EMBERLM_NULL);
        }
        if !memory.addr().is_multiple_of(EMBERLM_ALIGNMENT) {
            return Err(EMBERLM_MISALIGNED);
        }
        // SAFETY: as the caller says.
        let mut model = unsafe { open(blob, blob_bytes) }?;
        // SAFETY: as the caller says.
        let run = unsafe { checked(run, model.config().n_ctx) }?;
        let config = *model.config();
        let Layout { need, sinks, kv, floats, words, context, end } = Layout::new(&config, run);
        if memory_bytes < end {
            return Err(EMBERLM_TOO_SMALL);
        }
        model.verify_sections().map_err(failed)?;
        let text = model.text_tokens().map_err(failed)?;
        let tokenizer = model.tokenizer().map_err(failed)?;
        // SAFETY: the parts lie in the caller's memory, aligned and beside each other.
        let (sinks, kv, floats, words, context) = unsafe {
            (
                part(memory, sinks, need.sinks, emberlm_core::CrossEntropy::new(0)),
                part(memory, kv, need.kv_words, 0u32),
                part(memory, floats, need.scratch.floats, 0f32),
                part(memory, words, need.scratch.words, 0u32),
                part(memory, context, run.n_ctx, 0u32),
            )
        };
        let kv = run.kv_cache(&config, kv).map_err(failed)?;
        let scratch = run.scratch(&config, floats, words).map_err(failed)?;
        let opened = Session::new(model, Kernel, kv, scratch).map_err(failed)?;
        let parts = Parts { session: opened, tokenizer, text, order: run.order, sinks, context };
        let first = memory.cast::<emberlm_session>();
        // SAFETY: the handle is the block's first part, and `handle` a place for a pointer to it.
        unsafe {
            first.write(emberlm_session::new(parts));
            handle.write(first);
        }
        Ok(())
    })())
}

/// Scores the tokens that the blob brings for this, and compares the bits with those recorded in it. The session is reset.
///
/// # Safety
/// `session` is a handle, or memory of its size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn emberlm_self_test(session: *mut emberlm_session) -> emberlm_status {
    let test = |parts: &mut Parts| match run_self_test(&mut parts.session, parts.sinks).map_err(failed)? {
        SelfTestOutcome::Passed => Ok(()),
        SelfTestOutcome::Failed { .. } => Err(EMBERLM_SELF_TEST_FAILED),
        _ => Err(EMBERLM_NOT_TESTED),
    };
    // SAFETY: as the caller says.
    unsafe { emberlm_session::with(session, test) }
}
