//! A name map to begin with: a checkpoint's own names, each put where those of known layouts with the most words in common
//! are, as far as its shape allows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use emberlm_core::blob::Slot;

use super::archive::Archive;
use super::error::CheckpointError;
use super::layout::Layout;
use super::name_map::{kinds, pattern};
use super::patterns::LAYER;

/// A name map in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The map, as JSON.
    pub map: String,
    /// Canonical tensors that no name was found for; [`NOT_FOUND`] stands in their place.
    pub missing: Vec<String>,
    /// Names that were put nowhere.
    pub left: Vec<String>,
}

/// What stands in the place of a name that was not found.
pub const NOT_FOUND: &str = "?";

/// Canonical weights, and which part of one that is stored apart: the query's, the gate's.
type Part = (String, usize);

/// Spellings that no built-in layout has.
const RETOLD: [(&str, usize, &str); 16] = [
    ("wte.weight", 0, "embed.tokens"),
    ("wpe.weight", 0, "embed.positions"),
    ("wpe.weight", 0, "position.embedding"),
    ("lm_head.weight", 0, "unembed"),
    ("lm_head.weight", 0, "head"),
    ("ln_f.weight", 0, "final.ln"),
    ("h.{layer}.ln_1.weight", 0, "pre.attention"),
    ("h.{layer}.ln_2.weight", 0, "pre.mlp"),
    ("h.{layer}.ln_2.weight", 0, "pre.ffn"),
    ("h.{layer}.attn.c_attn.weight", FUSED, "attn.in.proj"),
    ("h.{layer}.attn.c_proj.weight", 0, "o"),
    ("h.{layer}.attn.c_proj.weight", 0, "attn.proj"),
    ("h.{layer}.mlp.c_fc.weight", 1, "mlp.0"),
    ("h.{layer}.mlp.c_fc.weight", 1, "ffn.linear.1"),
    ("h.{layer}.mlp.c_proj.weight", 0, "mlp.2"),
    ("h.{layer}.mlp.c_proj.weight", 0, "ffn.linear.2"),
];

const ATTENTION: &str = "h.{layer}.attn.c_attn.weight";
const HIDDEN: &str = "h.{layer}.mlp.c_fc.weight";

/// The part that stands for query, key and value in one matrix.
const FUSED: usize = 3;

/// Words that tell nothing.
const EMPTY: [&str; 12] =
    ["weight", "model", "transformer", "layers", "layer", "blocks", "block", "trf", "h", "gpt", "decoder", "module"];

/// Words of buffers, which are no weights: all of one list.
const BUFFERS: [&[&str]; 6] = [&["mask"], &["inv", "freq"], &["freqs"], &["position", "ids"], &["tril"], &["masked"]];

/// The tensors of a file: names, those of blocks with `{layer}` for the number, and the shape that the first one has.
type Tensors<'a> = BTreeMap<String, &'a [usize]>;

/// A map of a checkpoint's names.
///
/// # Errors
/// It cannot be read.
pub fn template(path: &Path) -> Result<Template, CheckpointError> {
    let (archive, _) = Archive::open(path)?;
    let shapes = archive.names().filter_map(|name| Some((name, archive.get(name)?.shape)));
    Ok(of_tensors(&shapes.collect::<Vec<_>>()))
}

/// [`template`] of names and shapes.
fn of_tensors(shapes: &[(&str, &[usize])]) -> Template {
    let before = before_layers(shapes.iter().map(|(name, _)| *name));
    let mut tensors = Tensors::new();
    for (name, shape) in shapes {
        let of_block = before.as_deref().and_then(|before| in_block(name, before));
        tensors.entry(of_block.unwrap_or_else(|| (*name).to_owned())).or_insert(shape);
    }
    let is_buffer =
        |name: &str| BUFFERS.iter().any(|all| all.iter().all(|word| words(name).iter().any(|have| have == word)));
    let skip: Vec<String> = tensors.keys().filter(|name| is_buffer(name)).cloned().collect();
    tensors.retain(|name, _| !is_buffer(name));

    let mut places = assigned(&tensors);
    let biases: Vec<_> = places.iter().filter_map(|(weight, names)| biases(weight, names, &tensors)).collect();
    let out_in = is_out_in(&places, &tensors);
    places.extend(biases);
    let taken: BTreeSet<&String> = places.values().flatten().collect();
    let left: Vec<String> = tensors.keys().filter(|name| !taken.contains(name)).cloned().collect();

    let needed = ["wte", "h.{layer}.ln_1", "h.{layer}.attn.c_attn", "h.{layer}.attn.c_proj", "h.{layer}.ln_2"];
    let needed = needed.into_iter().chain(["h.{layer}.mlp.c_fc", "h.{layer}.mlp.c_proj", "ln_f"]);
    let missing: Vec<String> =
        needed.map(|stem| format!("{stem}.weight")).filter(|weight| !places.contains_key(weight)).collect();
    places.extend(missing.iter().map(|weight| (weight.clone(), vec![NOT_FOUND.to_owned()])));
    Template { map: written(&places, &skip, out_in), missing, left }
}

