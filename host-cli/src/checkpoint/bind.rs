//! Which stored tensor fills which slot, with every name, shape and head accounted for.

use super::architecture::{Architecture, is_optional};
use super::archive::{Archive, RawTensor};
use super::error::CheckpointError;
use super::keys::{self, ConfigFile};
use super::layout::{Layout, Names};
use super::name_map::{HeadAbsent, Orientation, Place};
use super::tensor;
use crate::ground::shown;
use emberlm_core::blob::{LayerSlot, Slot};
use std::collections::BTreeSet;

/// Each slot's place in the archive, by [`Slot::index`]; `None` for a tensor that the model lacks.
pub type Bindings = Vec<Option<Place>>;

/// Finds every slot's tensors and checks shapes, types and values.
///
/// # Errors
/// A tensor is missing, has another shape or type, is not finite, or belongs to no slot.
pub fn bind(archive: &Archive, names: &Names, architecture: &Architecture) -> Result<Bindings, CheckpointError> {
    let mut bindings = Bindings::new();
    let mut used = BTreeSet::new();
    for slot in architecture.slots() {
        let place = find(archive, names, slot)?;
        for name in place.iter().flat_map(|place| &place.names) {
            used.insert(archive.resolved(name).to_owned());
        }
        if let Some(place) = &place {
            check_shapes(archive, place, slot, (architecture, names.map().position_offset))?;
        }
        bindings.resize(slot.index(), None);
        bindings.push(place);
    }
    check_blocks_alike(&bindings, names, architecture.n_layer)?;
    if let Some(leftover) = archive.names().find(|name| !used.contains(*name) && !names.skips(name)) {
        return Err(CheckpointError::Leftover { tensor: archive.spelled(leftover).to_owned() });
    }
    for name in &used {
        if let Some(raw) = archive.get(name) {
            tensor::check_finite(archive.spelled(name), raw)?;
        }
    }
    Ok(bindings)
}

/// Lets the token embedding be found where a checkpoint has it under the head's name alone, which says that they are
/// tied. Returns that name.
///
/// # Errors
/// The head is there and nothing says that it is tied.
pub fn find_embedding(
    archive: &mut Archive,
    names: &Names,
    file: Option<&ConfigFile>,
) -> Result<Option<String>, CheckpointError> {
    let name_of =
        |slot: Slot| names.place(slot).and_then(|place| Some((place.names.into_iter().next()?, place.orientation)));
    let (Some((wte, _)), Some((head, Orientation::OutIn))) = (name_of(Slot::Wte), name_of(Slot::LmHead)) else {
        return Ok(None);
    };
    if archive.get(&wte).is_some() || archive.get(&head).is_none() {
        return Ok(None);
    }
    let hint = match file.map_or(Ok(None), |file| file.flag(keys::TIED))? {
        Some(said) if said.value => None,
        Some(said) => Some(format!(
            ", and `{}`, which could stand for it, is not tied: `{}` is false",
            shown::value(&head),
            said.key
        )),
        None if names.map().lm_head_absent == HeadAbsent::Tied => None,
        None => Some(format!(
            ": say \"tie_word_embeddings\": true in the config if `{}` is the embedding too",
            shown::value(&head)
        )),
    };
    match hint {
        Some(hint) => Err(CheckpointError::Missing { tensor: wte, hint }),
        None => {
            archive.add_alias(&wte, &head);
            Ok(Some(head))
        }
    }
}

/// Lets tensors be found that some files name otherwise.
pub fn find_aliases(archive: &mut Archive, names: &Names) {
    for (alias, name) in names.map().aliases() {
        if archive.get(name).is_none() && archive.get(alias).is_some() {
            archive.add_alias(name, alias);
        }
    }
}

/// A slot's place, if its tensors are there.
fn find(archive: &Archive, names: &Names, slot: Slot) -> Result<Option<Place>, CheckpointError> {
    let Some(place) = names.place(slot) else { return Ok(None) };
    let absent = place.names.iter().find(|name| archive.get(name).is_none());
    let Some(absent) = absent else { return Ok(Some(place)) };
    let partly = place.names.iter().any(|name| archive.get(name).is_some());
    if is_optional(slot) && !partly {
        return Ok(None);
    }
    let hint = match place.names.len() {
        _ if !partly => "",
        3 => ", though others of query, key and value are there",
        _ => ", though its other half is there",
    };
    Err(CheckpointError::Missing { tensor: absent.clone(), hint: hint.to_owned() })
}

