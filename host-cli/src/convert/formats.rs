//! Which matrix is stored in which format.

use emberlm_core::blob::Slot;
use emberlm_core::config::Config;
use emberlm_core::format::Format;

use super::budget::Budget;

/// How a model is to be stored, as a user says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Of every matrix that the others do not name.
    pub weights: Weights,
    /// Of the output head: of `wte` where that is the head too.
    pub head: Option<Format>,
    /// Of `wte` and `wpe`.
    pub embeddings: Option<Format>,
    /// Of biases and norms; f32 where it is not named.
    pub vectors: Option<VectorFormat>,
}

/// What decides a matrix's format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights {
    /// The user.
    Format(Format),
    /// What it costs, within a budget, see [`auto`](super::auto).
    Auto(Budget),
}

/// How biases and norms are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorFormat {
    /// In single precision.
    F32,
    /// In half precision: what is beyond its range becomes the largest that is not.
    F16,
}

impl VectorFormat {
    /// Both.
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// As a tensor's format.
    pub const fn format(self) -> Format {
        match self {
            Self::F32 => Format::F32,
            Self::F16 => Format::F16,
        }
    }

    /// The name that the command line and reports use.
    pub const fn name(self) -> &'static str {
        self.format().name()
    }
}

/// The head's format and the embeddings' differ, and they are one matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the head is tied to wte, so one matrix cannot be both {} and {}: give head and embeddings one format",
    .head.name(), .embeddings.name()
)]
pub struct TiedConflict {
    /// The head's format.
    pub head: Format,
    /// The embeddings' format.
    pub embeddings: Format,
}

impl Choice {
    /// One format for every matrix.
    pub const fn uniform(weights: Format) -> Self {
        Self { weights: Weights::Format(weights), head: None, embeddings: None, vectors: None }
    }

    /// What the words settle of a model whose head is `wte` where it is `tied`.
    ///
    /// # Errors
    /// One matrix is named twice, with different formats.
    pub fn settled(self, config: &Config, tied: bool) -> Result<Settled, TiedConflict> {
        if let (true, Some(head), Some(embeddings)) = (tied, self.head, self.embeddings)
            && head != embeddings
        {
            return Err(TiedConflict { head, embeddings });
        }
        let rest = match self.weights {
            Weights::Format(format) => Some(format),
            Weights::Auto(_) => None,
        };
        let head = if tied { Slot::Wte } else { Slot::LmHead };
        let format = |slot: Slot| match slot {
            slot if !slot.is_matrix() => Some(self.vectors.map_or(Format::F32, VectorFormat::format)),
            slot if slot == head && self.head.is_some() => self.head,
            Slot::Wte | Slot::Wpe => self.embeddings.or(rest),
            _ => rest,
        };
        Ok(Settled(Slot::all(config).map(format).collect()))
    }
}

/// The formats that a user's words settle, by tensor; what is left is up to a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled(Vec<Option<Format>>);

impl Settled {
    /// A tensor's format; `None` where the budget decides.
    ///
    /// # Panics
    /// The model has no such slot.
    pub fn get(&self, slot: Slot) -> Option<Format> {
        self.0[slot.index()]
    }

    /// The format of every tensor, `rest` for those that are not settled.
    pub fn or(&self, rest: Format) -> Formats {
        Formats(self.0.iter().map(|format| format.unwrap_or(rest)).collect())
    }
}

/// The format of every tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formats(Vec<Format>);

impl Formats {
    /// One format for every matrix; vectors are f32.
    pub fn uniform(config: &Config, format: Format) -> Self {
        Self(Slot::all(config).map(|slot| if slot.is_matrix() { format } else { Format::F32 }).collect())
    }

    /// A tensor's format.
    ///
    /// # Panics
    /// The model has no such slot.
    pub fn get(&self, slot: Slot) -> Format {
        self.0[slot.index()]
    }

    /// Whether any matrix is stored as integers.
    pub fn has_integers(&self) -> bool {
        self.0.iter().any(|format| format.packing().is_some())
    }

    /// Stores a matrix in another format.
    ///
    /// # Panics
    /// The model has no such slot, or it is a vector's.
    pub fn set(&mut self, slot: Slot, format: Format) {
        assert!(slot.is_matrix(), "vectors share one format");
        self.0[slot.index()] = format;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emberlm_core::blob::LayerSlot;

    const CONFIG: Config =
        Config { n_vocab: 7, n_ctx: 5, n_embd: 4, n_layer: 1, n_ff: 8, ..Config::GPT2 }.with_heads(2);

    fn formats(choice: Choice, tied: bool) -> Formats {
        let settled = choice.settled(&CONFIG, tied).unwrap();
        assert!(Slot::all(&CONFIG).all(|slot| settled.get(slot).is_some()));
        settled.or(Format::F32)
    }

    #[test]
    fn the_head_and_the_embeddings_may_differ_from_the_rest() {
        let head = Some(Format::Q8);
        let choice = Choice { head, embeddings: Some(Format::Q6), ..Choice::uniform(Format::Q4) };
        let formats = formats(choice, false);
        let fc = Slot::Layer(0, LayerSlot::FcWeight);
        let have = [Slot::Wte, Slot::Wpe, Slot::LmHead, fc, Slot::LnFWeight].map(|slot| formats.get(slot));
        assert_eq!(have, [Format::Q6, Format::Q6, Format::Q8, Format::Q4, Format::F32]);
    }

    #[test]
    fn vectors_have_one_format() {
        let choice = Choice { vectors: Some(VectorFormat::F16), ..Choice::uniform(Format::Q4) };
        let formats = formats(choice, true);
        for slot in Slot::all(&CONFIG) {
            assert_eq!(formats.get(slot), if slot.is_matrix() { Format::Q4 } else { Format::F16 });
        }
    }

    #[test]
    fn a_tied_head_is_the_token_embedding() {
        let choice = Choice { head: Some(Format::Q8), ..Choice::uniform(Format::Q4) };
        let of_embeddings = |choice| [Slot::Wte, Slot::Wpe].map(|slot| formats(choice, true).get(slot));
        assert_eq!(of_embeddings(choice), [Format::Q8, Format::Q4]);
        assert_eq!(of_embeddings(Choice { embeddings: Some(Format::Q8), ..choice }), [Format::Q8; 2]);
        let conflict = Choice { embeddings: Some(Format::Q6), ..choice }.settled(&CONFIG, true).unwrap_err();
        assert_eq!(conflict, TiedConflict { head: Format::Q8, embeddings: Format::Q6 });
    }

    #[test]
    fn a_budget_decides_what_words_do_not() {
        let weights = Weights::Auto(Budget::BitsPerWeight(4.5));
        let (head, vectors) = (Some(Format::Q8), Some(VectorFormat::F16));
        let settled = Choice { weights, head, embeddings: None, vectors }.settled(&CONFIG, true).unwrap();
        let have = [Slot::Wte, Slot::Wpe, Slot::LnFWeight].map(|slot| settled.get(slot));
        assert_eq!(have, [Some(Format::Q8), None, Some(Format::F16)]);
    }
}
