//! Formats by budget: what each part of a model costs in few bits is measured, and the bits go where that is most.
//!
//! One part after another is stored in a bit less than all the rest, the model rounded anew, and compared with the
//! checkpoint on a text that it was not rounded by ([`Trial`]): what later matrices make up for is not counted as lost.
//! How far such measures hold on another text and in other formats is not known before it is tried. Mixes are made that
//! believe them wholly, by half and not at all, and the one that loses least is taken.

use emberlm_core::blob::Slot;
use emberlm_core::format::Format;

use super::budget::{Candidate, share_out};
use super::formats::Formats;
use super::quantized::{QuantizeError, matrices};
use super::room::{FORMATS, Room};
use super::trial::Trial;
use crate::checkpoint::Checkpoint;

/// The format of all parts but one, and of that one.
const BASE: Format = Format::Q4;
const PROBE: Format = Format::Q3;

/// A bit less doubles a format's step, and makes the divergence fourfold.
const FACTOR: f64 = 4.0;

/// How far the mixes that are tried believe the measures; the rest is what each matrix's size says.
const TRUST: [f64; 3] = [1.0, 0.5, 0.0];

/// The least of what its size says that a part is believed to cost.
const LEAST: f64 = 0.05;

/// Models that are tried out together.
const TOGETHER: usize = 8;

/// Blocks that lie side by side are measured together, in so many bands at most.
const BANDS: u32 = 4;

/// What storing each matrix in q4 costs, all others stored so too.
#[derive(Debug)]
pub struct Sensitivities<'t> {
    trial: Trial<'t>,
    /// Nats of divergence.
    damages: Vec<(Slot, Damage)>,
}

/// What a matrix costs.
#[derive(Clone, Copy, Debug)]
struct Damage {
    /// As measured.
    measured: f64,
    /// By its share of all weights.
    by_size: f64,
}

impl Damage {
    fn believed(self, trust: f64) -> f64 {
        self.measured.max(LEAST * self.by_size).powf(trust) * self.by_size.powf(1.0 - trust)
    }
}

/// What is measured together: a table, or one matrix of each block in a band.
pub fn parts(checkpoint: &Checkpoint) -> Vec<Vec<Slot>> {
    let band = checkpoint.config().n_layer.div_ceil(BANDS);
    let key = |slot: Slot| match slot {
        Slot::Layer(layer, matrix) => Slot::Layer(layer / band * band, matrix),
        table => table,
    };
    let mut parts: Vec<Vec<Slot>> = Vec::new();
    for slot in matrices(checkpoint) {
        match parts.iter_mut().find(|part| key(part[0]) == key(slot)) {
            Some(part) => part.push(slot),
            None => parts.push(vec![slot]),
        }
    }
    parts
}

impl<'t> Sensitivities<'t> {
    /// Stores each of the checkpoint's [`parts`] in a bit less than the rest, and takes what that adds to the divergence.
    /// Tells `done` of each.
    ///
    /// # Errors
    /// The text's activations are not finite.
    pub fn measure(trial: Trial<'t>, mut done: impl FnMut(&[Slot])) -> Result<Self, QuantizeError> {
        let checkpoint = trial.checkpoint();
        let weights = |slot: Slot| {
            let (rows, cols) = slot.shape(checkpoint.config());
            f64::from(rows) * f64::from(cols)
        };
        let base = Formats::uniform(checkpoint.config(), BASE);
        let probe = |part: &Vec<Slot>| {
            let mut formats = base.clone();
            part.iter().for_each(|&slot| formats.set(slot, PROBE));
            formats
        };
        let (parts, mut at_base) = (parts(checkpoint), None);
        let mut measured = Vec::new();
        // Neighbours share most: they are the same up to the first of them.
        for parts in parts.chunks(TOGETHER) {
            let probes: Vec<Formats> = parts.iter().map(probe).collect();
            let tried: Vec<&Formats> = at_base.is_none().then_some(&base).into_iter().chain(&probes).collect();
            let mut divergences = trial.divergences(&tried)?;
            let at_base = *at_base.get_or_insert_with(|| divergences.remove(0));
            for (part, divergence) in parts.iter().zip(divergences) {
                let damage = (divergence - at_base).max(0.0) / (FACTOR - 1.0);
                done(part);
                let size: f64 = part.iter().map(|&slot| weights(slot)).sum();
                measured.extend(part.iter().map(|&slot| (slot, damage * weights(slot) / size)));
            }
        }
        let size: f64 = measured.iter().map(|&(slot, _)| weights(slot)).sum();
        // Where nothing is lost anywhere, sizes decide.
        let all = measured.iter().map(|(_, damage)| damage).sum::<f64>().max(f64::MIN_POSITIVE);
        let damage = |(slot, measured)| (slot, Damage { measured, by_size: all * weights(slot) / size });
        Ok(Self { trial, damages: measured.into_iter().map(damage).collect() })
    }

