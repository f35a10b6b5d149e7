//! Bytes of a flash, page by page.

use std::collections::BTreeMap;

/// Bytes of a page, which is written at once.
pub const PAGE: usize = 256;

/// Bytes of a sector, which is erased at once: what is written of one is written whole, since a boot ROM may erase what
/// it was given of a sector before (RP2040 datasheet, errata RP2040-E14).
const SECTOR: u32 = 4096;

/// What an erased byte is.
const ERASED: u8 = 0xFF;

/// Pages by their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image(BTreeMap<u32, [u8; PAGE]>);

impl Image {
    /// Puts bytes at an address, where they and their sectors end below 4 GiB. Bytes of the sectors that nothing is put to
    /// are as if erased.
    pub fn put(&mut self, mut address: u32, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let offset = address as usize % PAGE;
            let (now, later) = bytes.split_at(bytes.len().min(PAGE - offset));
            let sector = address / SECTOR * SECTOR;
            if !self.0.contains_key(&sector) {
                self.0.extend((sector..=sector + (SECTOR - 1)).step_by(PAGE).map(|page| (page, [ERASED; PAGE])));
            }
            if let Some(page) = self.0.get_mut(&(address - offset as u32)) {
                page[offset..offset + now.len()].copy_from_slice(now);
            }
            address += now.len() as u32;
            bytes = later;
        }
    }

    /// Pages in all.
    pub fn n_pages(&self) -> usize {
        self.0.len()
    }

    /// The pages and their addresses, which rise.
    pub fn pages(&self) -> impl Iterator<Item = (u32, &[u8; PAGE])> {
        self.0.iter().map(|(&address, page)| (address, page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_are_whole_and_apart() {
        let mut image = Image::default();
        image.put(0x1000_0FFF, &[1, 2]);
        image.put(0x1000_5000, &[3]);
        image.put(0x1000_1001, &[4]);
        let pages: Vec<_> = image.pages().collect();
        assert_eq!(pages.len(), 3 * 16);
        let starts: Vec<u32> = pages.iter().map(|(address, _)| *address).step_by(16).collect();
        assert_eq!(starts, [0x1000_0000, 0x1000_1000, 0x1000_5000]);
        assert_eq!((pages[15].1[255], &pages[16].1[..3], pages[32].1[0]), (1, &[2, 4, ERASED][..], 3));
    }
}
