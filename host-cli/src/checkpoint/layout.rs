//! Which layout a checkpoint is in, told from its names and from shapes that only one orientation allows.

use super::archive::{Archive, RawTensor};
use super::error::CheckpointError;
use super::name_map::{NameMap, Place};
use super::patterns::Patterns;
use super::wrappers::unwrapped;
use crate::ground::files::Wanted;
use crate::ground::files::read::{self, MOST_OF_CONFIG};
use crate::ground::shown;
use emberlm_core::blob::{LayerSlot, Slot};
use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What a checkpoint's names and orientations follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Hugging Face's GPT-2: fused `c_attn`, `Conv1D` matrices `[in, out]`.
    HuggingFace,
    /// nanoGPT: the same names, `Linear` matrices `[out, in]`.
    NanoGpt,
    /// The from-scratch book's `GPTModel`: separate query, key and value, `Linear` matrices.
    Scratch,
    /// Hugging Face's GPT-Neo: separate query, key and value, `Linear` matrices.
    GptNeo,
    /// Hugging Face's Llama, Mistral and Qwen 2.
    Llama,
    /// Hugging Face's OPT.
    Opt,
    /// Hugging Face's GPT-NeoX: queries, keys and values head by head in one matrix.
    GptNeoX,
    /// Hugging Face's Qwen 3: Llama's names, and norms of queries and keys.
    Qwen3,
    /// Hugging Face's Gemma 3: Qwen 3's names, and norms behind attention and MLP.
    Gemma3,
    /// microgpt's own names.
    MicroGpt,
    /// Llama by its authors' names, as in llama2.c: adjacent elements of a head rotate together.
    Meta,
    /// A name map file.
    Map(PathBuf),
}

impl FromStr for Layout {
    type Err = std::convert::Infallible;

    /// `hf`, `nanogpt`, `scratch`, `neo`, `opt`, `neox`, `llama`, `qwen3`, `gemma3`, `meta` and `microgpt` are the built-in
    /// layouts; anything else is a name map's path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "hf" => Self::HuggingFace,
            "nanogpt" => Self::NanoGpt,
            "scratch" => Self::Scratch,
            "neo" => Self::GptNeo,
            "llama" => Self::Llama,
            "meta" => Self::Meta,
            "opt" => Self::Opt,
            "neox" => Self::GptNeoX,
            "qwen3" => Self::Qwen3,
            "gemma3" => Self::Gemma3,
            "microgpt" => Self::MicroGpt,
            path => Self::Map(path.into()),
        })
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HuggingFace => f.write_str("hf"),
            Self::NanoGpt => f.write_str("nanogpt"),
            Self::Scratch => f.write_str("scratch"),
            Self::GptNeo => f.write_str("neo"),
            Self::Llama => f.write_str("llama"),
            Self::Meta => f.write_str("meta"),
            Self::Opt => f.write_str("opt"),
            Self::GptNeoX => f.write_str("neox"),
            Self::Qwen3 => f.write_str("qwen3"),
            Self::Gemma3 => f.write_str("gemma3"),
            Self::MicroGpt => f.write_str("microgpt"),
            Self::Map(path) => shown::path(path).fmt(f),
        }
    }
}

impl Layout {
    /// Those that need no file.
    pub const BUILT_IN: [Self; 11] = [
        Self::HuggingFace,
        Self::NanoGpt,
        Self::Scratch,
        Self::GptNeo,
        Self::Llama,
        Self::Opt,
        Self::GptNeoX,
        Self::Qwen3,
        Self::Gemma3,
        Self::MicroGpt,
        Self::Meta,
    ];

