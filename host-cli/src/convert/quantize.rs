//! Rounding a checkpoint's matrices: by a text that passes through them, or each weight to the nearest.

use std::sync::Arc;

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
    let mut models = quantize_all(checkpoint, &[formats], windows, |_, slot| done(slot))?;
    Ok(models.pop().expect("a model for each choice of formats"))
}

/// As [`quantize`], for several choices of formats, of which `done` is told the index; what they share is done once.
///
/// # Errors
/// See [`QuantizeError`].
pub fn quantize_all<'c>(
    checkpoint: &'c Checkpoint,
    formats: &[&Formats],
    windows: Option<&Windows>,
    mut done: impl FnMut(usize, Slot),
) -> Result<Vec<QuantizedModel<'c>>, QuantizeError> {
    let has_integers = |formats: &Formats| matrices(checkpoint).any(|slot| formats.get(slot).packing().is_some());
    let windows = windows.filter(|windows| windows.n_tokens() > 0);
    let (calibrated, others): (Vec<usize>, Vec<usize>) =
        (0..formats.len()).partition(|&choice| windows.is_some() && has_integers(formats[choice]));
    let mut changed: Vec<Quantized> = formats.iter().map(|_| Quantized::none(checkpoint.config())).collect();
    for choice in others {
        for slot in matrices(checkpoint) {
            let stored = Quantized::nearest(checkpoint, slot, formats[choice].get(slot));
            stored.into_iter().for_each(|stored| changed[choice].put(slot, Arc::new(stored)));
            done(choice, slot);
        }
    }
    if let (Some(windows), false) = (windows, calibrated.is_empty()) {
        let of_calibrated: Vec<&Formats> = calibrated.iter().map(|&choice| formats[choice]).collect();
        let done = |index: usize, slot| done(calibrated[index], slot);
        let rounded = pass::round_in_order(checkpoint, &of_calibrated, windows, done)?;
        calibrated.iter().zip(rounded).for_each(|(&choice, rounded)| changed[choice] = rounded);
    }
    let model =
        |(formats, changed): (&&Formats, Quantized)| QuantizedModel::new(checkpoint, (*formats).clone(), changed);
    Ok(formats.iter().zip(changed).map(model).collect())
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
    fn choices_that_go_side_by_side_come_to_what_each_comes_to_alone() {
        for tied in [true, false] {
            let draft = if tied { Draft::hf() } else { Draft::new(&Layout::Scratch, "") };
            let checkpoint = draft.open().unwrap();
            assert_eq!(checkpoint.is_tied(), tied);
            let (config, windows) = (checkpoint.config(), own_text(&checkpoint));
            let q4 = Formats::uniform(config, Format::Q4);
            let with = |slot: Slot, format: Format| {
                let mut formats = q4.clone();
                formats.set(slot, format);
                formats
            };
            let late = Slot::Layer(1, LayerSlot::AttnProjWeight);
            let all = [
                with(late, Format::Q3),
                q4.clone(),
                Formats::uniform(config, Format::F16),
                with(Slot::Layer(0, LayerSlot::FcWeight), Format::F32),
                with(Slot::Wte, Format::Q8),
            ];
            for windows in [None, Some(&windows)] {
                let mut done = vec![0; all.len()];
                let models =
                    quantize_all(&checkpoint, &all.each_ref(), windows, |choice, _| done[choice] += 1).unwrap();
                for (formats, model) in all.iter().zip(&models) {
                    let tensors = Slot::all(config).map(|slot| model.tensor(slot).bytes.into_owned());
                    assert_eq!(tensors.collect::<Vec<_>>(), bytes(&checkpoint, formats, windows));
                }
                assert_eq!(done, vec![matrices(&checkpoint).count(); all.len()]);
            }
        }
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
