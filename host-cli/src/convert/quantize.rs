//! Rounding a checkpoint's matrices: by a text that passes through them, or each weight to the nearest.

use emberlm_core::blob::Slot;

use super::calibrate::{Windows, pass};
use super::formats::Formats;
use super::quantized::{QuantizeError, Quantized, QuantizedModel, matrices};
use crate::checkpoint::Checkpoint;

/// Rounds the matrices of `checkpoint` to `formats`, and tells `done` of each matrix.
///
/// With windows of text, the errors of integers are compensated as that text demands, see
/// [`calibrate`](super::calibrate); without, each weight goes to the integer nearest to it.
///
/// # Errors
/// See [`QuantizeError`].
pub fn quantize<'c>(
    checkpoint: &'c Checkpoint,
    formats: &Formats,
    windows: Option<&Windows>,
    mut done: impl FnMut(Slot),
) -> Result<QuantizedModel<'c>, QuantizeError> {
    let mut changed = Quantized::none(checkpoint.config());
    let has_integers = matrices(checkpoint).any(|slot| formats.get(slot).packing().is_some());
    match windows.filter(|windows| has_integers && windows.n_tokens() > 0) {
        Some(windows) => pass::round_in_order(checkpoint, formats, windows, &mut changed, done)?,
        None => matrices(checkpoint).for_each(|slot| {
            changed.round_to_nearest(checkpoint, slot, formats.get(slot));
            done(slot);
        }),
    }
    Ok(QuantizedModel::new(checkpoint, formats.clone(), changed))
}

#[cfg(test)]
mod tests {
    use super::super::quantized::is_stored;
    use super::*;
    use crate::checkpoint::Layout;
    use crate::checkpoint::tests::build::{Draft, Stored};
    use crate::convert::calibrate::OwnText;
    use crate::reference::Reference;
    use emberlm_core::blob::LayerSlot;
    use emberlm_core::config::Config;
    use emberlm_core::format::Format;

    fn own_text(checkpoint: &Checkpoint) -> Windows {
        Windows::own_text(&Reference::new(checkpoint), &OwnText::to_round_by(None), |_| ())
    }

    fn bytes(checkpoint: &Checkpoint, formats: &Formats, windows: Option<&Windows>) -> Vec<Vec<u8>> {
        let model = quantize(checkpoint, formats, windows, |_| ()).unwrap();
        Slot::all(checkpoint.config()).map(|slot| model.tensor(slot).bytes.into_owned()).collect()
    }

    fn expected_len(config: &Config, slot: Slot, format: Format) -> usize {
        let (rows, cols) = slot.shape(config);
        rows as usize * format.row_stride(cols as usize)
    }

    #[test]
    fn every_layout_has_every_tensor_in_its_format() {
        for layout in [Layout::HuggingFace, Layout::NanoGpt, Layout::Scratch] {
            let checkpoint = Draft::new(&layout, "").open().unwrap();
            let (config, windows) = (checkpoint.config(), own_text(&checkpoint));
            for format in Format::ALL {
                for windows in [None, Some(&windows)] {
                    let model = quantize(&checkpoint, &Formats::uniform(config, format), windows, |_| ()).unwrap();
                    for slot in Slot::all(config) {
                        let tensor = model.tensor(slot);
                        let stored = if slot.is_matrix() { format } else { Format::F32 };
                        let stored = Some(stored).filter(|_| is_stored(&checkpoint, slot));
                        assert_eq!(model.format(slot), stored, "{slot}");
                        let len = stored.map_or(0, |format| expected_len(config, slot, format));
                        assert_eq!(tensor.bytes.len(), len, "{slot}");
                        if format == Format::F32 {
                            assert_eq!(tensor.error.max(), 0.0, "{slot}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn calibration_changes_integers_and_biases_and_nothing_else() {
        let checkpoint = Draft::hf().open().unwrap();
        let windows = own_text(&checkpoint);
        let mut formats = Formats::uniform(checkpoint.config(), Format::Q4);
        let floats = [LayerSlot::FcWeight, LayerSlot::FcBias].map(|slot| Slot::Layer(1, slot));
        formats.set(floats[0], Format::F16);
        let (nearest, calibrated) = (bytes(&checkpoint, &formats, None), bytes(&checkpoint, &formats, Some(&windows)));
        let same = |slot: Slot| nearest[slot.index()] == calibrated[slot.index()];
        let of_floats = |slot: &Slot| {
            let norm = |slot: &Slot| slot.to_string().contains("ln_");
            floats.contains(slot) || norm(slot) || *slot == Slot::Wpe
        };
        for slot in Slot::all(checkpoint.config()).filter(of_floats) {
            assert!(same(slot), "{slot}");
        }
        for slot in [LayerSlot::AttnQkvWeight, LayerSlot::AttnQkvBias, LayerSlot::MlpProjWeight, LayerSlot::MlpProjBias]
        {
            assert!(!same(Slot::Layer(0, slot)), "{slot:?}");
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let checkpoint = Draft::new(&Layout::Scratch, "").open().unwrap();
        let formats = Formats::uniform(checkpoint.config(), Format::Q3);
        let of_threads = |n: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| bytes(&checkpoint, &formats, Some(&own_text(&checkpoint))))
        };
        assert_eq!(of_threads(1), of_threads(4));
    }

    #[test]
    fn dead_channels_and_short_texts_still_round() {
        let mut draft = Draft::hf();
        let zeros = Stored::f32(&[4], &[0.0; 4]);
        draft.tensors.insert("transformer.h.0.ln_1.weight".to_owned(), zeros.clone());
        draft.tensors.insert("transformer.h.0.ln_1.bias".to_owned(), zeros);
        let checkpoint = draft.open().unwrap();
        let windows = Windows::new([vec![3]], checkpoint.architecture());
        for format in [Format::Q8, Format::Q3] {
            let formats = Formats::uniform(checkpoint.config(), format);
            let model = quantize(&checkpoint, &formats, Some(&windows), |_| ()).unwrap();
            let largest = Slot::all(checkpoint.config()).map(|slot| model.tensor(slot).error.max()).fold(0.0, f64::max);
            assert!(largest < 4.0, "{largest}");
        }
    }

    #[test]
    fn activations_that_overflow_are_refused_by_name() {
        let mut draft = Draft::hf();
        draft.tensors.insert("transformer.h.1.ln_2.weight".to_owned(), Stored::f32(&[4], &[f32::MAX; 4]));
        let checkpoint = draft.open().unwrap();
        let formats = Formats::uniform(checkpoint.config(), Format::Q8);
        let windows = Windows::new([vec![1, 2, 3]], checkpoint.architecture());
        let error = quantize(&checkpoint, &formats, Some(&windows), |_| ()).unwrap_err();
        assert!(error.to_string().starts_with("the inputs of wte.weight are not finite"), "{error}");
        assert!(quantize(&checkpoint, &formats, None, |_| ()).is_ok());
    }
}
