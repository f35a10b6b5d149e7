//! UF2, the format of files that are flashed by copying them to a drive: blocks that each say where their bytes go
//! (<https://github.com/microsoft/uf2>).

use std::io::{self, Write};

use super::image::{Image, PAGE};

const MAGIC_START: [u32; 2] = [0x0A32_4655, 0x9E5D_5157];
const MAGIC_END: u32 = 0x0AB1_6F30;

/// The block's last field but the data says whom it is for.
const FAMILY_ID_PRESENT: u32 = 0x2000;

/// Bytes of a block, and of its data.
pub const BLOCK: usize = 512;
const DATA: usize = 476;

/// Writes a block for each page of an image, for the family of that id.
///
/// # Errors
/// `out` takes no more.
pub fn write(out: &mut impl Write, image: &Image, family: u32) -> io::Result<()> {
    let n_blocks = u32::try_from(image.n_pages()).map_err(io::Error::other)?;
    for (index, (address, page)) in (0..).zip(image.pages()) {
        let header = [MAGIC_START[0], MAGIC_START[1], FAMILY_ID_PRESENT, address, PAGE as u32, index, n_blocks, family];
        for word in header {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(page)?;
        out.write_all(&[0; DATA - PAGE])?;
        out.write_all(&MAGIC_END.to_le_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_says_where_its_bytes_go_and_for_whom() {
        let mut image = Image::default();
        image.put(0x1004_0000, &[7; 300]);
        let mut bytes = Vec::new();
        write(&mut bytes, &image, 0xE48B_FF56).unwrap();
        assert_eq!(bytes.len(), 16 * BLOCK);
        let second = &bytes[BLOCK..2 * BLOCK];
        // As the specification's table has it.
        assert_eq!(
            &second[..32],
            b"UF2\n\x57\x51\x5d\x9e\0\x20\0\0\0\x01\x04\x10\0\x01\0\0\x01\0\0\0\x10\0\0\0\x56\xff\x8b\xe4"
        );
        assert!(second[32..32 + 44].iter().all(|&byte| byte == 7));
        assert!(second[32 + 44..32 + 256].iter().all(|&byte| byte == 0xFF));
        assert!(second[32 + 256..508].iter().all(|&byte| byte == 0));
        assert_eq!(&second[508..], b"\x30\x6f\xb1\x0a");
    }
}