    /// The layout's name map.
    ///
    /// # Errors
    /// A map file that cannot be read or is faulty.
    pub fn name_map(&self) -> Result<NameMap, CheckpointError> {
        let built_in = |text: &str| NameMap::parse(text.as_bytes()).expect("the built-in maps are tested");
        match self {
            Self::HuggingFace => Ok(built_in(include_str!("layouts/hf.json"))),
            Self::NanoGpt => Ok(built_in(include_str!("layouts/nanogpt.json"))),
            Self::Scratch => Ok(built_in(include_str!("layouts/scratch.json"))),
            Self::GptNeo => Ok(built_in(include_str!("layouts/neo.json"))),
            Self::Llama => Ok(built_in(include_str!("layouts/llama.json"))),
            Self::Meta => Ok(built_in(include_str!("layouts/meta.json"))),
            Self::Opt => Ok(built_in(include_str!("layouts/opt.json"))),
            Self::GptNeoX => Ok(built_in(include_str!("layouts/neox.json"))),
            Self::Qwen3 => Ok(built_in(include_str!("layouts/qwen3.json"))),
            Self::Gemma3 => Ok(built_in(include_str!("layouts/gemma3.json"))),
            Self::MicroGpt => Ok(built_in(include_str!("layouts/microgpt.json"))),
            Self::Map(path) => {
                let faulty = |why| CheckpointError::NameMap { path: path.clone(), why };
                let text = read::text(path, MOST_OF_CONFIG).map_err(|error| Wanted::NameMap.explain(path, error))?;
                NameMap::parse(text.as_bytes()).map_err(|why| Wanted::NameMap.explain(path, faulty(why)))
            }
        }
    }
}

/// The layout that a checkpoint is read in, and why.
#[derive(Clone, Debug)]
pub struct DetectedLayout {
    /// The layout.
    pub layout: Layout,
    /// What told it, for people.
    pub evidence: String,
}

impl fmt::Display for DetectedLayout {
    /// `hf (transformer.h.0.attn.c_attn.weight is [32, 96]: Conv1D, [in, out])`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.layout, self.evidence)
    }
}

/// A name map applied to one archive: wrapper and prefix are settled.
#[derive(Debug)]
pub struct Names {
    map: NameMap,
    wrapper: String,
    prefix: String,
    /// The tensors of a block.
    of_blocks: Patterns,
    skipped: Patterns,
}

/// What stands before every name where a model lies in another module: Lightning's.
const OUTER: [&str; 1] = ["model."];

impl Names {
    /// Settles the wrapper, which every name has, and the prefix under which a block is found.
    pub fn new(map: NameMap, archive: &Archive) -> Self {
        let mut wrappers = vec![String::new()];
        while let Some(longer) = OUTER.iter().find_map(|more| {
            let longer = wrappers.last()?.clone() + more;
            (!archive.is_empty() && archive.names().all(|name| name.starts_with(&longer))).then_some(longer)
        }) {
            wrappers.push(longer);
        }
        let pairs: Vec<(&str, &str)> =
            wrappers.iter().flat_map(|wrapper| map.prefixes().map(move |prefix| (wrapper.as_str(), prefix))).collect();
        let spelled = |pattern: String, wrapper: &str| unwrapped(&(wrapper.to_owned() + &pattern)).into_owned();
        let of_blocks = |&(wrapper, prefix): &(&str, &str)| -> Vec<String> {
            map.block_patterns(prefix).map(|pattern| spelled(pattern, wrapper)).collect()
        };
        let n_patterns = map.block_patterns("").count().max(1);
        let any = Patterns::new(pairs.iter().flat_map(of_blocks));
        let found = archive.names().filter_map(|name| any.find(name)).map(|(number, _)| number / n_patterns).min();
        let pair = pairs.get(found.unwrap_or(0)).copied().unwrap_or_default();
        let of_blocks = Patterns::new(of_blocks(&pair).into_iter());
        let (wrapper, prefix) = (pair.0.to_owned(), pair.1.to_owned());
        let skipped = Patterns::new(map.skip_patterns(&prefix).map(|pattern| spelled(pattern, &wrapper)));
        Self { map, wrapper, prefix, of_blocks, skipped }
    }

    /// The map that the names follow.
    pub const fn map(&self) -> &NameMap {
        &self.map
    }

