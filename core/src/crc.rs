//! CRC-32 (ISO-HDLC, the polynomial of zlib and Ethernet), a nibble at a time: 64 bytes of table.

const POLYNOMIAL: u32 = 0xEDB8_8320;

const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut nibble = 0;
    while nibble < 16 {
        let mut crc = nibble as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[nibble] = crc;
        nibble += 1;
    }
    table
};

/// A CRC-32 under way.
#[derive(Clone, Copy, Debug)]
pub struct Crc32(u32);

impl Crc32 {
    /// The checksum of nothing so far.
    pub const fn new() -> Self {
        Self(!0)
    }

    /// Takes in the next bytes.
    #[inline(never)]
    pub fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let low = self.0 ^ u32::from(byte);
            let crc = (self.0 >> 4) ^ TABLE[(low & 15) as usize];
            let high = crc ^ u32::from(byte >> 4);
            self.0 = (crc >> 4) ^ TABLE[(high & 15) as usize];
        }
    }

    /// The checksum of all the bytes taken in.
    pub const fn finish(self) -> u32 {
        !self.0
    }
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

/// The CRC-32 of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(bytes);
    crc.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_the_catalogue() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn pieces_add_up() {
        let bytes: [u8; 97] = core::array::from_fn(|i| (i * 37) as u8);
        for cut in 0..bytes.len() {
            let mut crc = Crc32::new();
            crc.update(&bytes[..cut]);
            crc.update(&bytes[cut..]);
            assert_eq!(crc.finish(), crc32(&bytes));
        }
    }
}
