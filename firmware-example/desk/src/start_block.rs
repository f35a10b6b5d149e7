//! The image definition that RP2350's boot ROM looks for (RP2350 datasheet, 5.9.5: minimum viable image metadata).

/// A block of one item: an executable for Arm cores in the secure state, on this chip; no further block.
#[unsafe(link_section = ".start_block")]
#[used]
static START_BLOCK: [u32; 5] = [0xFFFF_DED3, 0x1021_0142, 0x0000_01FF, 0x0000_0000, 0xAB12_3579];