    /// The file's names of a tensor; `None` if the layout never has it.
    pub fn place(&self, slot: Slot) -> Option<Place> {
        let mut place = self.map.place(slot, &self.prefix)?;
        for name in &mut place.names {
            name.insert_str(0, &self.wrapper);
            *name = unwrapped(name).into_owned();
        }
        Some(place)
    }

    /// Whether a name is a buffer's that holds no weights.
    pub fn skips(&self, name: &str) -> bool {
        self.skipped.find(name).is_some()
    }

    /// The number of the highest block that has a tensor, and that tensor; `None` if there is no block.
    pub fn last_block<'a>(&self, archive: &'a Archive) -> Option<(u32, &'a str)> {
        let block_of = |name: &'a str| Some((self.of_blocks.find(name)?.1?, name));
        archive.names().filter_map(block_of).max_by_key(|(layer, _)| *layer)
    }

    /// The names of the tensors that are no block's.
    fn globals(&self) -> impl Iterator<Item = String> {
        use Slot::{LmHead, LmHeadBias, LnEBias, LnEWeight, LnFBias, LnFWeight, Wpe, Wte};
        let slots = [Wte, Wpe, LnEWeight, LnEBias, LnFWeight, LnFBias, LmHead, LmHeadBias];
        slots.into_iter().filter_map(|slot| self.place(slot)).flat_map(|place| place.names)
    }

    /// The first of a slot's tensors.
    fn find<'a>(&self, slot: Slot, archive: &'a Archive) -> Result<(String, RawTensor<'a>), CheckpointError> {
        let place = self.place(slot).expect("only optional tensors may be unmapped");
        let tensor = place.names.into_iter().next().expect("a place has a name");
        match archive.get(&tensor) {
            Some(raw) => Ok((tensor, raw)),
            None => Err(CheckpointError::Missing { tensor, hint: String::new() }),
        }
    }
}

/// Tells the layout, or takes the caller's word for it.
///
/// Names tell every layout but Hugging Face's and nanoGPT's GPT-2. Those two share their names, and a square matrix does
/// not show which way round it is stored; the fused `c_attn` is never square, so its shape decides.
///
/// # Errors
/// No layout has the names, or `c_attn` has neither orientation's shape.
pub fn detect(archive: &Archive, overruled: Option<&Layout>) -> Result<(DetectedLayout, Names), CheckpointError> {
    if let Some(layout) = overruled {
        let names = Names::new(layout.name_map()?, archive);
        let detected = DetectedLayout { layout: layout.clone(), evidence: "as asked for".to_owned() };
        return Ok((detected, names));
    }
    let qkv_slot = Slot::Layer(0, LayerSlot::AttnQkvWeight);
    let names = Names::new(Layout::HuggingFace.name_map()?, archive);
    use Layout::{GptNeo, GptNeoX, Llama, Meta, MicroGpt, Opt, Scratch};
    let mut tried = Vec::new();
    for layout in [Scratch, GptNeo, Llama, Meta, Opt, GptNeoX, MicroGpt] {
        tried.push((layout.clone(), Names::new(layout.name_map()?, archive)));
    }
    // Some names of a block are in more than one layout, so that queries decide; without them any name that no GPT-2 has.
    let is_own = |own: &Names| {
        archive.names().any(|name| own.of_blocks.find(name).is_some() && names.of_blocks.find(name).is_none())
    };
    let has_queries = |(_, own): &(Layout, Names)| is_own(own) && own.find(qkv_slot, archive).is_ok();
    let found = tried.iter().position(has_queries).or_else(|| tried.iter().position(|(_, own)| is_own(own)));
    if let Some(found) = found {
        let (layout, own) = tried.swap_remove(found);
        let (layout, own) = if layout == Llama { among_llamas(own, archive)? } else { (layout, own) };
        let found = own.find(qkv_slot, archive);
        let (name, _) = found.map_err(|error| explain(error, archive, &layout, &[&own]))?;
        let stored = if layout == GptNeoX { "head by head" } else { "separate" };
        let evidence =
            format!("the file has {}: {stored} query, key and value, Linear, [out, in]", shown::value(&name));
        return Ok((DetectedLayout { layout, evidence }, own));
    }
    if names.last_block(archive).is_none() {
        let tried: Vec<&Names> = tried.iter().map(|(_, own)| own).chain([&names]).collect();
        let tensor = first_unknown(archive, &tried);
        return Err(CheckpointError::UnknownLayout { tensor });
    }
    let find = |slot: Slot| {
        names.find(slot, archive).map_err(|error| explain(error, archive, &Layout::HuggingFace, &[&names]))
    };
    let ((name, qkv), (_, wpe)) = (find(qkv_slot)?, find(Slot::Wpe)?);
    let n_embd = wpe.shape.last().copied().unwrap_or(0);
    let fused = n_embd.saturating_mul(3);
    if qkv.shape == [n_embd, fused] {
        let evidence = format!("{} is {:?}: Conv1D, [in, out]", shown::value(&name), qkv.shape);
        Ok((DetectedLayout { layout: Layout::HuggingFace, evidence }, names))
    } else if qkv.shape == [fused, n_embd] {
        let evidence = format!("{} is {:?}: Linear, [out, in]", shown::value(&name), qkv.shape);
        let names = Names::new(Layout::NanoGpt.name_map()?, archive);
        Ok((DetectedLayout { layout: Layout::NanoGpt, evidence }, names))
    } else {
        let need = format!("[{n_embd}, {fused}] (Conv1D) or [{fused}, {n_embd}] (Linear)");
        Err(CheckpointError::Shape { tensor: name, need, have: qkv.shape.to_vec() })
    }
}

