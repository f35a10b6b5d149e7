//! One error for all that a program does with this crate, so that its functions need name no other.

use crate::blob::OpenError;
use crate::config::ConfigError;
use crate::error::BufferTooSmall;
use crate::generate::GenerateError;
use crate::sample::SettingsError;
use crate::score::ScoreError;
use crate::session::{ForwardError, MemoryError};
use crate::sink::LogitError;
use crate::source::{ReadError, SourceError};
use crate::tokenizer::{DecodeError, EncodeError, TokenizerError};
use core::fmt;

/// Defines [`Error`] with what there is to do for each of its kinds.
macro_rules! errors {
    ($($(#[$about:meta])* $kind:ident($inner:ident),)*) => {
        /// Whatever went wrong: any other error of this crate, by `?`.
        ///
        /// Its message is that of the error inside, which [`source`](core::error::Error::source) hands out too.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum Error {
            $($(#[$about])* $kind($inner),)*
        }

        $(impl From<$inner> for Error {
            fn from(error: $inner) -> Self {
                Self::$kind(error)
            }
        })*

        impl fmt::Display for Error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$kind(error) => error.fmt(f),)*
                }
            }
        }

        impl core::error::Error for Error {
            fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
                match self {
                    $(Self::$kind(error) => Some(error),)*
                }
            }
        }

        #[cfg(test)]
        const KINDS: &[&str] = &[$(stringify!($inner)),*];
    };
}

errors! {
    /// The memory or the buffer behind a source is of no use.
    Source(SourceError),
    /// The medium did not deliver.
    Read(ReadError),
    /// The blob cannot be used.
    Open(OpenError),
    /// No model has such a shape.
    Config(ConfigError),
    /// A buffer is too small.
    Buffer(BufferTooSmall),
    /// Memory is of no use to the model.
    Memory(MemoryError),
    /// A pass cannot be made, or went no further.
    Forward(ForwardError),
    /// Logits have no softmax.
    Logit(LogitError),
    /// A window has no score.
    Score(ScoreError),
    /// A sampler's setting is out of its range.
    Settings(SettingsError),
    /// No token comes.
    Generate(GenerateError),
    /// The tokeniser's section cannot be used.
    Tokenizer(TokenizerError),
    /// A text has no tokens.
    Encode(EncodeError),
    /// A token has no text, or its text no place.
    Decode(DecodeError),
}

impl From<fmt::Error> for Error {
    fn from(error: fmt::Error) -> Self {
        Self::Decode(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Buffer;
    use crate::source::Mapped;
    use core::error::Error as _;
    use std::fs;
    use std::path::Path;
    use std::string::{String, ToString};

    const READ: ReadError = ReadError { offset: 7 };

    /// A function of an application's.
    fn opened(bytes: &[u8]) -> Result<(), Error> {
        crate::model::Model::open(Mapped::new(bytes)?)?;
        Ok(())
    }

    #[test]
    fn a_question_mark_takes_every_error_and_nothing_of_it_is_lost() {
        let bytes = crate::source::Aligned([0; 300]);
        assert_eq!(opened(&bytes.0[1..]), Err(Error::Source(SourceError::Misaligned { need: 16 })));
        let error = opened(&bytes.0).unwrap_err();
        assert_eq!(error, Error::Open(OpenError::NotABlob));
        assert_eq!(error.to_string(), OpenError::NotABlob.to_string());
        assert_eq!(error.source().unwrap().downcast_ref::<OpenError>(), Some(&OpenError::NotABlob));
        let small = BufferTooSmall { buffer: Buffer::Context, need: 3, have: 2 };
        assert_eq!(Error::from(small).to_string(), "context buffer too small: need 3 ids, have 2");
    }

    #[test]
    fn the_first_cause_is_at_the_end_of_the_chain() {
        for error in [
            Error::from(ForwardError::Read(READ)),
            Error::from(ScoreError::Forward(ForwardError::Read(READ))),
            Error::from(ScoreError::Open(OpenError::Read(READ))),
            Error::from(GenerateError::Forward(ForwardError::Read(READ))),
        ] {
            let mut cause: &dyn core::error::Error = &error;
            while let Some(next) = cause.source() {
                cause = next;
            }
            assert_eq!(cause.downcast_ref::<ReadError>(), Some(&READ), "{error:?}");
            assert_eq!(error.to_string(), READ.to_string());
        }
    }

    /// Every public type of the crate with a name that ends so.
    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn no_error_of_the_crate_is_left_out() {
        let mut folders = std::vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut found = 0;
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    // What a test of kernels says is no program's error.
                    if !path.ends_with("conformance") {
                        folders.push(path);
                    }
                    continue;
                }
                for line in fs::read_to_string(&path).unwrap().lines() {
                    let Some(name) = line.strip_prefix("impl core::error::Error for ") else { continue };
                    let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
                    assert!(KINDS.contains(&&*name), "{name} of {}", path.display());
                    found += 1;
                }
            }
        }
        assert_eq!(found, KINDS.len());
    }
}
