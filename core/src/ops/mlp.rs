//! What an MLP does with the outputs of its first matrix.

use super::fixed::multiply;
use super::gelu::gelu;
use super::lanes::Lanes;
use super::relu::{relu, relu_squared};
use super::silu::silu;
use crate::config::{Activation, GATE_RUN, Mlp};
use crate::features::{GATED_MLP, GELU_ERF, GELU_TANH, RELU, SILU};
use crate::part::{missing, part_mut, split};

/// Makes each element of `out` the function of `x` in its place.
pub fn activate(lanes: &impl Lanes, out: &mut [f32], x: &[f32], activation: Activation) {
    match activation {
        Activation::Gelu(form) if GELU_TANH || GELU_ERF => gelu(lanes, out, x, form),
        Activation::Silu if SILU => silu(lanes, out, x),
        Activation::Relu if RELU => relu(out, x),
        Activation::ReluSquared if RELU => relu_squared(out, x),
        _ => missing(),
    }
}

/// Makes hidden values of rows `first ..` of an MLP's first matrix: `outputs` are theirs, `hidden` `[n_ff]` is the whole
/// layer of a position. With a gate, rows come in order: what the gate's leave in `hidden` those of the layer multiply.
pub fn hide(lanes: &impl Lanes, hidden: &mut [f32], outputs: &[f32], first: usize, mlp: Mlp) {
    if !(GATED_MLP && mlp.gated) {
        return activate(lanes, part_mut(hidden, first..first + outputs.len()), outputs, mlp.activation);
    }
    let (mut row, mut outputs, n_ff) = (first, outputs, hidden.len());
    if row.is_multiple_of(2 * GATE_RUN) {
        // Whole runs with their gates in front.
        let runs = part_mut(hidden, row / 2..).as_chunks_mut::<GATE_RUN>().0;
        let (pairs, _) = outputs.as_chunks::<GATE_RUN>().0.as_chunks::<2>();
        for (hidden, [gate, up]) in runs.iter_mut().zip(pairs) {
            activate(lanes, hidden, gate, mlp.activation);
            for (gate, &up) in hidden.iter_mut().zip(up) {
                *gate = multiply(*gate, up);
            }
        }
        let taken = 2 * GATE_RUN * runs.len().min(pairs.len());
        (row, outputs) = (row + taken, split(outputs, taken).1);
    }
    while !outputs.is_empty() {
        // The last run may be shorter.
        let unit = row / (2 * GATE_RUN) * GATE_RUN;
        let run = GATE_RUN.min(n_ff.saturating_sub(unit)).max(1);
        let within = row % (2 * GATE_RUN);
        let (is_gate, at) = if within < run { (true, within) } else { (false, within - run) };
        let (these, rest) = split(outputs, outputs.len().min(run.saturating_sub(at).max(1)));
        let hidden = part_mut(hidden, unit + at..unit + at + these.len());
        if is_gate {
            activate(lanes, hidden, these, mlp.activation);
        } else {
            hidden.iter_mut().zip(these).for_each(|(gate, &up)| *gate = multiply(*gate, up));
        }
        (row, outputs) = (row + these.len(), rest);
    }
}

/// Rows of an MLP's first matrix that make hidden values `0 .. n`, `n` being a multiple of [`GATE_RUN`] or `n_ff` where
/// there is a gate.
#[inline(always)]
pub const fn rows_of(n: usize, mlp: Mlp) -> usize {
    if GATED_MLP && mlp.gated { 2 * n } else { n }
}

/// The end of a step that is to make hidden values up to `end` of `n_ff`: with a gate, of a whole run.
#[inline(always)]
pub const fn whole_runs(end: usize, n_ff: usize, mlp: Mlp) -> usize {
    if !(GATED_MLP && mlp.gated) {
        return end;
    }
    let end = end.next_multiple_of(GATE_RUN);
    if end < n_ff { end } else { n_ff }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::lanes::Plain;
    use std::vec::Vec;

    const SILU: Mlp = Mlp { activation: Activation::Silu, gated: true };

    #[test]
    fn gates_meet_their_values_however_rows_come() {
        for n_ff in [1, 7, 8, 9, 16, 20, 23] {
            let gates: Vec<f32> = (0..n_ff).map(|i| i as f32 * 0.7 - 4.0).collect();
            let ups: Vec<f32> = (0..n_ff).map(|i| 3.0 - i as f32 * 0.3).collect();
            let rows: Vec<f32> =
                gates.chunks(8).zip(ups.chunks(8)).flat_map(|(gate, up)| [gate, up].concat()).collect();
            let mut want = std::vec![0.0; n_ff];
            silu(&Plain, &mut want, &gates);
            want.iter_mut().zip(&ups).for_each(|(x, &up)| *x *= up);
            for at_once in 1..=rows.len() {
                let mut hidden = std::vec![f32::NAN; n_ff];
                for first in (0..rows.len()).step_by(at_once) {
                    hide(&Plain, &mut hidden, &rows[first..rows.len().min(first + at_once)], first, SILU);
                }
                assert_eq!(hidden, want, "{n_ff}, {at_once} rows at once");
            }
        }
    }

    #[test]
    fn without_a_gate_a_row_is_a_value() {
        let mlp = Mlp { activation: Activation::Relu, gated: false };
        let mut hidden = [0.0; 3];
        hide(&Plain, &mut hidden, &[-1.0, 2.0], 1, mlp);
        assert_eq!(hidden, [0.0, 0.0, 2.0]);
        assert_eq!((rows_of(5, mlp), whole_runs(5, 20, mlp)), (5, 5));
        assert_eq!([1, 8, 9, 17, 20].map(|end| whole_runs(end, 20, SILU)), [8, 8, 16, 20, 20]);
    }
}
