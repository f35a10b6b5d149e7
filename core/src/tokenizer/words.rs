//! Tables of little-endian u32 words, read where they lie.

/// An entry that stands for nothing.
pub(super) const NONE: u32 = u32::MAX;

/// A table of `N` words a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a, const N: usize>(&'a [[[u8; 4]; N]]);

impl<'a, const N: usize> Table<'a, N> {
    /// A table without rows.
    pub const EMPTY: Self = Self(&[]);

    /// Takes a table of `rows` rows from the front of `bytes`; `None` where they are too few.
    pub fn take(bytes: &mut &'a [u8], rows: u32) -> Option<Self> {
        let (table, rest) = bytes.split_at_checked((rows as usize).checked_mul(4 * N)?)?;
        *bytes = rest;
        Some(Self(table.as_chunks().0.as_chunks().0))
    }

    /// Rows.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Row `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<[u32; N]> {
        self.0.get(index).map(|row| row.map(u32::from_le_bytes))
    }

    /// All rows.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = [u32; N]> + use<'a, N> {
        self.0.iter().map(|row| row.map(u32::from_le_bytes))
    }
}
