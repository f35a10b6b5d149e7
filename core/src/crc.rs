//! CRC-32 (ISO-HDLC, the polynomial of zlib and Ethernet). On a device it goes a nibble at a time, with 64 bytes of table;
//! where there is an operating system, eight bytes at a time, with 8 KiB ("slicing", Kounavis and Berry, 2005).

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

/// What a byte becomes when `i` others have followed it.
#[cfg(not(target_os = "none"))]
static SLICES: [[u32; 256]; 8] = {
    let mut slices = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        slices[0][byte] = after_byte(byte as u32);
        let mut i = 1;
        while i < 8 {
            let crc = slices[i - 1][byte];
            slices[i][byte] = after_byte(crc & 0xFF) ^ (crc >> 8);
            i += 1;
        }
        byte += 1;
    }
    slices
};

/// A CRC of 32 bits of which only the low byte is set, one byte on.
#[cfg(not(target_os = "none"))]
const fn after_byte(crc: u32) -> u32 {
    let crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
    (crc >> 4) ^ TABLE[(crc & 15) as usize]
}

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
        #[cfg(not(target_os = "none"))]
        let bytes = self.update_by_eight(bytes);
        for &byte in bytes {
            let low = self.0 ^ u32::from(byte);
            let crc = (self.0 >> 4) ^ TABLE[(low & 15) as usize];
            let high = crc ^ u32::from(byte >> 4);
            self.0 = (crc >> 4) ^ TABLE[(high & 15) as usize];
        }
    }

    /// Returns what is left.
    #[cfg(not(target_os = "none"))]
    fn update_by_eight<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            let both = u64::from_le_bytes(*eight) ^ u64::from(self.0);
            let slices = SLICES.iter().rev().zip(both.to_le_bytes());
            self.0 = slices.fold(0, |crc, (slice, byte)| crc ^ slice[usize::from(byte)]);
        }
        rest
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
