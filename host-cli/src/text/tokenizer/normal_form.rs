//! Unicode's normal forms, as the `tokenizers` crate gives them.

use std::borrow::Cow;

use emberlm_core::tokenizer::NormalForm;
use tokenizers::normalizers::{NFC, NFD, NFKC, NFKD};
use tokenizers::{NormalizedString, Normalizer};

/// Bytes of a text that are normalised at once, at least: the crate's records of a text are many times its length.
const CHUNK: usize = 1 << 16;

/// `text` in a form.
///
/// # Errors
/// The crate failed.
pub fn normalize(form: NormalForm, text: &str) -> Result<Cow<'_, str>, String> {
    if form == NormalForm::Any || text.is_ascii() {
        return Ok(Cow::Borrowed(text));
    }
    let mut normal = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(chunk_len(rest));
        let mut chunk = NormalizedString::from(chunk);
        let done = match form {
            NormalForm::Any => Ok(()),
            NormalForm::Nfc => NFC.normalize(&mut chunk),
            NormalForm::Nfd => NFD.normalize(&mut chunk),
            NormalForm::Nfkc => NFKC.normalize(&mut chunk),
            NormalForm::Nfkd => NFKD.normalize(&mut chunk),
        };
        done.map_err(|error| error.to_string())?;
        normal.push_str(chunk.get());
        rest = behind;
    }
    Ok(Cow::Owned(normal))
}

/// Bytes up to a character that nothing before it goes together with.
fn chunk_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    (CHUNK..bytes.len()).find(|&at| bytes[at].is_ascii()).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_to_what_the_whole_does() {
        let text = "e\u{301}한\u{1112}\u{1161}\u{11ab} q\u{323}\u{307}①ﬁ a\u{30a}\n".repeat(8000);
        for (form, short) in [
            (NormalForm::Nfc, "é한한 q\u{323}\u{307}①ﬁ å\n"),
            (
                NormalForm::Nfkd,
                "e\u{301}\u{1112}\u{1161}\u{11ab}\u{1112}\u{1161}\u{11ab} q\u{323}\u{307}1fi a\u{30a}\n",
            ),
            (NormalForm::Any, &text[..text.len() / 8000]),
        ] {
            assert_eq!(normalize(form, &text).unwrap(), short.repeat(8000));
        }
        assert!(text.len() > 2 * CHUNK);
    }
}
