//! What a line does to the bytes that go over it.

use std::collections::BTreeMap;

use proptest::prelude::*;

/// What becomes of a byte.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Changed(u8),
    Lost,
    Doubled,
    Preceded(u8),
}

/// One direction of a line: faults by the number of the byte that they hit.
#[derive(Clone, Debug, Default)]
pub struct Damage {
    faults: BTreeMap<usize, Fault>,
    n: usize,
}

impl Damage {
    /// Every byte of these meets the faults one after another.
    pub fn at(bytes: impl Iterator<Item = usize>) -> Self {
        let kinds = [Fault::Changed(0x41), Fault::Lost, Fault::Doubled, Fault::Preceded(0), Fault::Preceded(b'#')];
        Self { faults: bytes.zip(kinds.into_iter().cycle()).collect(), n: 0 }
    }

    /// What comes of a byte.
    pub fn pass(&mut self, byte: u8) -> impl Iterator<Item = u8> + use<> {
        let came = match self.faults.get(&self.n) {
            None => [None, Some(byte)],
            Some(Fault::Lost) => [None, None],
            Some(Fault::Changed(bits)) => [None, Some(byte ^ bits)],
            Some(Fault::Doubled) => [Some(byte), Some(byte)],
            Some(&Fault::Preceded(other)) => [Some(other), Some(byte)],
        };
        self.n += 1;
        came.into_iter().flatten()
    }
}

/// Up to 40 faults in the first 1,500 bytes.
pub fn damage() -> impl Strategy<Value = Damage> {
    let fault = prop_oneof![
        (1_u8..).prop_map(Fault::Changed),
        Just(Fault::Lost),
        Just(Fault::Doubled),
        any::<u8>().prop_map(Fault::Preceded),
        Just(Fault::Preceded(0)),
    ];
    prop::collection::btree_map(0..1500_usize, fault, 0..40).prop_map(|faults| Damage { faults, n: 0 })
}
