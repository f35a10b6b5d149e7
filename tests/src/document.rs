//! What the repository's documents state: the numbers in a sentence, the cells of a table.
//!
//! Whatever is looked for has to be there once. A sentence that was changed or taken out fails the test that knew it.

use std::fs;
use std::path::Path;

/// Bytes that stand in one place of a sentence, at most.
const MAX_WORD: usize = 60;

/// A document at the repository's root.
#[derive(Clone, Debug)]
pub struct Document {
    name: &'static str,
    text: String,
}

impl Document {
    /// Reads `FORMAT.md`, `README.md` and their like.
    pub fn open(name: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
        Self { name, text: fs::read_to_string(path).expect("a readable document") }
    }

    /// What stands in the place of each `{}` of `sentence`. Lines end where they like.
    pub fn words<const N: usize>(&self, sentence: &str) -> [String; N] {
        let text = flat(&self.text);
        let sentence = flat(sentence);
        let literals: Vec<&str> = sentence.split("{}").collect();
        let found: Vec<Vec<String>> =
            text.match_indices(literals[0]).filter_map(|(at, _)| captures(&text[at..], &literals)).collect();
        let [words] = &found[..] else {
            panic!("{} has {} times instead of once: {sentence}", self.name, found.len());
        };
        words.clone().try_into().expect("as many places as asked for")
    }

    /// The numbers in the places of `sentence`.
    pub fn numbers<const N: usize>(&self, sentence: &str) -> [i64; N] {
        self.words(sentence).map(|word| number(&word))
    }

    /// The number in the one place of `sentence`.
    pub fn number(&self, sentence: &str) -> i64 {
        let [number] = self.numbers(sentence);
        number
    }

    /// Whether there is a block of code in that language.
    pub fn has_blocks(&self, language: &str) -> bool {
        self.text.contains(&format!("\n```{language}\n"))
    }

    /// The text of every block of code in that language.
    pub fn blocks(&self, language: &str) -> Vec<String> {
        let fence = format!("\n```{language}\n");
        let blocks = self.text.split(&fence).skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned()));
        let blocks: Vec<String> = blocks.collect();
        assert!(!blocks.is_empty(), "{} has no block of {language}", self.name);
        blocks
    }

    /// The cells of the first table behind the line that begins with `start`, without its head and without backticks.
    pub fn table(&self, start: &str) -> Vec<Vec<String>> {
        let mut lines = self.text.lines().skip_while(|line| !line.starts_with(start)).peekable();
        assert!(lines.peek().is_some(), "{} has no line that begins with: {start}", self.name);
        let rows = lines.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let rows: Vec<Vec<String>> = rows.skip(2).map(cells).collect();
        assert!(!rows.is_empty(), "{} has no table behind: {start}", self.name);
        rows
    }
}

/// The commands of shell scripts, by their words: comments are gone, quotes too, and a line that a backslash ends goes on in
/// the next.
pub fn commands(scripts: &[String]) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for line in
        scripts.iter().flat_map(|script| script.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>())
    {
        let (mut command, mut word, mut quote) = (Vec::new(), String::new(), None);
        for c in line.chars().chain([' ']) {
            match c {
                '#' if word.is_empty() && quote.is_none() => break,
                ' ' if quote.is_none() => match std::mem::take(&mut word).as_str() {
                    "" => {}
                    "&&" | "|" | ";" => commands.push(std::mem::take(&mut command)),
                    whole => command.push(whole.to_owned()),
                },
                '"' | '\'' if quote.is_none() || quote == Some(c) => quote = quote.xor(Some(c)),
                c => word.push(c),
            }
        }
        commands.push(command);
    }
    commands.retain(|command| !command.is_empty());
    commands
}

/// Runs of white space as one space.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What lies between the literals, of which `text` begins with the first.
fn captures(text: &str, literals: &[&str]) -> Option<Vec<String>> {
    let (first, others) = literals.split_first()?;
    let mut rest = text.strip_prefix(first)?;
    let mut words = Vec::new();
    for literal in others {
        assert!(!literal.is_empty(), "a sentence's last place needs an end");
        let end = rest.find(literal).filter(|end| (1..=MAX_WORD).contains(end))?;
        words.push(rest[..end].to_owned());
        rest = &rest[end + literal.len()..];
    }
    Some(words)
}

/// The number that `word` spells: `1,647,207`, `0xEDB88320`, `2^24`, `2^32 - 1`, `-2^30`.
pub fn number(word: &str) -> i64 {
    let plain = word.replace([',', '`'], "");
    parse(plain.trim()).unwrap_or_else(|| panic!("{word:?} is no number"))
}

fn parse(word: &str) -> Option<i64> {
    if let Some((power, less)) = word.split_once(" - ") {
        return Some(parse(power)? - parse(less)?);
    }
    if let Some(positive) = word.strip_prefix('-') {
        return Some(-parse(positive)?);
    }
    if let Some((base, exponent)) = word.split_once('^') {
        return parse(base)?.checked_pow(exponent.parse().ok()?);
    }
    match word.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document { name: "a document", text: text.into() }
    }

    #[test]
    fn numbers_are_spelt_in_many_ways() {
        let spelt = ["7", "1,647,207", "`0xFF`", "2^24", "2^32 - 1", "-2^30"];
        assert_eq!(spelt.map(number), [7, 1_647_207, 255, 1 << 24, (1 << 32) - 1, -(1 << 30)]);
    }

    #[test]
    fn a_sentence_is_found_across_lines() {
        let document = document("It takes 12 bytes\n  from offset `4` on. It takes time.\n");
        assert_eq!(document.numbers("takes {} bytes from offset {} on."), [12, 4]);
    }

    #[test]
    #[should_panic(expected = "0 times")]
    fn a_sentence_that_is_gone_is_missed() {
        document("It takes some bytes.").number("It takes {} bytes more.");
    }

    #[test]
    #[should_panic(expected = "2 times")]
    fn a_sentence_that_is_there_twice_is_no_source() {
        document("It takes 1 byte. It takes 2 byte.").number("It takes {} byte.");
    }

    #[test]
    fn commands_are_their_words() {
        let script = document("text\n```sh\na \"b c\" 'd'   # e\nf && g \\\n  h # i\n\n```\n```text\nj\n```\n");
        assert_eq!(commands(&script.blocks("sh")), [vec!["a", "b c", "d"], vec!["f"], vec!["g", "h"]]);
    }

    #[test]
    fn a_table_is_its_cells() {
        let document =
            document("## Head\n\ntext\n\n| a | b |\n|---|---|\n| 1 | `x` |\n| 2 | |\n\n| c |\n|---|\n| 3 |\n");
        assert_eq!(document.table("## Head"), [["1", "x"], ["2", ""]]);
    }
}