    /// The formats that cost least within `room`.
    ///
    /// # Errors
    /// The text's activations are not finite.
    pub fn formats(&self, room: &Room<'_>) -> Result<Formats, QuantizeError> {
        let mut tried: Vec<Formats> = TRUST.iter().map(|&trust| self.mix(room, trust)).collect();
        let uniform = FORMATS.into_iter().find(|&format| room.fits(format));
        tried.extend(uniform.map(|format| room.settled().or(format)));
        tried.dedup();
        if tried.len() == 1 {
            return Ok(tried.swap_remove(0));
        }
        let divergences = self.trial.divergences(&tried.iter().collect::<Vec<_>>())?;
        let mut best: Option<(f64, Formats)> = None;
        for (divergence, formats) in divergences.into_iter().zip(tried) {
            if best.as_ref().is_none_or(|(least, _)| divergence < *least) {
                best = Some((divergence, formats));
            }
        }
        Ok(best.map_or_else(|| room.settled().or(BASE), |(_, formats)| formats))
    }

    /// The formats that cost least where the measures are believed so far.
    fn mix(&self, room: &Room<'_>, trust: f64) -> Formats {
        let free: Vec<_> = self.damages.iter().filter(|(slot, _)| room.is_free(*slot)).collect();
        let bits = |format: Format| format.packing().map_or(32, |packing| packing.bits) as i32;
        let choices = |&&(slot, damage): &&(Slot, Damage)| {
            let candidate = |format: Format| {
                let factor = FACTOR.powi(bits(BASE) - bits(format));
                Candidate { format, bytes: room.bytes_of(slot, format), damage: damage.believed(trust) * factor }
            };
            FORMATS.map(candidate).to_vec()
        };
        let choices: Vec<Vec<Candidate>> = free.iter().map(choices).collect();
        let picks = share_out(&choices, room.bytes()).expect("room holds the smallest formats");
        let mut formats = room.settled().or(BASE);
        free.iter().zip(picks).for_each(|((slot, _), pick)| formats.set(*slot, pick.format));
        formats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::tests::build::Draft;
    use emberlm_core::blob::LayerSlot;

    #[test]
    fn every_matrix_is_measured_once_and_shallow_models_matrix_by_matrix() {
        let checkpoint = Draft::hf().open().unwrap();
        let parts = parts(&checkpoint);
        assert!(parts.iter().all(|part| part.len() == 1));
        let mut all: Vec<Slot> = parts.concat();
        all.sort_by_key(|slot| slot.index());
        assert!(all.into_iter().eq(matrices(&checkpoint)));
        assert!(!matrices(&checkpoint).any(|slot| slot == Slot::Layer(0, LayerSlot::FcBias)));
    }

    #[test]
    fn less_trust_means_more_of_the_size() {
        let damage = Damage { measured: 4.0, by_size: 1.0 };
        assert_eq!(TRUST.map(|trust| damage.believed(trust)), [4.0, 2.0, 1.0]);
        assert_eq!(Damage { measured: 0.0, by_size: 1.0 }.believed(1.0), LEAST);
    }
}
