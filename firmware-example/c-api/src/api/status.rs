//! What became of a call.

use core::ffi::{CStr, c_char};

use emberlm_core::Error;
use emberlm_core::blob::OpenError;
use emberlm_core::error::BufferTooSmall;
use emberlm_core::generate::GenerateError;
use emberlm_core::score::ScoreError;
use emberlm_core::session::{ForwardError, MemoryError};
use emberlm_core::source::SourceError;
use emberlm_core::tokenizer::{DecodeError, EncodeError, TokenizerError};

/// What became of a call.
#[repr(i32)]
#[allow(non_camel_case_types, clippy::upper_case_acronyms)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum emberlm_status {
    /// It is done.
    EMBERLM_OK = 0,
    /// A pointer is null that may not be.
    EMBERLM_NULL = 1,
    /// A pointer is not aligned: blob and memory to `EMBERLM_ALIGNMENT`, others as their types are.
    EMBERLM_MISALIGNED = 2,
    /// Memory or a buffer is too small; the function's page says where it tells what is needed.
    EMBERLM_TOO_SMALL = 3,
    /// The handle is of no session that was opened.
    EMBERLM_NOT_OPEN = 4,
    /// A number stands for nothing: an order or a type of KV cache that is none, or a count of 0.
    EMBERLM_BAD_VALUE = 5,
    /// The bytes are no blob, or of another version.
    EMBERLM_NOT_A_BLOB = 6,
    /// The blob is cut off or damaged.
    EMBERLM_DAMAGED = 7,
    /// The model needs what this build of the library leaves out.
    EMBERLM_LEFT_OUT = 8,
    /// The blob has no tokenizer.
    EMBERLM_NO_TOKENIZER = 9,
    /// The text is not UTF-8.
    EMBERLM_NOT_UTF8 = 10,
    /// A character of the text has no token.
    EMBERLM_NO_TOKEN_FOR_TEXT = 11,
    /// A token stands for no text.
    EMBERLM_NO_TEXT_FOR_TOKEN = 12,
    /// A token is not below `n_vocab`.
    EMBERLM_NO_SUCH_TOKEN = 13,
    /// There are no tokens to work on.
    EMBERLM_EMPTY = 14,
    /// The tokens do not fit the positions that are left.
    EMBERLM_CONTEXT_FULL = 15,
    /// A session of layer-major order takes one window after each `emberlm_reset`, and does not generate.
    EMBERLM_CANNOT_CONTINUE = 16,
    /// A sampler's setting is out of its range.
    EMBERLM_BAD_SETTINGS = 17,
    /// The model's logits have no softmax.
    EMBERLM_NOT_A_NUMBER = 18,
    /// A listener wanted no more.
    EMBERLM_STOPPED = 19,
    /// The self-test gave other bits than recorded: build, memory or processor are at fault.
    EMBERLM_SELF_TEST_FAILED = 20,
    /// The blob has no self-test for this KV cache type, or it does not fit the session's positions.
    EMBERLM_NOT_TESTED = 21,
    /// What this version of the library has no number for.
    EMBERLM_OTHER = 22,
}

use emberlm_status::{
    EMBERLM_BAD_SETTINGS, EMBERLM_BAD_VALUE, EMBERLM_CANNOT_CONTINUE, EMBERLM_CONTEXT_FULL, EMBERLM_DAMAGED,
    EMBERLM_EMPTY, EMBERLM_LEFT_OUT, EMBERLM_MISALIGNED, EMBERLM_NO_SUCH_TOKEN, EMBERLM_NO_TEXT_FOR_TOKEN,
    EMBERLM_NO_TOKEN_FOR_TEXT, EMBERLM_NOT_A_BLOB, EMBERLM_NOT_A_NUMBER, EMBERLM_NOT_UTF8, EMBERLM_OK, EMBERLM_OTHER,
    EMBERLM_STOPPED, EMBERLM_TOO_SMALL,
};

/// What each status says, by its number.
const TEXTS: [&CStr; EMBERLM_OTHER as usize + 1] = [
    c"ok",
    c"a pointer is null",
    c"a pointer is not aligned",
    c"memory or a buffer is too small",
    c"the handle is of no open session",
    c"a value is out of its range",
    c"these bytes are no blob of this version",
    c"the blob is cut off or damaged",
    c"the model needs what this build leaves out",
    c"the blob has no tokenizer",
    c"the text is not UTF-8",
    c"a character of the text has no token",
    c"a token stands for no text",
    c"a token is not in the vocabulary",
    c"there are no tokens",
    c"the context is full",
    c"a layer-major session cannot continue a text",
    c"a setting is out of its range",
    c"a logit is not a number",
    c"the listener stopped it",
    c"the self-test failed",
    c"there is no self-test for this session",
    c"something else went wrong",
];

