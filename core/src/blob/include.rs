//! Blobs that are a part of the program.

use super::FORMAT_VERSION;
use super::preamble::MAGIC;

/// A blob included in the program, at an address that [`Mapped`](crate::source::Mapped) accepts (`include_bytes!` alone
/// promises none). The path is relative to the file that names it.
///
/// ```
/// static MODEL: &[u8] = emberlm_core::include_blob!("../../examples/letters.blob");
/// # assert!(MODEL.as_ptr().addr().is_multiple_of(emberlm_core::source::ALIGNMENT));
/// ```
///
/// What is no blob, or one of another format version, does not compile:
///
/// ```compile_fail,E0080
/// static MODEL: &[u8] = emberlm_core::include_blob!("../../Cargo.toml");
/// ```
#[macro_export]
macro_rules! include_blob {
    ($path:expr $(,)?) => {{
        const { $crate::blob::include::check(include_bytes!($path)) };
        static BLOB: &$crate::source::Aligned<[u8]> = &$crate::source::Aligned(*include_bytes!($path));
        &BLOB.0
    }};
}

/// Has the compiler refuse what [`Model::open`](crate::model::Model::open) would for its first bytes.
#[doc(hidden)]
pub const fn check(bytes: &[u8]) {
    let Some((magic, rest)) = bytes.split_first_chunk::<8>() else { panic!("not an emberlm blob") };
    let Some(version) = rest.first_chunk::<2>() else { panic!("the blob is cut off") };
    let mut i = 0;
    while i < MAGIC.len() {
        assert!(magic[i] == MAGIC[i], "not an emberlm blob");
        i += 1;
    }
    assert!(u16::from_le_bytes(*version) == FORMAT_VERSION, "the blob has another format version: convert again");
}
