//! The first bytes of a blob.

use serde::{Deserialize, Serialize};

/// A blob's first eight bytes.
pub const MAGIC: [u8; 8] = *b"EMBERLM\0";

/// What has to be known to find everything else; [`Preamble::BYTES`] long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preamble {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT_VERSION`](super::FORMAT_VERSION) of the writer.
    #[serde(with = "postcard::fixint::le")]
    pub format_version: u16,
    /// Length of the manifest, which follows the preamble at once.
    #[serde(with = "postcard::fixint::le")]
    pub manifest_bytes: u32,
    /// Length of the whole blob, the final CRC included.
    #[serde(with = "postcard::fixint::le")]
    pub blob_bytes: u64,
    /// CRC-32 of the preamble's bytes before this field and of the manifest.
    #[serde(with = "postcard::fixint::le")]
    pub header_crc32: u32,
}

impl Preamble {
    /// Length of an encoded preamble.
    pub const BYTES: usize = 26;

    /// Length of the part of the preamble that `header_crc32` covers.
    pub const CHECKED_BYTES: usize = Self::BYTES - 4;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_to_the_specified_bytes() {
        let preamble = Preamble {
            magic: MAGIC,
            format_version: 0x0102,
            manifest_bytes: 0x0304_0506,
            blob_bytes: 0x0708_090A_0B0C_0D0E,
            header_crc32: 0x0F10_1112,
        };
        let mut bytes = [0; Preamble::BYTES];
        assert_eq!(postcard::to_slice(&preamble, &mut bytes).unwrap().len(), Preamble::BYTES);
        assert_eq!(&bytes[..14], b"EMBERLM\0\x02\x01\x06\x05\x04\x03");
        assert_eq!(&bytes[14..], b"\x0E\x0D\x0C\x0B\x0A\x09\x08\x07\x12\x11\x10\x0F");
        assert_eq!(postcard::from_bytes::<Preamble>(&bytes).unwrap(), preamble);
    }
}
