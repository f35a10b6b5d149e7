//! A page with a model inside: one HTML file, which needs no server and no network.
//!
//! It holds core as a module of WebAssembly, made of `firmware-example/web`, and a blob, both in Base64. A policy in its
//! head keeps it from reaching anything.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The module, optimised; `firmware-example/web` builds it.
pub const MODULE: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/bundled/emberlm.wasm"));

/// What a page of this tool's has near its beginning.
pub const MARK: &str = "<meta name=\"generator\" content=\"emberlm page\">";

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const WORKER: &str = include_str!("worker.js");

/// The page of a blob, or of none: then it asks for one. `title` and `prompt` are anybody's words.
pub fn page(blob: &[u8], title: &str, prompt: &str) -> String {
    let parts = [
        ("title", escaped(title)),
        ("style", STYLE.into()),
        ("prompt", escaped(prompt)),
        ("wasm", BASE64_STANDARD.encode(MODULE)),
        ("blob", BASE64_STANDARD.encode(blob)),
        ("worker", WORKER.into()),
        ("script", SCRIPT.into()),
    ];
    let mut rest = PAGE;
    let mut page = String::new();
    while let Some((before, after)) = rest.split_once('{') {
        page += before;
        let part = after.split_once('}').and_then(|(name, after)| {
            let (_, text) = parts.iter().find(|(part, _)| *part == name)?;
            Some((text, after))
        });
        match part {
            Some((text, after)) => {
                page += text;
                rest = after;
            }
            None => {
                page.push('{');
                rest = after;
            }
        }
    }
    page + rest
}

/// Words as HTML has them, in text and in what a text area begins with.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_filled_once_and_words_stay_words() {
        let page = page(b"blob", "a<b>&{script}", "</textarea><script>\"{wasm}\"");
        assert!(page.contains("<title>a&lt;b&gt;&amp;{script}</title>"));
        assert!(page.contains(">&lt;/textarea&gt;&lt;script&gt;&quot;{wasm}&quot;</textarea>"));
        assert!(page.contains(&format!("id=\"model-blob\">{}</script>", BASE64_STANDARD.encode(b"blob"))));
        assert_eq!(page.matches(&BASE64_STANDARD.encode(MODULE)).count(), 1);
        assert!(page.find(MARK).is_some_and(|at| at < 512));
        assert_eq!(page.matches("<script").count(), 4);
        assert_eq!(page.matches("</script").count(), 4);
    }

    /// Nothing is fetched: not by a tag, nor by a script.
    #[test]
    fn the_page_names_no_address() {
        for text in [PAGE, STYLE, SCRIPT, WORKER] {
            for word in ["http:", "https:", "//cdn", "src=", "href=", "fetch(", "import(", "@import", "XMLHttpRequest"]
            {
                assert!(!text.contains(word), "{word}");
            }
        }
        assert!(PAGE.contains("default-src 'none'"));
    }
}
