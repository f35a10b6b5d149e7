//! What comes from outside, as people may be shown it: names, keys, tokens, paths, the words of other programs.
//!
//! A terminal acts on control characters, and marks that turn the direction of text or take no room make a line read as
//! what it is not. All of these are shown escaped, as `\n` or `\u{202e}`. A value in a message ([`value`], [`path`],
//! [`message`]) is one line and is cut to a readable length; [`lines`] is the net under everything that is printed.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::path::Path;

/// Characters of a value that are shown.
const VALUE: usize = 100;

/// Characters that are shown of a path, and of what a library or a system says.
const LONG: usize = 400;

/// A value from outside, on one line of bounded length; bytes that are not UTF-8 are shown as `\xff`.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    bytes: Cow<'a, [u8]>,
    most: usize,
}

/// A name, a key, a token: anything that a file or a user spells.
pub const fn value(text: &str) -> Shown<'_> {
    Shown { bytes: Cow::Borrowed(text.as_bytes()), most: VALUE }
}

/// All of a text from outside, on one line.
pub const fn whole(text: &str) -> Shown<'_> {
    Shown { bytes: Cow::Borrowed(text.as_bytes()), most: usize::MAX }
}

/// A value in quotation marks.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", value(text))
}

/// The name of a file or folder.
pub fn path(path: &Path) -> Shown<'_> {
    Shown { bytes: Cow::Borrowed(path.as_os_str().as_encoded_bytes()), most: LONG }
}

/// What somebody else's code says, which may quote what it read.
pub fn message(message: &(impl fmt::Display + ?Sized)) -> Shown<'static> {
    Shown { bytes: Cow::Owned(message.to_string().into_bytes()), most: LONG }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.most;
        for chunk in self.bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                if left == 0 {
                    return write!(f, "… ({} bytes)", self.bytes.len());
                }
                left -= 1;
                show(f, c, is_hidden(c))?;
            }
            for byte in chunk.invalid() {
                if left == 0 {
                    return write!(f, "… ({} bytes)", self.bytes.len());
                }
                left -= 1;
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// A list of values, of which the first few are shown.
pub fn list<'a>(values: impl ExactSizeIterator<Item = &'a str>) -> String {
    const MOST: usize = 10;
    let more = values.len().saturating_sub(MOST);
    let mut list = values.take(MOST).map(|text| value(text).to_string()).collect::<Vec<_>>().join(", ");
    if more > 0 {
        let _ = write!(list, " and {more} more");
    }
    list
}

/// Text of any number of lines: ends of lines and tabs are left, everything else that a terminal acts on is escaped.
pub fn lines(text: &str) -> Cow<'_, str> {
    let acts = |c| acts(c) && !matches!(c, '\n' | '\t');
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| show(&mut shown, c, acts(c)).expect("a string can be written to"));
    Cow::Owned(shown)
}

/// A JSON text of the same meaning in which nothing acts on a terminal. Such characters stand in strings only.
pub fn json(text: String) -> String {
    let acts = |c| acts(c) && c != '\n';
    if !text.contains(acts) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match acts(c) {
            false => shown.push(c),
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                write!(shown, "\\u{unit:04x}").expect("a string can be written to");
            }),
        }
    }
    shown
}

fn show(out: &mut impl Write, c: char, escaped: bool) -> fmt::Result {
    match c {
        _ if !escaped => out.write_char(c),
        '\n' | '\r' | '\t' => write!(out, "{}", c.escape_default()),
        c => write!(out, "{}", c.escape_unicode()),
    }
}

/// Whether a terminal acts on a character: controls, and marks of direction, which change how the text around reads.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

/// Whether a character of a name is better shown escaped: those that act, and those that nobody sees.
fn is_hidden(c: char) -> bool {
    acts(c)
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200d}'
                | '\u{2060}'..='\u{2065}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_value_reaches_a_terminal_raw() {
        let cases = [
            ("h.0.attn", "h.0.attn"),
            ("é日 \"x\" \\", "é日 \"x\" \\"),
            ("e\u{301}", "e\u{301}"),
            ("a\x1b[31mb\x07", "a\\u{1b}[31mb\\u{7}"),
            ("a\r\n\tb", "a\\r\\n\\tb"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("safe\u{202e}txt\u{2066}\u{200f}", "safe\\u{202e}txt\\u{2066}\\u{200f}"),
            ("w\u{200b}te\u{feff}\u{2028}", "w\\u{200b}te\\u{feff}\\u{2028}"),
            ("\u{e0041}", "\\u{e0041}"),
        ];
        for (text, shown) in cases {
            assert_eq!(value(text).to_string(), shown);
        }
    }

    #[test]
    fn long_values_are_cut() {
        let exact = "é".repeat(VALUE);
        assert_eq!(value(&exact).to_string(), exact);
        assert_eq!(value(&(exact.clone() + "x")).to_string(), format!("{exact}… (201 bytes)"));
        assert!(message(&"\u{1b}".repeat(1 << 20)).to_string().len() < 4096);
    }

    #[test]
    fn lists_are_cut() {
        let names: Vec<String> = (0..12).map(|i| format!("k{i}")).collect();
        assert_eq!(list(names[..2].iter().map(String::as_str)), "k0, k1");
        let all = list(names.iter().map(String::as_str));
        assert!(all.ends_with("k9 and 2 more"), "{all}");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_are_shown() {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"a\xff\x1bb\xc3\xa9");
        assert_eq!(path(Path::new(name)).to_string(), "a\\xff\\u{1b}bé");
    }

    #[test]
    fn lines_keep_their_ends_and_what_scripts_need() {
        // Emoji and Persian are joined by characters without a width.
        let text = "one\ttwo\nthree \u{1f469}\u{200d}\u{1f680}";
        assert!(matches!(lines(text), Cow::Borrowed(same) if same == text));
        assert_eq!(lines("a\x1b]0;t\x07\r\nb\u{202e}"), "a\\u{1b}]0;t\\u{7}\\r\nb\\u{202e}");
    }

    #[test]
    fn json_means_the_same() {
        let text = "\u{1b}\u{9b}\u{7f}\u{202e}é\n".to_owned();
        let encoded = json(serde_json::to_string(&text).unwrap());
        assert_eq!(encoded, r#""\u001b\u009b\u007f\u202eé\n""#);
        assert_eq!(serde_json::from_str::<String>(&encoded).unwrap(), text);
    }
}