/// A sentence in English for a status; it is there for ever, and never null.
#[unsafe(no_mangle)]
pub extern "C" fn emberlm_status_text(status: i32) -> *const c_char {
    let text = usize::try_from(status).ok().and_then(|status| TEXTS.get(status).copied());
    text.unwrap_or(c"no such status").as_ptr()
}

impl emberlm_status {
    /// `EMBERLM_OK`, or what went wrong.
    pub(crate) fn of(done: Result<(), Self>) -> Self {
        match done {
            Ok(()) => EMBERLM_OK,
            Err(status) => status,
        }
    }
}

/// The status of any error of core's.
pub(crate) fn failed(error: impl Into<Error>) -> emberlm_status {
    match error.into() {
        Error::Source(SourceError::Misaligned { .. }) => EMBERLM_MISALIGNED,
        Error::Open(error) => of_open(&error),
        Error::Buffer(BufferTooSmall { .. }) => EMBERLM_TOO_SMALL,
        Error::Memory(MemoryError::LeftOut(_)) => EMBERLM_LEFT_OUT,
        Error::Memory(_) | Error::Config(_) => EMBERLM_BAD_VALUE,
        Error::Forward(error) => of_forward(&error),
        Error::Logit(_) => EMBERLM_NOT_A_NUMBER,
        Error::Score(error) => match error {
            ScoreError::Forward(error) => of_forward(&error),
            ScoreError::Logit { .. } => EMBERLM_NOT_A_NUMBER,
            ScoreError::TargetOutOfRange { .. } => EMBERLM_NO_SUCH_TOKEN,
            ScoreError::Sinks(_) => EMBERLM_TOO_SMALL,
            ScoreError::Open(error) => of_open(&error),
            _ => EMBERLM_OTHER,
        },
        Error::Settings(_) => EMBERLM_BAD_SETTINGS,
        Error::Generate(error) => match error {
            GenerateError::NoPrompt => EMBERLM_EMPTY,
            GenerateError::PromptTooLong { .. } => EMBERLM_CONTEXT_FULL,
            GenerateError::Context(_) => EMBERLM_TOO_SMALL,
            GenerateError::Forward(error) => of_forward(&error),
            GenerateError::Logit(_) => EMBERLM_NOT_A_NUMBER,
            _ => EMBERLM_OTHER,
        },
        Error::Tokenizer(TokenizerError::LeftOut(_)) => EMBERLM_LEFT_OUT,
        Error::Tokenizer(_) => EMBERLM_DAMAGED,
        Error::Encode(EncodeError::NotUtf8 { .. }) => EMBERLM_NOT_UTF8,
        Error::Encode(EncodeError::TooManyTokens { .. }) => EMBERLM_TOO_SMALL,
        Error::Encode(_) => EMBERLM_NO_TOKEN_FOR_TEXT,
        Error::Decode(DecodeError::Write) => EMBERLM_STOPPED,
        Error::Decode(_) => EMBERLM_NO_TEXT_FOR_TOKEN,
        _ => EMBERLM_OTHER,
    }
}

fn of_open(error: &OpenError) -> emberlm_status {
    match error {
        OpenError::NotABlob | OpenError::UnsupportedVersion(_) | OpenError::OtherArithmetic { .. } => {
            EMBERLM_NOT_A_BLOB
        }
        OpenError::ActivationsLeftOut(_) | OpenError::LeftOut(_) => EMBERLM_LEFT_OUT,
        OpenError::TooLarge => EMBERLM_TOO_SMALL,
        _ => EMBERLM_DAMAGED,
    }
}

fn of_forward(error: &ForwardError) -> emberlm_status {
    match error {
        ForwardError::Empty => EMBERLM_EMPTY,
        ForwardError::WindowTooLong { .. } | ForwardError::ContextFull { .. } => EMBERLM_CONTEXT_FULL,
        ForwardError::TokenOutOfRange { .. } => EMBERLM_NO_SUCH_TOKEN,
        ForwardError::CacheNotKept | ForwardError::Overwritten => EMBERLM_CANNOT_CONTINUE,
        _ => EMBERLM_OTHER,
    }
}
