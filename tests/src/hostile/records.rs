//! Records of losses, of any bytes.

use emberlm::score::merge::merge;

/// The bytes as a file of records, whose checksum is put right, merged alone.
pub fn run(data: &[u8]) -> bool {
    let file = [data, &crc32fast::hash(data).to_le_bytes()].concat();
    let folder = super::folder(&[("records", &file)]);
    let Ok(merged) = merge(&[folder.path().join("records")]) else { return false };
    let of_texts: u64 = merged.texts.iter().map(|score| score.n()).sum();
    assert!(merged.score.n() > 0 && merged.score.n() == of_texts, "{merged:?}");
    for (score, text) in merged.texts.iter().zip(&merged.run.texts) {
        assert_eq!(score.n(), text.tokens_scored, "{merged:?}");
    }
    let line = data.iter().position(|&byte| byte == b'\n').expect("a header's end");
    assert_eq!(4 * merged.score.n(), (data.len() - line - 1) as u64, "{merged:?}");
    true
}
