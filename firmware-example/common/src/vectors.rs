//! The board's kernel beside the portable one in elementwise operations.

use alloc::vec;
use alloc::vec::Vec;

use emberlm_core::kernel::{Kernel, Portable};
use emberlm_core::ops::vector::Update;

use crate::ProgramError;
use crate::kernels::Random;

const UPDATES: [Update; 3] = [Update::Set, Update::Add, Update::Scale];

/// Compares updates by floats at every address, scaling and roots, bit by bit; says how many vectors there were.
pub(crate) fn compare<K: Kernel>(kernel: &K, random: &mut Random) -> Result<usize, ProgramError> {
    let mut vectors = 0;
    for len in 0..=41 {
        let mut floats = |n| (0..n).map(|_| random.next() as i32 as f32 * (1.0 / 1_048_576.0)).collect::<Vec<f32>>();
        let (x, weights, by) = (floats(len), floats(len), floats(1)[0]);
        for offset in 0..4 {
            let mut bytes = vec![0; offset];
            bytes.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
            let weights = bytes[offset..].as_chunks().0;
            for update in UPDATES {
                let portable = bits(&x, &|x| Portable.update(x, weights, update));
                if bits(&x, &|x| kernel.update(x, weights, update)) != portable {
                    return Err(ProgramError::VectorBits { len });
                }
                vectors += 1;
            }
        }
        if bits(&x, &|x| kernel.scale(x, by)) != bits(&x, &|x| Portable.scale(x, by)) {
            return Err(ProgramError::VectorBits { len });
        }
        vectors += 1;
    }
    let roots = (0..1000).map(|_| f32::from_bits(random.next() >> 1)).chain([0.0, f32::MIN_POSITIVE, f32::MAX]);
    for x in roots.filter(|x| x.is_finite()) {
        if kernel.sqrt(x).to_bits() != Portable.sqrt(x).to_bits() {
            return Err(ProgramError::VectorBits { len: 1 });
        }
    }
    Ok(vectors)
}

/// Those of `x` after the operation.
fn bits(x: &[f32], operation: &dyn Fn(&mut [f32])) -> Vec<u32> {
    let mut x = x.to_vec();
    operation(&mut x);
    x.iter().map(|x| x.to_bits()).collect()
}
