//! Weights of two planes as the unsigned bytes that the loops multiply.

use super::loops::MAX_GROUPS;
use crate::format::Packing;
use crate::kernel::rows::{fields, words};
use crate::part::{self, missing, split, split_mut};

/// Groups that are unpacked at a time.
pub const GROUPS: usize = MAX_GROUPS / 3;

/// Bytes of one row's unpacked groups and scales.
pub const ROW: usize = GROUPS * 33;

/// Unpacked groups of rows, each row with its scales behind.
#[repr(C, align(4))]
pub struct Unpacked(pub [u8; 3 * ROW]);

/// Unpacks groups of 32 `planes` of a row, and copies their `scales` behind.
#[inline(never)] // Its loops want all registers.
pub fn unpack(out: &mut [u8], packing: Packing, planes: &[u8], scales: &[u8]) {
    let (integers, behind) = split_mut(out, 32 * scales.len());
    match packing.planes {
        (4, 2) => unpack_planes::<4, 2>(integers, planes),
        (4, _) => unpack_planes::<4, 1>(integers, planes),
        _ => unpack_planes::<2, 1>(integers, planes),
    }
    behind.iter_mut().zip(scales).for_each(|(behind, &scale)| *behind = scale);
}

/// Four weights at a time: neighbouring weights lie in neighbouring bytes of a plane.
#[inline(always)]
fn unpack_planes<const LOW: usize, const HIGH: usize>(out: &mut [u8], planes: &[u8]) {
    let groups = part::rows(planes, 4 * (LOW + HIGH));
    for (out, planes) in out.as_chunks_mut::<32>().0.iter_mut().zip(groups) {
        let (low, high) = split(planes, 4 * LOW);
        let (Some(low), Some(high)) = (words::<LOW>(low), words::<HIGH>(high)) else { return missing() };
        for (i, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *out = (fields(&low, i) | fields(&high, i) << LOW).to_le_bytes();
        }
    }
}
