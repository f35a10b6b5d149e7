//! A request to bytes.

use emberlm_core::config::TokenId;
use emberlm_core::crc::Crc32;

use crate::header::StoredHeader;
use crate::{CHECKED_BYTES, Header, IdWidth, MAGIC, PREAMBLE_BYTES, RequestError, VERSION};

/// Bytes that are enough for [`encode`] to write these rows.
pub fn encoded_len(rows: &[&[TokenId]]) -> Result<usize, RequestError> {
    let ids = n_ids(rows).and_then(|n| n.checked_mul(width(rows).bytes()));
    let lengths = rows.len().checked_mul(size_of::<u32>());
    let body = ids.zip(lengths).and_then(|(ids, lengths)| ids.checked_add(lengths));
    body.and_then(|n| n.checked_add(PREAMBLE_BYTES + StoredHeader::MAX_BYTES)).ok_or(RequestError::TooLarge)
}

/// Writes the request to the front of `out` and returns its length in bytes.
///
/// Ids take two bytes each when all of them fit, else four.
///
/// # Errors
///
/// [`RequestError::Truncated`] when `out` is too short, [`RequestError::ZeroLength`] and [`RequestError::TooLarge`] for a
/// header or rows that cannot be stored.
pub fn encode(out: &mut [u8], header: &Header, rows: &[&[TokenId]]) -> Result<usize, RequestError> {
    let width = width(rows);
    let n_ids = n_ids(rows).ok_or(RequestError::TooLarge)?;
    let stored = StoredHeader::new(header, rows.len(), n_ids, width)?;
    let mut buffer = [0; StoredHeader::MAX_BYTES];
    let message: &[u8] = postcard::to_slice(&stored, &mut buffer).map_err(|_| RequestError::BadHeader)?;

    let have = out.len();
    let need = encoded_len(rows)? - StoredHeader::MAX_BYTES + message.len();
    let out = out.get_mut(..need).ok_or(RequestError::Truncated { need, have })?;
    let (preamble, body) = out.split_at_mut(PREAMBLE_BYTES);
    let body_len = u32::try_from(body.len()).map_err(|_| RequestError::TooLarge)?;

    let (head, rest) = body.split_at_mut(message.len());
    head.copy_from_slice(message);
    let (lengths, ids) = rest.split_at_mut(rows.len() * size_of::<u32>());
    for (into, row) in lengths.chunks_exact_mut(size_of::<u32>()).zip(rows) {
        into.copy_from_slice(&(row.len() as u32).to_le_bytes());
    }
    for (into, id) in ids.chunks_exact_mut(width.bytes()).zip(rows.iter().copied().flatten()) {
        into.copy_from_slice(&id.to_le_bytes()[..width.bytes()]);
    }

    preamble[..4].copy_from_slice(&MAGIC);
    preamble[4..6].copy_from_slice(&VERSION.to_le_bytes());
    preamble[6..8].copy_from_slice(&(message.len() as u16).to_le_bytes());
    preamble[8..12].copy_from_slice(&body_len.to_le_bytes());
    let mut crc = Crc32::new();
    crc.update(&preamble[..CHECKED_BYTES]);
    crc.update(body);
    preamble[CHECKED_BYTES..].copy_from_slice(&crc.finish().to_le_bytes());
    Ok(need)
}

fn n_ids(rows: &[&[TokenId]]) -> Option<usize> {
    rows.iter().try_fold(0_usize, |sum, row| sum.checked_add(row.len()))
}

fn width(rows: &[&[TokenId]]) -> IdWidth {
    let narrow = rows.iter().copied().flatten().all(|&id| u16::try_from(id).is_ok());
    if narrow { IdWidth::U16 } else { IdWidth::U32 }
}
