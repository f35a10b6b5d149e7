//! BPE by scores as llama2.c does it: one merge at a time, each the best in the whole text. And its `tokenizer.bin`, written.

use emberlm_core::config::TokenId;

/// Tokens, and how soon each of them is merged.
pub struct Llama2cTokenizer {
    tokens: Vec<(f32, Vec<u8>)>,
}

impl Llama2cTokenizer {
    /// Of these pieces and their scores, behind the unknown, the beginning, the end, and the bytes.
    pub fn new(pieces: impl IntoIterator<Item = (f32, Vec<u8>)>) -> Self {
        let bytes = (0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>"));
        let first = ["<unk>", "\n<s>\n", "\n</s>\n"].map(str::to_owned).into_iter().chain(bytes);
        let first = first.map(|name| (0.0, name.into_bytes()));
        Self { tokens: first.chain(pieces).collect() }
    }

    /// Reads a `tokenizer.bin`.
    pub fn read(file: &[u8]) -> Self {
        let mut tokens = Vec::new();
        let mut rest = &file[4..];
        while let Some((head, text)) = rest.split_first_chunk::<8>() {
            let [score, length] = [0, 4].map(|at| *head[at..].first_chunk().expect("four bytes"));
            let (text, after) = text.split_at(i32::from_le_bytes(length) as usize);
            tokens.push((f32::from_le_bytes(score), text.to_vec()));
            rest = after;
        }
        Self { tokens }
    }

    /// The `tokenizer.bin`.
    pub fn file(&self) -> Vec<u8> {
        let longest = self.tokens.iter().map(|(_, text)| text.len()).max().unwrap_or(0);
        let mut file = (longest as i32).to_le_bytes().to_vec();
        for (score, text) in &self.tokens {
            file.extend(score.to_le_bytes().into_iter().chain((text.len() as i32).to_le_bytes()).chain(text.clone()));
        }
        file
    }

    fn find(&self, text: &[u8]) -> Option<TokenId> {
        self.tokens.iter().position(|(_, token)| token == text).map(|id| id as TokenId)
    }

    /// The ids of `text`, without the one that begins it.
    pub fn encode(&self, text: &str) -> Vec<TokenId> {
        let mut ids = Vec::new();
        if text.is_empty() {
            return ids;
        }
        for c in [' '].into_iter().chain(text.chars()) {
            let c = c.to_string().into_bytes();
            match self.find(&c) {
                Some(id) => ids.push(id),
                None => ids.extend(c.iter().map(|&byte| TokenId::from(byte) + 3)),
            }
        }
        loop {
            let mut best: Option<(f32, usize, TokenId)> = None;
            for at in 1..ids.len() {
                let [left, right] = [ids[at - 1], ids[at]].map(|id| &self.tokens[id as usize].1[..]);
                if let Some(id) = self.find(&[left, right].concat()) {
                    let score = self.tokens[id as usize].0;
                    if best.is_none_or(|(highest, ..)| score > highest) {
                        best = Some((score, at, id));
                    }
                }
            }
            let Some((_, at, id)) = best else { return ids };
            ids.remove(at);
            ids[at - 1] = id;
        }
    }
}