/// The shape that a stored tensor must have that holds so many of a slot's rows, or of a vector's elements.
fn stored_shape(
    place: &Place,
    slot: Slot,
    part: usize,
    (architecture, position_offset): (&Architecture, u32),
) -> Vec<usize> {
    let (_, cols) = architecture.shape(slot);
    let part = if slot == Slot::Wpe { part + position_offset as usize } else { part };
    if !slot.is_matrix() {
        vec![part]
    } else if place.orientation == Orientation::InOut {
        vec![cols, part]
    } else {
        vec![part, cols]
    }
}

fn check_shapes(archive: &Archive, place: &Place, slot: Slot, of: (&Architecture, u32)) -> Result<(), CheckpointError> {
    let parts = of.0.parts(slot);
    let parts = if place.names.len() == 1 { vec![parts.iter().sum()] } else { parts };
    for (name, part) in place.names.iter().zip(parts) {
        let need = stored_shape(place, slot, part, of);
        let have = archive.get(name).map_or(&[][..], |raw| raw.shape);
        if have != need {
            let (tensor, need) = (archive.spelled(name).to_owned(), format!("{need:?}"));
            return Err(CheckpointError::Shape { tensor, need, have: have.to_vec() });
        }
    }
    Ok(())
}

/// A bias that one block has and another lacks is a lost tensor, not a model without biases.
fn check_blocks_alike(bindings: &Bindings, names: &Names, n_layer: u32) -> Result<(), CheckpointError> {
    for slot in LayerSlot::ALL {
        let at = |layer: u32| Slot::Layer(layer, slot);
        let has = |layer: u32| bindings.get(at(layer).index()).is_some_and(Option::is_some);
        let Some(with) = (0..n_layer).find(|layer| has(*layer)) else { continue };
        if let Some(without) = (0..n_layer).find(|layer| !has(*layer)) {
            let place = names.place(at(without)).expect("block {with} has the tensor");
            let (tensor, hint) = (place.names[0].clone(), format!(", though block {with} has it"));
            return Err(CheckpointError::Missing { tensor, hint });
        }
    }
    Ok(())
}

/// Settles whether the head is tied, and drops a head that repeats the token embedding from the bindings.
///
/// # Errors
/// The configuration and the tensors disagree, or a head is missing.
pub fn settle_head(
    archive: &Archive,
    names: &Names,
    layout: &Layout,
    file: Option<&ConfigFile>,
    bindings: &mut Bindings,
) -> Result<bool, CheckpointError> {
    let said = file.map_or(Ok(None), |file| file.flag(keys::TIED))?;
    let wte = bindings[Slot::Wte.index()].as_ref().map(|place| place.names[0].clone()).unwrap_or_default();
    let Some(head) = bindings[Slot::LmHead.index()].clone() else {
        let Some(place) = names.place(Slot::LmHead) else { return Ok(true) };
        let (tied, hint) = match &said {
            Some(said) if said.value => (true, String::new()),
            Some(said) => (false, format!(", and `{}` is false", said.key)),
            None if names.map().lm_head_absent == HeadAbsent::Tied => (true, String::new()),
            None => {
                (false, ": say \"tie_word_embeddings\": true in the config if the head is the embedding".to_owned())
            }
        };
        return if tied { Ok(true) } else { Err(CheckpointError::Missing { tensor: place.names[0].clone(), hint }) };
    };
    let tensor = &head.names[0];
    if let (Some(head_raw), Some(wte_raw)) = (archive.get(tensor), archive.get(&wte))
        && head.orientation == Orientation::OutIn
        && same_bits((tensor, head_raw), (&wte, wte_raw))?
    {
        bindings[Slot::LmHead.index()] = None;
        return Ok(true);
    }
    let by_default =
        matches!(layout, Layout::HuggingFace | Layout::GptNeo | Layout::Opt | Layout::Gemma3) && file.is_some();
    let why = match said {
        Some(said) if said.value => format!("`{}` is true", said.key),
        None if by_default => "the config does not say \"tie_word_embeddings\": false".to_owned(),
        _ => return Ok(false),
    };
    Err(CheckpointError::HeadNotTied { tensor: tensor.clone(), wte, why })
}

fn same_bits(a: (&str, RawTensor<'_>), b: (&str, RawTensor<'_>)) -> Result<bool, CheckpointError> {
    if a.1.storage == b.1.storage {
        return Ok(a.1.bytes == b.1.bytes);
    }
    let (a, b) = (tensor::decode(a.0, a.1)?, tensor::decode(b.0, b.1)?);
    Ok(a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits())))
}
