//! The same model from every layout, file form and element type.

use super::build::{CONFIG, Draft, Stored, assert_canonical, canonical};
use crate::checkpoint::architecture::is_optional;
use crate::checkpoint::{Checkpoint, Layout, Options};
use emberlm_core::blob::{LayerSlot, Presence, Slot};
use emberlm_core::config::{Activation, Config, Gelu, Mlp, Norms};
use safetensors::Dtype;
use serde_json::json;

const LAYOUTS: [Layout; 3] = [Layout::HuggingFace, Layout::NanoGpt, Layout::Scratch];

#[test]
fn every_layout_gives_the_same_tensors() {
    for layout in &LAYOUTS {
        let checkpoint = Draft::new(layout, "transformer.").open().unwrap();
        assert_eq!(checkpoint.layout().layout, *layout);
        let activation = Activation::Gelu(if *layout == Layout::NanoGpt { Gelu::Erf } else { Gelu::Tanh });
        assert_eq!(*checkpoint.config(), Config { mlp: Mlp { activation, gated: false }, ..CONFIG });
        assert_eq!(checkpoint.is_tied(), *layout != Layout::Scratch);
        assert_eq!(checkpoint.tensor(Slot::LmHead).is_some(), *layout == Layout::Scratch);
        assert_canonical(&checkpoint);
    }
}

#[test]
fn every_prefix_and_wrapper_is_seen_through() {
    for layout in &LAYOUTS {
        for prefix in ["", "transformer."] {
            for wrapper in ["", "_orig_mod.", "module.", "module._orig_mod."] {
                let mut draft = Draft::new(layout, prefix);
                draft.rename(|name| format!("{wrapper}{name}"));
                assert_canonical(&draft.open().unwrap());
            }
        }
    }
}

#[test]
fn half_precision_is_exact_and_need_not_be_uniform() {
    for layout in &LAYOUTS {
        let mut draft = Draft::new(layout, "transformer.");
        for (index, tensor) in draft.tensors.values_mut().enumerate() {
            if index % 3 > 0 {
                *tensor = tensor.narrowed(if index % 3 == 1 { Dtype::F16 } else { Dtype::BF16 });
            }
        }
        let checkpoint = draft.open().unwrap();
        assert_canonical(&checkpoint);
        assert_eq!(checkpoint.is_tied(), *layout != Layout::Scratch);
    }
}

#[test]
fn shards_index_and_oddly_named_files_open() {
    let draft = Draft::hf();
    let folder = tempfile::tempdir().unwrap();
    draft.write_config(folder.path());
    let shard_of = |name: &str| if name.len().is_multiple_of(2) { "a.safetensors" } else { "b.safetensors" };
    for shard in ["a.safetensors", "b.safetensors"] {
        draft.write_tensors(&folder.path().join(shard), |name| shard_of(name) == shard);
    }
    let map: serde_json::Map<_, _> = draft.tensors.keys().map(|name| (name.clone(), shard_of(name).into())).collect();
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string()).unwrap();
    for path in [folder.path(), &index] {
        assert_canonical(&Checkpoint::open(path, &Options::default()).unwrap());
    }

    let folder = tempfile::tempdir().unwrap();
    draft.write_config(folder.path());
    let file = folder.path().join("step-100.safetensors");
    draft.write_tensors(&file, |_| true);
    for path in [folder.path(), &file] {
        assert_canonical(&Checkpoint::open(path, &Options::default()).unwrap());
    }
}

#[test]
fn a_bare_file_needs_its_heads_and_tells_what_it_assumes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bare.safetensors");
    Draft::hf().write_tensors(&file, |_| true);
    let error = Checkpoint::open(&file, &Options::default()).unwrap_err();
    assert_eq!(error.kind(), "config_missing");
    assert!(error.to_string().contains("--n-head"), "{error}");

    let heads = Options { n_head: Some(2), ..Options::default() };
    let checkpoint = Checkpoint::open(&file, &heads).unwrap();
    assert_eq!(*checkpoint.config(), CONFIG);
    let notes = [
        "assumed default of layout hf: activation_function gelu_new",
        "assumed default of layout hf: layer_norm_epsilon 1e-5",
    ];
    assert_eq!(checkpoint.notes(), notes);

    let config = folder.path().join("elsewhere.json");
    std::fs::write(&config, json!({"n_heads": 4, "activation": "gelu", "eps": 1e-6}).to_string()).unwrap();
    let checkpoint = Checkpoint::open(&file, &Options { config: Some(config), ..Options::default() }).unwrap();
    let mlp = Mlp { activation: Activation::Gelu(Gelu::Erf), gated: false };
    let norms = Norms { epsilon: 1e-6, ..CONFIG.norms };
    let expected = Config { mlp, norms, ..CONFIG.with_heads(4) };
    assert_eq!(*checkpoint.config(), expected);
    assert_eq!(checkpoint.notes(), [""; 0]);
}

