//! The second stage of the RP2040's boot loader: it sets up the flash of a Pico, a W25Q, to be read in place.

/// 252 bytes and their checksum, which the boot ROM looks for at the flash's first byte (RP2040 datasheet, 2.8.1.3).
#[unsafe(link_section = ".boot2")]
#[used]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;
