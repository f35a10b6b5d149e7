//! Requests come back as they were written, and anything else is refused.

use emberlm_core::config::TokenId;
use emberlm_core::crc::Crc32;
use emberlm_core::kv_cache::KvType;
use emberlm_core::window::Convention;
use emberlm_request::{Header, Request, RequestError, encode, encoded_len};

const HEADER: Header =
    Header { n_ctx: 128, convention: Convention::Disjoint, kv_type: KvType::I8, n_bytes: Some(12_345_678_901) };

fn encoded(header: &Header, rows: &[&[TokenId]]) -> Vec<u8> {
    let mut out = vec![0xEE; encoded_len(rows).unwrap() + 5];
    let len = encode(&mut out, header, rows).unwrap();
    out.truncate(len);
    out
}

fn decoded_rows(bytes: &[u8]) -> Vec<Vec<TokenId>> {
    let request = Request::decode(bytes).unwrap();
    let read = |row: emberlm_request::Row| {
        let mut ids = vec![0; row.len()];
        assert_eq!(row.read(0, &mut ids), row.len());
        ids
    };
    request.rows().map(read).collect()
}

/// Puts the right checksum on bytes that were changed.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut crc = Crc32::new();
    crc.update(&bytes[..12]);
    crc.update(&bytes[16..]);
    bytes[12..16].copy_from_slice(&crc.finish().to_le_bytes());
    bytes
}

#[test]
fn rows_come_back_in_both_widths() {
    let cases: [&[&[TokenId]]; 5] =
        [&[&[0, 1, 65_535]], &[&[0, 1, 65_536, u32::MAX]], &[&[7, 8], &[], &[9]], &[], &[&[70_000], &[3; 300]]];
    for rows in cases {
        let bytes = encoded(&HEADER, rows);
        assert_eq!(decoded_rows(&bytes), rows);
    }
    assert!(encoded(&HEADER, cases[0]).len() < encoded(&HEADER, &[&[0, 1, 65_536]]).len());
}

#[test]
fn headers_come_back() {
    let conventions = [
        Convention::Disjoint,
        Convention::Sliding { stride: 1 },
        Convention::Sliding { stride: u32::MAX as usize },
        Convention::LlamaCpp,
    ];
    for convention in conventions {
        for kv_type in KvType::ALL {
            for n_bytes in [None, Some(0), Some(u64::MAX)] {
                for n_ctx in [1, 1024, u32::MAX as usize] {
                    let header = Header { n_ctx, convention, kv_type, n_bytes };
                    let bytes = encoded(&header, &[&[1, 2, 3]]);
                    assert_eq!(Request::decode(&bytes).unwrap().header(), &header);
                }
            }
        }
    }
}

#[test]
fn a_region_may_be_longer_than_its_request() {
    let mut bytes = encoded(&HEADER, &[&[5, 6]]);
    bytes.extend([0xFF; 64]);
    assert_eq!(decoded_rows(&bytes), [[5, 6]]);
}

#[test]
fn a_part_of_a_row_is_read() {
    let bytes = encoded(&HEADER, &[&[10, 11, 12, 13]]);
    let row = Request::decode(&bytes).unwrap().rows().next().unwrap();
    let mut ids = [0; 3];
    assert_eq!((row.read(2, &mut ids), ids), (2, [12, 13, 0]));
    assert_eq!(row.read(4, &mut ids), 0);
    assert!(!row.is_empty());
}

#[test]
fn every_truncation_and_every_flipped_bit_is_refused() {
    let bytes = encoded(&HEADER, &[&[1, 2], &[70_000]]);
    for len in 0..bytes.len() {
        assert!(matches!(Request::decode(&bytes[..len]), Err(RequestError::Truncated { have, .. }) if have == len));
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Request::decode(&flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn flipped_bits_behind_a_right_checksum_never_panic() {
    let bytes = encoded(&HEADER, &[&[1, 2], &[70_000]]);
    let mut refused = 0;
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match Request::decode(&with_checksum(flipped)) {
            Ok(request) => {
                assert!(request.rows().map(|row| row.len()).sum::<usize>() <= bytes.len())
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 16 * 8 / 2);
}

#[test]
fn what_is_wrong_is_named() {
    let bytes = encoded(&HEADER, &[&[1, 2]]);
    assert_eq!(Request::decode(&[0xFF; 64]).unwrap_err(), RequestError::BadMagic);
    let mut other = bytes.clone();
    other[4] = 9;
    assert_eq!(Request::decode(&with_checksum(other)).unwrap_err(), RequestError::OtherVersion(9));
    let mut corrupt = bytes.clone();
    *corrupt.last_mut().unwrap() ^= 1;
    assert!(matches!(Request::decode(&corrupt).unwrap_err(), RequestError::BadChecksum { .. }));
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let mut out = [0; 256];
    let no_ctx = Header { n_ctx: 0, ..HEADER };
    assert_eq!(encode(&mut out, &no_ctx, &[&[1]]), Err(RequestError::ZeroLength));
    let no_stride = Header { convention: Convention::Sliding { stride: 0 }, ..HEADER };
    assert_eq!(encode(&mut out, &no_stride, &[&[1]]), Err(RequestError::ZeroLength));
    let long = Header { n_ctx: u32::MAX as usize + 1, ..HEADER };
    assert_eq!(encode(&mut out, &long, &[&[1]]), Err(RequestError::TooLarge));
    let have = 20;
    assert!(
        matches!(encode(&mut out[..have], &HEADER, &[&[1]]), Err(RequestError::Truncated { need, have: 20 }) if need > have)
    );
}
