//! Uses a model only where its author signed it.
//!
//! The model's partition holds a blob and, right behind it, the 64 bytes of its Ed25519 signature. The author's public key
//! is part of the program: `EMBERLM_PUBLIC_KEY`, 64 hexadecimal digits, when it is built. Without, every model is refused.
//! What is signed is opened, and tested by the tokens whose loss it knows.
#![no_std]
#![no_main]

mod board;
mod signature;

use board::Mps2;
use cortex_m_rt::entry;
use ed25519_compact::PublicKey;
use emberlm_core::source::Mapped;
use emberlm_firmware::{Board, self_test};
use emberlm_request::report::{OK, Report, key};
use emberlm_semihosted::memory::model_partition;
use emberlm_semihosted::{Semihosted, exit};
use signature::{SignatureError, check_signature};

/// The author's public key.
const AUTHOR: Option<[u8; 32]> = match option_env!("EMBERLM_PUBLIC_KEY") {
    Some(digits) => Some(decode(digits.as_bytes())),
    None => None,
};

/// Bytes from hexadecimal digits.
const fn decode(digits: &[u8]) -> [u8; 32] {
    assert!(digits.len() == 64, "EMBERLM_PUBLIC_KEY has 64 hexadecimal digits");
    let mut bytes = [0; 32];
    let mut i = 0;
    while i < 64 {
        let Some(digit) = (digits[i] as char).to_digit(16) else {
            panic!("EMBERLM_PUBLIC_KEY has 64 hexadecimal digits")
        };
        bytes[i / 2] = bytes[i / 2] << 4 | digit as u8;
        i += 1;
    }
    bytes
}

#[entry]
fn main() -> ! {
    let Some((mut board, buffers)) = board::take() else { exit(false) };
    let start = board.ticks();
    let checked = signed_blob(model_partition());
    let instructions = Semihosted::<Mps2>::instructions(board.ticks() - start);
    // Nothing is left to do about a console that fails.
    let _ = match checked {
        Ok(_) => board.line(key::SIGNATURE, OK).and_then(|()| board.line(key::SIGNATURE_INSTRUCTIONS, instructions)),
        Err(error) => board.line(key::ERROR, error).and_then(|()| board.end(false)),
    };
    exit(checked.is_ok_and(|blob| self_test(&mut board, blob, buffers)))
}

/// The blob at the start of `partition`, once its signature is known to be the author's.
fn signed_blob(partition: &[u8]) -> Result<&[u8], SignatureError> {
    let author = PublicKey::new(AUTHOR.ok_or(SignatureError::NoKey)?);
    let mut source = Mapped::new(partition).map_err(|_| SignatureError::Missing)?;
    let len = check_signature(&mut source, &author)?;
    partition.get(..len).ok_or(SignatureError::Missing)
}
