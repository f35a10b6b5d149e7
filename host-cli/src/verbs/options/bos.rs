//! Where the token that texts begin with is put, where a verb lets people say it.

use clap::{Args, ValueEnum};
use emberlm_core::blob::{NO_TOKEN, TextTokens};
use emberlm_core::config::TokenId;

use crate::checkpoint::Checkpoint;
use crate::engine::{Blob, BlobError};
use crate::score::Bos;
use crate::text::tokenizer::Tokenizer;
use crate::verbs::error::Error;

/// The words that say where it is put.
#[derive(Args, Clone, Copy, Debug)]
pub struct RawBos {
    /// Where the token that texts begin with is put, as context that is no target: once before a text where the tokenizer
    /// asks for it, nowhere, before each text, or before each window of it
    #[arg(long, value_enum, default_value_t = Name::Auto, value_name = "WHERE")]
    bos: Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    Auto,
    None,
    Text,
    Window,
}

/// What a model says of the token that texts begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelBos {
    /// Its id.
    token: Option<TokenId>,
    /// Whether the model's own tokenizer puts it before a text.
    is_asked_for: bool,
}

impl ModelBos {
    /// A checkpoint's.
    pub const fn of_checkpoint(checkpoint: &Checkpoint) -> Self {
        Self { token: checkpoint.bos(), is_asked_for: false }
    }

    /// A blob's.
    ///
    /// # Errors
    /// None, for an open blob.
    pub fn of_blob(blob: &Blob) -> Result<Self, BlobError> {
        let mut model = blob.model()?;
        let n_vocab = model.config().n_vocab;
        let text = model.text_tokens().map_err(|error| blob.fault(crate::engine::BlobFault::Open(error.into())))?;
        Ok(Self::of_text(&text, n_vocab))
    }

    /// What a blob of `n_vocab` tokens says of texts.
    pub fn of_text(text: &TextTokens, n_vocab: u32) -> Self {
        let token = Some(text.bos).filter(|&bos| bos != NO_TOKEN && bos < n_vocab);
        Self { token, is_asked_for: text.adds_bos }
    }
}

impl RawBos {
    /// Where the token is put, and which it is, for ids or for text of that tokenizer.
    ///
    /// # Errors
    /// It is asked for, and neither model nor tokenizer names one.
    pub fn resolve(
        self,
        model: ModelBos,
        tokenizer: Option<&Tokenizer>,
        is_text: bool,
    ) -> Result<(Bos, TokenId), Error> {
        let asks = tokenizer.filter(|tokenizer| tokenizer.asks_for_bos());
        let is_asked_for = is_text && (model.is_asked_for || asks.is_some());
        let bos = match self.bos {
            Name::Auto if is_asked_for => Bos::Text,
            Name::Auto | Name::None => Bos::None,
            Name::Text => Bos::Text,
            Name::Window => Bos::Window,
        };
        let of_tokenizer = |tokenizer: Option<&Tokenizer>| tokenizer.and_then(Tokenizer::bos);
        let token = of_tokenizer(asks).or(model.token).or_else(|| of_tokenizer(tokenizer));
        match (bos, token) {
            (Bos::None, _) => Ok((bos, NO_TOKEN)),
            (_, Some(token)) => Ok((bos, token)),
            (_, None) => Err(Error::Usage(format!(
                "--bos {}: neither the model nor the tokenizer names a token that texts begin with (bos_token_id)",
                bos.name()
            ))),
        }
    }
}