/// Of the layouts that have Llama's names, the one with the norms that the file has.
fn among_llamas(llama: Names, archive: &Archive) -> Result<(Layout, Names), CheckpointError> {
    for (layout, norm) in [(Layout::Gemma3, LayerSlot::LnMlpWeight), (Layout::Qwen3, LayerSlot::QNormWeight)] {
        let own = Names::new(layout.name_map()?, archive);
        if own.find(Slot::Layer(0, norm), archive).is_ok() {
            return Ok((layout, own));
        }
    }
    Ok((Layout::Llama, llama))
}

/// A name that none of the layouts has, or the first of all.
fn first_unknown(archive: &Archive, layouts: &[&Names]) -> String {
    let known: HashSet<String> = layouts.iter().flat_map(|names| names.globals()).collect();
    let first = archive.names().next().unwrap_or("wte.weight");
    archive.spelled(archive.names().find(|name| !known.contains(*name)).unwrap_or(first)).to_owned()
}

/// The same refusal with what leads on: where a layout was only detected and a tensor is missing, the names near by that
/// the layout does not know, and how a name map is given.
pub fn explain(error: CheckpointError, archive: &Archive, layout: &Layout, tried: &[&Names]) -> CheckpointError {
    let CheckpointError::Missing { tensor, hint } = &error else { return error };
    if !hint.is_empty() || matches!(layout, Layout::Map(_)) {
        return error;
    }
    let known: HashSet<String> = tried.iter().flat_map(|names| names.globals()).collect();
    let is_known = |name: &str| {
        known.contains(name) || tried.iter().any(|names| names.of_blocks.find(name).is_some() || names.skips(name))
    };
    let near = |name: &str| name.bytes().zip(tensor.bytes()).take_while(|(a, b)| a == b).count();
    let unknown: Vec<&str> = archive.names().filter(|name| !is_known(name)).collect();
    let most = unknown.iter().map(|name| near(name)).max();
    let nearest: Vec<&str> = unknown.into_iter().filter(|name| Some(near(name)) == most).collect();
    let hint = match nearest.as_slice() {
        [] => return error,
        names => format!(
            ", and the layout does not know {}: where a model has names of its own, a name map reads it (--layout FILE)",
            shown::list(names.iter().map(|name| archive.spelled(name)))
        ),
    };
    CheckpointError::Missing { tensor: tensor.clone(), hint }
}