/// What stands before the number of a block: that which most names have before digits.
fn before_layers<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for name in names {
        if let Some(at) = name.find(|c: char| c.is_ascii_digit()) {
            *counts.entry(&name[..at]).or_default() += 1;
        }
    }
    let (before, n) = counts.into_iter().max_by_key(|(_, n)| *n)?;
    (n > 2).then(|| before.to_owned())
}

/// A block's name with `{layer}` for its number; none for others.
fn in_block(name: &str, before: &str) -> Option<String> {
    let rest = name.strip_prefix(before)?;
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    (after.len() < rest.len()).then(|| format!("{before}{LAYER}{after}"))
}

/// The words of a name behind its block's number, small: cut at dots, underscores, capitals, and before digits.
fn words(name: &str) -> Vec<String> {
    let name = name.split_once(LAYER).map_or(name, |(_, behind)| behind);
    let (mut words, mut word, mut last) = (Vec::new(), String::new(), ' ');
    for c in name.chars().chain(['.']) {
        let begins =
            (c.is_ascii_uppercase() && last.is_ascii_lowercase()) || (c.is_ascii_digit() && last.is_ascii_alphabetic());
        if !c.is_ascii_alphanumeric() || begins {
            words.push(std::mem::take(&mut word));
        }
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        }
        last = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What two names are compared by: words that tell something, and any two that follow each other.
fn features(name: &str) -> BTreeSet<String> {
    let words = words(name);
    let pairs = words.windows(2).map(|pair| pair.join(" "));
    pairs.chain(words.iter().filter(|word| !EMPTY.contains(&word.as_str())).cloned()).collect()
}

/// How somebody spells a part of a weight.
struct Spelling {
    part: Part,
    features: BTreeSet<String>,
    /// Whose it is: a built-in layout's, by its number.
    of: usize,
}

/// The spellings of each part of each weight.
fn spellings() -> Vec<Spelling> {
    let mut spellings = Vec::new();
    for (of, layout) in Layout::BUILT_IN.iter().enumerate() {
        let Ok(map) = layout.name_map() else { continue };
        for slot in kinds() {
            let (canonical, Some(place)) = (pattern(slot), map.place(slot, "")) else { continue };
            if !canonical.ends_with(".weight") {
                continue;
            }
            let is_whole = place.names.len() == 1;
            for (i, name) in place.names.iter().enumerate() {
                let part = match canonical.as_str() {
                    ATTENTION if is_whole => FUSED,
                    HIDDEN if is_whole => 1,
                    _ => i,
                };
                // The pattern's block is number 0.
                let name = match slot {
                    Slot::Layer(..) => name.replacen('0', LAYER, 1),
                    _ => name.clone(),
                };
                spellings.push(Spelling { part: (canonical.clone(), part), features: features(&name), of });
            }
        }
    }
    let of = Layout::BUILT_IN.len();
    spellings.extend(RETOLD.map(|(canonical, part, name)| Spelling {
        part: (canonical.to_owned(), part),
        features: features(name),
        of,
    }));
    spellings
}

/// Each weight's names: of all pairs of a part and a name whose shape is right, those with most in common first, and of
/// such the spelling of the layout that spells most of the file's names.
fn assigned(tensors: &Tensors<'_>) -> BTreeMap<String, Vec<String>> {
    let width = width(tensors);
    let mut pairs: Vec<(f64, usize, Part, &String)> = Vec::new();
    let mut spelt = [0; Layout::BUILT_IN.len() + 1];
    for Spelling { part, features: spelling, of } in spellings() {
        for (name, shape) in tensors {
            if part.0.contains(LAYER) != name.contains(LAYER) || !fits(&part, shape, width) || is_bias(name) {
                continue;
            }
            let features = features(name);
            let (shared, all) = (features.intersection(&spelling).count(), features.union(&spelling).count());
            if shared > 0 {
                pairs.push((shared as f64 / all as f64, of, part.clone(), name));
                spelt[of] += usize::from(shared == all);
            }
        }
    }
    pairs.sort_by(|(a, of_a, part_a, name_a), (b, of_b, part_b, name_b)| {
        let by_layout = || spelt[*of_b].cmp(&spelt[*of_a]);
        b.total_cmp(a).then_with(by_layout).then_with(|| part_a.cmp(part_b)).then_with(|| name_a.cmp(name_b))
    });
    let (mut parts, mut taken) = (BTreeMap::<Part, String>::new(), BTreeSet::new());
    for (_, _, part, name) in pairs {
        if !parts.contains_key(&part) && taken.insert(name) {
            parts.insert(part, name.clone());
        }
    }
    let mut places = BTreeMap::<String, Vec<String>>::new();
    let attention: Vec<String> = (0..3).filter_map(|i| parts.get(&(ATTENTION.to_owned(), i)).cloned()).collect();
    let fused = parts.get(&(ATTENTION.to_owned(), FUSED)).cloned();
    if let [_, _, _] = attention[..] {
        places.insert(ATTENTION.into(), attention);
    } else if let Some(fused) = fused {
        places.insert(ATTENTION.into(), vec![fused]);
    }
    let hidden: Vec<String> = (0..2).filter_map(|i| parts.get(&(HIDDEN.to_owned(), i)).cloned()).collect();
    if !hidden.is_empty() {
        places.insert(HIDDEN.into(), hidden);
    }
    let whole = parts.into_iter().filter(|((canonical, _), _)| canonical != ATTENTION && canonical != HIDDEN);
    places.extend(whole.map(|((canonical, _), name)| (canonical, vec![name])));
    places
}

fn is_bias(name: &str) -> bool {
    matches!(name.rsplit(['.', '_']).next(), Some("bias" | "shift" | "beta"))
}

/// Whether a tensor of that shape may be the part, `width` being that of the residual stream.
fn fits((canonical, part): &Part, shape: &[usize], width: usize) -> bool {
    match shape {
        [n] if canonical.contains("q_norm") || canonical.contains("k_norm") => *n <= width,
        [n] => (canonical.contains("ln_")) && *n == width,
        [rows, columns] => {
            let is_matrix = !canonical.contains("ln_") && !canonical.contains("norm");
            is_matrix && shape.contains(&width) && (*part != FUSED || rows.max(columns) > &width)
        }
        _ => false,
    }
}

/// The width of the residual stream: the length that most vectors of blocks have that are no biases, or else the side that
/// most of their matrices have.
fn width(tensors: &Tensors<'_>) -> usize {
    let mut counts = BTreeMap::<usize, usize>::new();
    for (_, shape) in tensors.iter().filter(|(name, _)| name.contains(LAYER) && !is_bias(name)) {
        match shape {
            [n] => *counts.entry(*n).or_default() += 100,
            [rows, columns] => [rows, columns].into_iter().for_each(|n| *counts.entry(*n).or_default() += 1),
            _ => {}
        }
    }
    counts.into_iter().max_by_key(|(_, n)| *n).map_or(0, |(n, _)| n)
}

/// The biases beside a weight's names, where each has one.
fn biases(weight: &str, names: &[String], tensors: &Tensors<'_>) -> Option<(String, Vec<String>)> {
    let beside = |name: &String| {
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let spelt = ["bias", "shift", "beta"].map(|end| format!("{stem}.{end}"));
        spelt.into_iter().find(|bias| bias != name && matches!(tensors.get(bias), Some([_])))
    };
    let biases = names.iter().map(beside).collect::<Option<Vec<_>>>()?;
    let canonical = weight.replace(".weight", ".bias");
    kinds().any(|slot| pattern(slot) == canonical).then_some((canonical, biases))
}

/// Whether the matrices of blocks are stored `[out, in]`, as those show that are not square; `[out, in]` where all are.
fn is_out_in(places: &BTreeMap<String, Vec<String>>, tensors: &Tensors<'_>) -> bool {
    let width = width(tensors);
    let shows = |canonical: &str, to_width: bool| {
        let &[rows, columns] = *tensors.get(places.get(canonical)?.first()?)? else { return None };
        (rows != columns).then_some((if to_width { rows } else { columns }) == width)
    };
    let down = || shows("h.{layer}.mlp.c_proj.weight", true);
    shows(HIDDEN, false).or_else(down).or_else(|| shows(ATTENTION, false)).unwrap_or(true)
}

/// The map, in the order of the canonical tensors.
fn written(places: &BTreeMap<String, Vec<String>>, skip: &[String], out_in: bool) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let listed = |names: &[String]| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let order: Vec<String> = kinds().map(pattern).collect();
    let mut lines: Vec<(usize, String)> = places
        .iter()
        .map(|(canonical, names)| {
            let value = if let [name] = &names[..] { quoted(name) } else { format!("[{}]", listed(names)) };
            let at = order.iter().position(|known| known == canonical).unwrap_or(order.len());
            (at, format!("    {}: {value}", quoted(canonical)))
        })
        .collect();
    lines.sort();
    let tensors: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    let orientation = if out_in { "out_in" } else { "in_out" };
    format!(
        "{{\n  \"description\": \"guessed from names and shapes\",\n  \"orientation\": \"{orientation}\",\n  \
         \"tensors\": {{\n{}\n  }},\n  \"skip\": [{}]\n}}\n",
        tensors.join(",\n"),
        listed(skip)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::name_map::NameMap;

    const E: usize = 8;
    const F: usize = 32;

    /// The names of a map in two blocks, with the shapes that they would have.
    fn tensors(map: &NameMap, gated: bool) -> Vec<(String, Vec<usize>)> {
        let mut tensors = Vec::new();
        let config = emberlm_core::config::Config { n_layer: 2, ..emberlm_core::config::Config::GPT2 };
        for slot in Slot::all(&config) {
            let prefix = map.prefixes().last().unwrap_or_default();
            let Some(place) = map.place(slot, prefix) else { continue };
            let canonical = pattern(slot);
            let out_in = place.orientation == crate::checkpoint::Orientation::OutIn;
            let n = place.names.len();
            let matrix = |rows: usize, columns: usize| if out_in { vec![rows, columns] } else { vec![columns, rows] };
            let hidden = if gated { F } else { 4 * E };
            let shape = match canonical.as_str() {
                "wte.weight" | "lm_head.weight" => vec![97, E],
                "wpe.weight" => vec![20, E],
                ATTENTION => matrix(3 * E / n, E),
                HIDDEN => matrix(hidden, E),
                "h.{layer}.mlp.c_proj.weight" => matrix(E, hidden),
                "h.{layer}.attn.c_proj.weight" => matrix(E, E),
                "h.{layer}.attn.c_attn.bias" => vec![3 * E / n],
                "h.{layer}.mlp.c_fc.bias" => vec![hidden],
                _ => vec![E],
            };
            tensors.extend(place.names.into_iter().map(|name| (name, shape.clone())));
        }
        tensors
    }

    fn guessed(tensors: &[(String, Vec<usize>)]) -> Template {
        let shapes: Vec<(&str, &[usize])> =
            tensors.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())).collect();
        of_tensors(&shapes)
    }

    /// What is guessed of a known layout's names is that layout.
    #[test]
    fn known_layouts_are_found_again() {
        for layout in Layout::BUILT_IN {
            let map = layout.name_map().unwrap();
            let gated = map.family().unwrap().is_llama_like();
            let tensors = tensors(&map, gated);
            let template = guessed(&tensors);
            let found: serde_json::Value = serde_json::from_str(&template.map).unwrap();
            let prefix = map.prefixes().last().unwrap_or_default().to_owned();
            for slot in kinds() {
                let canonical = pattern(slot);
                let Some(place) = map.place(slot, &prefix) else { continue };
                let want: Vec<String> = match slot {
                    Slot::Layer(..) => place
                        .names
                        .iter()
                        .map(|name| name.strip_prefix(&prefix).map_or_else(|| name.clone(), str::to_owned))
                        .map(|name| prefix.clone() + &name.replacen('0', LAYER, 1))
                        .collect(),
                    _ => place.names,
                };
                let have = &found["tensors"][&canonical];
                let have: Vec<String> = have.as_array().map_or_else(
                    || have.as_str().into_iter().map(str::to_owned).collect(),
                    |list| list.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
                );
                assert_eq!(have, want, "{canonical} of {layout}: {}", template.map);
            }
            assert!(template.left.is_empty(), "{layout}: {:?}", template.left);
            // Square matrices show no orientation, and gated ones have it by their hidden layer.
            let orientation =
                if map.orientation == crate::checkpoint::Orientation::OutIn { "out_in" } else { "in_out" };
            assert_eq!(found["orientation"], orientation, "{layout}");
        }
    }

    /// Retellings that nobody here has seen.
    #[test]
    fn retellings_are_guessed() {
        let retold = |block: &[(&str, &[usize])], outside: &[(&str, &[usize])]| {
            let blocks = (0..2).flat_map(|i| {
                block.iter().map(move |(name, shape)| (name.replace(LAYER, &i.to_string()), shape.to_vec()))
            });
            blocks.chain(outside.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec()))).collect::<Vec<_>>()
        };
        let mini = retold(
            &[
                ("blocks.{layer}.ln1.weight", &[E]),
                ("blocks.{layer}.ln1.bias", &[E]),
                ("blocks.{layer}.attn.key.weight", &[E, E]),
                ("blocks.{layer}.attn.query.weight", &[E, E]),
                ("blocks.{layer}.attn.value.weight", &[E, E]),
                ("blocks.{layer}.attn.proj.weight", &[E, E]),
                ("blocks.{layer}.attn.mask", &[20, 20]),
                ("blocks.{layer}.ln2.weight", &[E]),
                ("blocks.{layer}.ln2.bias", &[E]),
                ("blocks.{layer}.mlp.0.weight", &[F, E]),
                ("blocks.{layer}.mlp.0.bias", &[F]),
                ("blocks.{layer}.mlp.2.weight", &[E, F]),
                ("blocks.{layer}.mlp.2.bias", &[E]),
            ],
            &[
                ("tok_emb.weight", &[97, E]),
                ("pos_emb.weight", &[20, E]),
                ("ln_f.weight", &[E]),
                ("ln_f.bias", &[E]),
                ("head.weight", &[97, E]),
            ],
        );
        let template = guessed(&mini);
        let map = NameMap::parse(template.map.as_bytes()).unwrap();
        let names = |slot: &str| {
            let slot = kinds().find(|kind| pattern(*kind) == slot).unwrap();
            map.place(slot, "").map(|place| place.names).unwrap_or_default()
        };
        assert_eq!(names(ATTENTION), ["query", "key", "value"].map(|part| format!("blocks.0.attn.{part}.weight")));
        assert_eq!(names("h.{layer}.attn.c_proj.weight"), ["blocks.0.attn.proj.weight"]);
        assert_eq!(names(HIDDEN), ["blocks.0.mlp.0.weight"]);
        assert_eq!(names("h.{layer}.mlp.c_proj.bias"), ["blocks.0.mlp.2.bias"]);
        assert_eq!(names("h.{layer}.ln_2.weight"), ["blocks.0.ln2.weight"]);
        assert_eq!(names("lm_head.weight"), ["head.weight"]);
        assert_eq!((&template.missing[..], &template.left[..]), (&[][..], &[][..]), "{}", template.map);
        assert!(template.map.contains("\"skip\": [\"blocks.{layer}.attn.mask\"]"), "{}", template.map);
    }

    /// What no word tells is said, and stands in the map to be filled in.
    #[test]
    fn what_is_not_found_is_said() {
        let tensors = [("x.0.foo", vec![E, E]), ("x.0.bar", vec![E]), ("x.1.foo", vec![E, E]), ("x.1.bar", vec![E])];
        let tensors: Vec<_> = tensors.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect();
        let template = guessed(&tensors);
        assert_eq!(template.left, ["x.{layer}.bar", "x.{layer}.foo"]);
        assert_eq!(template.missing.len(), 8);
        assert!(template.map.contains("\"wte.weight\": \"?\""), "{}", template.map);
        assert_eq!(guessed(&[]).missing.len(), 8);
    }
}