#[test]
fn masks_are_skipped() {
    let ones = Stored::f32(&[1, 1, 5, 5], &[1.0; 25]);
    let mut draft = Draft::hf();
    let boolean = Stored { dtype: Dtype::BOOL, shape: vec![5, 5], bytes: vec![1; 25] };
    let lowest = Stored::f32(&[], &[f32::NEG_INFINITY]);
    draft.tensors.insert("transformer.h.0.attn.bias".to_owned(), boolean);
    draft.tensors.insert("transformer.h.1.attn.masked_bias".to_owned(), lowest);
    assert_canonical(&draft.open().unwrap());
    let mut draft = Draft::new(&Layout::Scratch, "");
    draft.tensors.insert("trf_blocks.1.att.mask".to_owned(), ones);
    assert_canonical(&draft.open().unwrap());
}

#[test]
fn every_bias_is_optional() {
    let may_lack = |slot: &Slot| slot.presence(&CONFIG) != Presence::Never && is_optional(*slot);
    let mut draft = Draft::new(&Layout::NanoGpt, "transformer.");
    draft.tensors.retain(|name, _| !name.ends_with(".bias"));
    draft.set("bias", false.into());
    let checkpoint = draft.open().unwrap();
    for slot in Slot::all(&CONFIG).filter(may_lack) {
        assert!(checkpoint.tensor(slot).is_none(), "{slot}");
    }
    for slot in LayerSlot::ALL.into_iter().filter(|slot| may_lack(&Slot::Layer(0, *slot))) {
        let mut draft = Draft::new(&Layout::Scratch, "");
        let names: Vec<_> = (0..2).map(|layer| Slot::Layer(layer, slot)).collect();
        let map = Layout::Scratch.name_map().unwrap();
        for name in names.iter().flat_map(|slot| map.place(*slot, "").unwrap().names) {
            draft.remove(&name);
        }
        if slot == LayerSlot::AttnQkvBias {
            draft.set("qkv_bias", false.into());
        }
        assert!(draft.open().unwrap().tensor(names[1]).is_none(), "{slot:?}");
    }
}

#[test]
fn heads_are_tied_by_absence_or_by_equal_bits() {
    let mut untied = Draft::hf();
    untied.tensors.insert("lm_head.weight".to_owned(), Stored::f32(&[7, 4], &canonical(Slot::LmHead)));
    untied.tensors.insert("lm_head.bias".to_owned(), Stored::f32(&[7], &canonical(Slot::LmHeadBias)));
    untied.set("tie_word_embeddings", false.into());
    let checkpoint = untied.open().unwrap();
    assert!(!checkpoint.is_tied());
    assert_eq!(checkpoint.tensor(Slot::LmHead).unwrap().data.as_ref(), canonical(Slot::LmHead));
    assert_eq!(checkpoint.tensor(Slot::LmHeadBias).unwrap().data.as_ref(), canonical(Slot::LmHeadBias));

    let wte = untied.tensors["transformer.wte.weight"].clone();
    untied.tensors.insert("lm_head.weight".to_owned(), wte);
    assert!(untied.open().unwrap().is_tied());

    let mut shared = Draft::new(&Layout::Scratch, "");
    shared.remove("out_head.weight");
    shared.set("tie_word_embeddings", true.into());
    assert!(shared.open().unwrap().is_tied());
}

#[test]
fn names_that_share_memory_are_found_through_the_metadata() {
    let mut draft = Draft::new(&Layout::NanoGpt, "transformer.");
    draft.remove("transformer.wte.weight");
    draft.metadata.insert("transformer.wte.weight".to_owned(), "lm_head.weight".to_owned());
    let checkpoint = draft.open().unwrap();
    assert!(checkpoint.is_tied());
    assert_canonical(&checkpoint);
}

