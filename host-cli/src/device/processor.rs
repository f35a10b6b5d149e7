//! Which processor a program is built for, as its ELF file's attributes say, and whether a board's runs it.

use elf::endian::{AnyEndian, EndianParse};
use elf::{ElfBytes, abi};

/// Arm's processors without an operating system, each of which runs what is built for those before it: their names, what
/// `target` or `target-cpu` begins with, and their numbers.
const ARM: [(&str, &str, &[u64]); 6] = [
    ("Armv6-M (Cortex-M0)", "thumbv6m", &[11, 12]),
    ("Armv7-M (Cortex-M3)", "thumbv7m", &[10]),
    ("Armv7E-M (Cortex-M4 and M7)", "thumbv7em", &[13]),
    ("Armv8-M Baseline (Cortex-M23)", "thumbv8m.base", &[16]),
    ("Armv8-M Mainline (Cortex-M33)", "thumbv8m.main", &[17]),
    ("Armv8.1-M Mainline (Cortex-M55)", "cortex-m55", &[21]),
];

/// What Arm calls the number of a processor, and its profile.
const CPU_ARCH: u64 = 6;
const CPU_ARCH_PROFILE: u64 = 7;

/// What RISC-V calls the string of a processor's extensions.
const ARCH: u64 = 5;

/// The extensions with one letter, in the order of names.
const LETTERS: &str = "imafdqcbvh";

/// What the program is built for and what the board has, where the board's processor, whose code is for `target` and built
/// with `rustflags`, does not run it. A program that says
/// nothing of it is taken for one that runs.
pub fn mismatch(
    program: &ElfBytes<'_, AnyEndian>,
    target: &'static str,
    rustflags: &str,
) -> Option<(String, &'static str)> {
    let attributes = attributes(program)?;
    match target.strip_prefix("riscv32") {
        Some(_) => riscv(attributes, target),
        None => arm(attributes, target, rustflags),
    }
}

fn arm(attributes: &[u8], target: &str, rustflags: &str) -> Option<(String, &'static str)> {
    // CPU_raw_name and CPU_name, and what came later.
    let is_text = |tag| tag == 4 || tag == 5 || tag > 32 && tag % 2 == 1;
    let number = |tag| match find(attributes, tag, is_text)? {
        Value::Number(number) => Some(number),
        Value::Text(_) => None,
    };
    let is_boards = |cpu: &str| target.starts_with(cpu) || rustflags.contains(cpu);
    let boards = ARM.iter().rposition(|&(_, cpu, _)| is_boards(cpu))?;
    let (arch, profile) = (number(CPU_ARCH)?, number(CPU_ARCH_PROFILE).unwrap_or_default());
    let need = ARM[boards].0;
    if [b'A', b'R'].map(u64::from).contains(&profile) {
        return Some((format!("Arm's profile {}", profile as u8 as char), need));
    }
    let programs = ARM.iter().position(|(_, _, numbers)| numbers.contains(&arch))?;
    (programs > boards).then(|| (ARM[programs].0.to_owned(), need))
}

fn riscv(attributes: &[u8], target: &'static str) -> Option<(String, &'static str)> {
    let Value::Text(arch) = find(attributes, ARCH, |tag| tag % 2 == 1)? else { return None };
    let programs = letters(std::str::from_utf8(arch).ok()?.strip_prefix("rv32")?);
    let need = target.split('-').next()?;
    let boards = letters(need.strip_prefix("riscv32")?);
    let lacks = programs.chars().any(|letter| !boards.contains(letter));
    lacks.then(|| (format!("riscv32{programs}"), need))
}

/// The extensions with one letter among all: those of `i2p1_m2p0_zmmul1p0`, where versions stand behind, are `im`.
fn letters(extensions: &str) -> String {
    let has_one = |piece: &&str| !piece.starts_with(['s', 'x', 'z']);
    let single: String = extensions.split('_').filter(has_one).collect();
    LETTERS.chars().filter(|&letter| single.contains(letter)).collect()
}

/// The value of an attribute.
#[derive(Debug, PartialEq, Eq)]
enum Value<'e> {
    Number(u64),
    /// Without its end.
    Text(&'e [u8]),
}

/// The attributes of the whole file: the first of the first vendor, which is who made the processor.
fn attributes<'e>(elf: &ElfBytes<'e, AnyEndian>) -> Option<&'e [u8]> {
    // RISC-V's type has the same number.
    let header = elf.section_headers()?.iter().find(|header| header.sh_type == abi::SHT_ARM_ATTRIBUTES)?;
    let (data, _) = elf.section_data(&header).ok()?;
    let (_, vendor) = data.strip_prefix(b"A")?.split_at_checked(4)?;
    let name = vendor.iter().position(|&byte| byte == 0)?;
    let (&of_file, rest) = vendor[name + 1..].split_first()?;
    let len = elf.ehdr.endianness.parse_u32_at(&mut 0, rest).ok()? as usize;
    // The length is that of itself and the byte before too.
    (of_file == 1).then(|| rest.get(4..len.checked_sub(1)?))?
}

/// Looks for an attribute among those whose values are texts or numbers.
fn find(mut bytes: &[u8], wanted: u64, is_text: impl Fn(u64) -> bool) -> Option<Value<'_>> {
    loop {
        let tag = number(&mut bytes)?;
        let value = if is_text(tag) { Value::Text(text(&mut bytes)?) } else { Value::Number(number(&mut bytes)?) };
        if tag == wanted {
            return Some(value);
        }
        // Compatibility, the one with both.
        if tag == 32 {
            text(&mut bytes)?;
        }
    }
}

