//! Prints README's table of tokenizers: their sections, and the memory that encoding takes.

fn main() {
    emberlm_tests::tokenizer_sizes::rows().iter().for_each(|row| println!("{row}"));
}