#[test]
fn retellings_are_read_through_a_map_file() {
    let mut draft = Draft::new(&Layout::Scratch, "");
    let retell = |name: &str| {
        let renamed = name.replace("trf_blocks", "transformer_blocks").replace("tok_emb", "token_embedding");
        renamed.replace("final_norm", "final_layer_norm").replace("out_head", "output_layer")
    };
    draft.rename(retell);
    let error = draft.refusal();
    assert!(error.contains("`final_layer_norm.scale`") && error.contains("map file"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.json");
    std::fs::write(&path, retell(include_str!("../layouts/scratch.json"))).unwrap();
    let options = Options { layout: Some(Layout::Map(path)), ..Options::default() };
    let checkpoint = draft.open_with(&options).unwrap();
    assert_canonical(&checkpoint);
    assert!(checkpoint.layout().to_string().ends_with("map.json (as asked for)"));
}

#[test]
fn the_fused_projection_tells_the_orientation() {
    let evidence = |layout: &Layout| Draft::new(layout, "").open().unwrap().layout().to_string();
    assert_eq!(evidence(&Layout::HuggingFace), "hf (h.0.attn.c_attn.weight is [4, 12]: Conv1D, [in, out])");
    assert_eq!(evidence(&Layout::NanoGpt), "nanogpt (h.0.attn.c_attn.weight is [12, 4]: Linear, [out, in])");
    let mut linear = Draft::new(&Layout::NanoGpt, "");
    linear.config = Draft::hf().config;
    let checkpoint = linear.open().unwrap();
    assert_eq!(checkpoint.config().mlp.activation, Activation::Gelu(Gelu::Tanh));
    assert_canonical(&checkpoint);
}

#[test]
fn wrappers_are_taken_off_wherever_they_stand() {
    for layout in &LAYOUTS {
        for wrapper in ["_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module._orig_mod"] {
            let mut draft = Draft::new(layout, "transformer.");
            // Around each tensor's own module, as where every block was compiled by itself.
            draft.rename(|name| match name.rsplitn(3, '.').collect::<Vec<_>>()[..] {
                [leaf, module, outer] => format!("base_model.model.{outer}.{wrapper}.{module}.{leaf}"),
                _ => format!("{wrapper}.{name}"),
            });
            let checkpoint = draft.open().unwrap();
            assert_canonical(&checkpoint);
            let first = wrapper.split('.').next().unwrap();
            assert!(checkpoint.notes().iter().any(|note| note.contains(first)), "{:?}", checkpoint.notes());
        }
    }
    let mut draft = Draft::hf();
    draft.tensors.insert("transformer.h.0._orig_mod.ln_1.bias".to_owned(), Stored::f32(&[4], &[0.5; 4]));
    let error = draft.refusal();
    assert!(error.contains("`transformer.h.0._orig_mod.ln_1.bias`") && error.contains("one name"), "{error}");
}

#[test]
fn an_embedding_stored_under_the_heads_name_is_read_where_they_are_tied() {
    for layout in &LAYOUTS {
        let scratch = *layout == Layout::Scratch;
        let (wte, head) =
            if scratch { ("tok_emb.weight", "out_head.weight") } else { ("transformer.wte.weight", "lm_head.weight") };
        let mut draft = Draft::new(layout, "transformer.");
        let stored = draft.remove(wte);
        draft.tensors.insert(head.to_owned(), stored);
        if scratch {
            let error = draft.refusal();
            assert!(error.contains(wte) && error.contains(head) && error.contains("tie_word_embeddings"), "{error}");
            draft.set("tie_word_embeddings", true.into());
        }
        let checkpoint = draft.open().unwrap();
        assert!(checkpoint.is_tied() && checkpoint.tensor(Slot::LmHead).is_none());
        assert_canonical(&checkpoint);
        assert!(checkpoint.notes().iter().any(|note| note.contains(head)), "{:?}", checkpoint.notes());
        draft.set("tie_word_embeddings", false.into());
        let error = draft.refusal();
        assert!(error.contains(wte) && error.contains("`tie_word_embeddings` is false"), "{error}");
    }
}

#[test]
fn a_fused_projection_under_another_name_leads_to_a_name_map() {
    let mut draft = Draft::new(&Layout::Scratch, "");
    for layer in 0..2 {
        let at = |part: &str| format!("trf_blocks.{layer}.att.{part}");
        for kind in ["weight", "bias"] {
            for part in ["W_query", "W_key", "W_value"] {
                draft.remove(&format!("{}.{kind}", at(part)));
            }
        }
        let fused = canonical(Slot::Layer(layer, LayerSlot::AttnQkvWeight));
        draft.tensors.insert(at("qkv.weight"), Stored::f32(&[12, 4], &fused));
        draft
            .tensors
            .insert(at("qkv.bias"), Stored::f32(&[12], &canonical(Slot::Layer(layer, LayerSlot::AttnQkvBias))));
    }
    let error = draft.refusal();
    assert!(error.contains("trf_blocks.0.att.qkv.weight") && error.contains("--layout FILE"), "{error}");

    let mut map: serde_json::Value = serde_json::from_str(include_str!("../layouts/scratch.json")).unwrap();
    for kind in ["weight", "bias"] {
        map["tensors"][format!("h.{{layer}}.attn.c_attn.{kind}")] =
            format!("trf_blocks.{{layer}}.att.qkv.{kind}").into();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.json");
    std::fs::write(&path, map.to_string()).unwrap();
    let options = Options { layout: Some(Layout::Map(path)), ..Options::default() };
    assert_canonical(&draft.open_with(&options).unwrap());
    // The map reads the model compiled, too, whichever of the two has the wrapper.
    draft.rename(|name| format!("_orig_mod.{name}"));
    assert_canonical(&draft.open_with(&options).unwrap());
}

#[test]
fn a_map_with_many_prefixes_and_names_is_quick() {
    let mut map: serde_json::Value = serde_json::from_str(include_str!("../layouts/hf.json")).unwrap();
    let many = |what: &str, n: usize| (0..n).map(|i| format!("{what}{i}.")).collect::<Vec<_>>();
    map["prefixes"] = [many(&"x".repeat(800), 63), vec!["transformer.".into()]].concat().into();
    map["skip"] = many("buffer.{layer}.", 1024).into();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.json");
    std::fs::write(&path, map.to_string()).unwrap();
    let mut draft = Draft::hf();
    for i in 0..20_000 {
        draft.tensors.insert(format!("buffer.{i}.1023."), Stored::f32(&[0], &[]));
    }
    let started = std::time::Instant::now();
    let options = Options { layout: Some(Layout::Map(path)), ..Options::default() };
    assert_canonical(&draft.open_with(&options).unwrap());
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