/// Takes a number in ULEB128.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let len = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let (number, rest) = bytes.split_at(len);
    *bytes = rest;
    (len <= 9).then(|| number.iter().rev().fold(0, |value, &byte| value << 7 | u64::from(byte & 0x7F)))
}

/// Takes a text that ends with a zero.
fn text<'e>(bytes: &mut &'e [u8]) -> Option<&'e [u8]> {
    let len = bytes.iter().position(|&byte| byte == 0)?;
    let (text, rest) = bytes.split_at(len);
    *bytes = &rest[1..];
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Board;

    /// What linkers write of a Cortex-M4F, in part.
    const M4F: &[u8] = b"\x43\x322.09\0\x05cortex-m4\0\x06\x0d\x07M\x20\x01aeabi\0\x44\x01";

    /// A program with these attributes, of a vendor.
    fn program(vendor: &str, attributes: &[u8]) -> Vec<u8> {
        let length = |bytes: usize| u32::try_from(bytes).unwrap().to_le_bytes();
        let mut section = b"A".to_vec();
        section.extend(length(4 + vendor.len() + 1 + 5 + attributes.len()));
        section.extend(vendor.bytes().chain([0, 1]));
        section.extend(length(5 + attributes.len()));
        section.extend(attributes);
        let mut file = vec![0; 52];
        file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1, 1, 1]);
        // A program, whose one section after the first that is none comes with the headers behind this one.
        file[16] = 2;
        file[20] = 1;
        file[32] = 52;
        file[40] = 52;
        file[46] = 40;
        file[48] = 2;
        file.extend([0; 40]);
        let words = [0, abi::SHT_ARM_ATTRIBUTES, 0, 0, 132, u32::try_from(section.len()).unwrap(), 0, 0, 1, 0];
        file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        file.extend(section);
        file
    }

    fn check(file: &[u8], board: &str) -> Option<(String, &'static str)> {
        let Board { target, rustflags, .. } = Board::named(board).unwrap();
        mismatch(&ElfBytes::minimal_parse(file).unwrap(), target, rustflags)
    }

    #[test]
    fn a_board_runs_what_is_for_its_processor_or_an_older_one() {
        let boards = ["microbit", "mps2-an385", "mps2-an386", "", "mps2-an505", "mps3-an547"];
        for (i, (have, _, numbers)) in ARM.iter().enumerate() {
            for &arch in *numbers {
                let file = program("aeabi", &[6, arch as u8, 7, b'M']);
                for (j, board) in boards.iter().enumerate().filter(|(_, board)| !board.is_empty()) {
                    let want = (i > j).then(|| ((*have).to_owned(), ARM[j].0));
                    assert_eq!(check(&file, board), want, "{have} on {board}");
                }
            }
        }
        for extensions in ["imc", "imac", "imafc"] {
            let file = program("riscv", format!("\x04\x10\x05rv32{extensions}\0").as_bytes());
            for (board, has) in [("virt-rv32imc", "imc"), ("virt-rv32imac", "imac"), ("virt-rv32imafc", "imafc")] {
                let lacks = extensions.len() > has.len();
                let found = check(&file, board).map(|(have, need)| (have, need.to_owned()));
                assert_eq!(found, lacks.then(|| (format!("riscv32{extensions}"), format!("riscv32{has}"))));
            }
        }
    }

    #[test]
    fn attributes_as_linkers_write_them() {
        let is_text = |tag| tag == 4 || tag == 5 || tag > 32 && tag % 2 == 1;
        assert_eq!(find(M4F, 5, is_text), Some(Value::Text(b"cortex-m4")));
        assert_eq!([6, 7, 68].map(|tag| find(M4F, tag, is_text)), [13, 77, 1].map(|n| Some(Value::Number(n))));
        assert_eq!(check(&program("aeabi", M4F), "mps2-an386"), None);
        assert_eq!(check(&program("aeabi", M4F), "mps2-an385"), Some((ARM[2].0.to_owned(), ARM[1].0)));
        let application = check(&program("aeabi", b"\x06\x0a\x07A"), "mps3-an547");
        assert_eq!(application, Some(("Arm's profile A".into(), ARM[5].0)));
        assert_eq!(letters("i2p1_m2p0_a2p1_f2p2_c2p0_zicsr2p0_zmmul1p0_zaamo1p0_zca1p0"), "imafc");
        assert_eq!(number(&mut [0x80, 0x7F].as_slice()), Some(0x3F80));
    }

    #[test]
    fn what_says_nothing_or_is_damaged_is_let_through() {
        let says = |attributes: &[u8]| check(&program("aeabi", attributes), "microbit");
        for attributes in [b"".as_slice(), b"\x06", b"\x06\x63", b"\x05cortex", b"\x07M", b"\xff\xff\xff"] {
            assert_eq!(says(attributes), None, "{attributes:?}");
        }
        let file = program("aeabi", M4F);
        assert!(check(&file, "microbit").is_some());
        // However the section is cut or damaged.
        for len in 132..file.len() {
            if let Ok(elf) = ElfBytes::minimal_parse(&file[..len]) {
                assert_eq!(mismatch(&elf, Board::named("microbit").unwrap().target, ""), None, "{len}");
            }
            for byte in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut damaged = file.clone();
                damaged[len] = byte;
                let _ = check(&damaged, "microbit");
            }
        }
    }
}
