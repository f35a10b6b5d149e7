//! What a linked program has for a flash.

use elf::ElfBytes;
use elf::abi::PT_LOAD;
use elf::endian::AnyEndian;

/// The bytes that a program's file loads, and the addresses that they lie at before it runs.
///
/// # Errors
/// Why the file is damaged.
pub fn segments(file: &[u8]) -> Result<Vec<(u64, &[u8])>, String> {
    let damaged = |error| format!("a damaged ELF file ({error})");
    let elf = ElfBytes::<AnyEndian>::minimal_parse(file).map_err(damaged)?;
    let headers = elf.segments().ok_or("a program without segments")?;
    let loaded = headers.iter().filter(|header| header.p_type == PT_LOAD && header.p_filesz > 0);
    loaded.map(|header| Ok((header.p_paddr, elf.segment_data(&header).map_err(damaged)?))).collect()
}
