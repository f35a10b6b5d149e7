//! The handle, and how a call gets at what is behind it.

use emberlm_core::blob::TextTokens;
use emberlm_core::{CrossEntropy, Mapped, Order, Session, TokenId, Tokenizer};

use crate::Kernel;

use super::status::emberlm_status;
use super::status::emberlm_status::{EMBERLM_MISALIGNED, EMBERLM_NOT_OPEN, EMBERLM_NULL};

/// In the first word of a handle that is open, and of one that a call is at work on.
const OPEN: u32 = 0x6c6d_2b31;
const AT_WORK: u32 = 0x6c6d_2b77;

/// A model at work: a handle into the memory that it was opened in. It ends when that memory is used for something else.
#[allow(non_camel_case_types)]
pub struct emberlm_session {
    state: u32,
    pub(crate) parts: Parts,
}

/// What a session consists of.
pub(crate) struct Parts {
    pub session: Session<'static, Mapped<'static>, Kernel>,
    pub tokenizer: Option<Tokenizer<'static>>,
    pub text: TextTokens,
    pub order: Order,
    pub sinks: &'static mut [CrossEntropy],
    pub context: &'static mut [TokenId],
}

impl emberlm_session {
    pub(crate) const fn new(parts: Parts) -> Self {
        Self { state: OPEN, parts }
    }

    /// Lets `work` have what is behind a handle. A call from inside it, as a listener may make, finds it not open.
    ///
    /// # Safety
    /// `session` is null, misaligned, or points to as much memory as a handle takes, which nobody else uses.
    pub(crate) unsafe fn with(
        session: *mut Self,
        work: impl FnOnce(&mut Parts) -> Result<(), emberlm_status>,
    ) -> emberlm_status {
        if session.is_null() {
            return EMBERLM_NULL;
        }
        if !session.is_aligned() {
            return EMBERLM_MISALIGNED;
        }
        // SAFETY: it is aligned memory; the parts are referred to only where the word says that they were written, and no
        // other call is between this one's change of the word and its change back.
        unsafe {
            let state = &raw mut (*session).state;
            if state.read() != OPEN {
                return EMBERLM_NOT_OPEN;
            }
            state.write(AT_WORK);
            let done = work(&mut (*session).parts);
            state.write(OPEN);
            emberlm_status::of(done)
        }
    }
}
