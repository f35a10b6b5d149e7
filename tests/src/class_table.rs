//! Writes core's table of character classes from the Unicode data of `regex-syntax`, the crate by which `tiktoken-rs` and
//! `tokenizers` read GPT-2's pattern too.

use std::fmt::Write;

use regex_syntax::hir::{Class, HirKind};

/// The source file, from the repository's root.
pub const PATH: &str = "core/src/tokenizer/class_table.rs";

/// The classes, by their codes: 0 is what none of them holds.
const CLASSES: [(u32, &str); 3] = [(1, r"\p{L}"), (2, r"\p{N}"), (3, r"\s")];

/// The inclusive ranges of code points that match a class, in order.
///
/// # Panics
/// If `class` is no class of characters.
pub fn ranges(class: &str) -> Vec<(u32, u32)> {
    let hir = regex_syntax::parse(class).expect("a pattern");
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else { panic!("{class} is no class") };
    class.ranges().iter().map(|range| (range.start().into(), range.end().into())).collect()
}

/// Where a class begins and which: the code point, shifted left by 2, plus the class's code.
fn starts() -> Vec<u32> {
    let mut taken: Vec<(u32, u32, u32)> = CLASSES
        .iter()
        .flat_map(|&(code, class)| ranges(class).into_iter().map(move |(first, last)| (first, last, code)))
        .collect();
    taken.sort_unstable();
    let (mut starts, mut at) = (Vec::new(), 0);
    for (first, last, code) in taken {
        if first > at || at == 0 {
            starts.push(at << 2);
        }
        // Neighbouring ranges of one class are one, as those of the surrogates' other side are.
        starts.push(first << 2 | code);
        at = last + 1;
    }
    starts.push(at << 2);
    starts
}

/// The source file's text.
pub fn source() -> String {
    let starts = starts();
    let mut text = format!(
        "//! The classes of all characters, {} bytes. Written by `cargo run -p emberlm-tests --example class_table`.\n\n\
         /// Where a class begins, in order: a code point, shifted left by 2, plus the class (0 other, 1 letter, 2 number,\n\
         /// 3 space).\n#[rustfmt::skip]\npub(super) static RANGES: [u32; {}] = [\n",
        4 * starts.len(),
        starts.len()
    );
    for row in starts.chunks(12) {
        let words: Vec<String> = row.iter().map(|start| format!("{start:#x}")).collect();
        let _ = writeln!(text, "    {},", words.join(", "));
    }
    text + "];\n"
}
