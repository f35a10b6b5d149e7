//! Maps of names: what is bound, and what is refused.

use super::*;

const SCRATCH: &str = include_str!("../layouts/scratch.json");

fn scratch_without(key: &str) -> Vec<u8> {
    let mut map: serde_json::Value = serde_json::from_str(SCRATCH).unwrap();
    map["tensors"].as_object_mut().unwrap().remove(key).unwrap();
    serde_json::to_vec(&map).unwrap()
}

fn scratch_with(key: &str, value: serde_json::Value) -> Vec<u8> {
    let mut map: serde_json::Value = serde_json::from_str(SCRATCH).unwrap();
    map["tensors"][key] = value;
    serde_json::to_vec(&map).unwrap()
}

#[test]
fn places_spell_prefix_and_layer() {
    let hf = NameMap::parse(include_bytes!("../layouts/hf.json")).unwrap();
    let slot = Slot::Layer(11, LayerSlot::FcWeight);
    let place = hf.place(slot, "transformer.").unwrap();
    assert_eq!(place.names, ["transformer.h.11.mlp.c_fc.weight"]);
    assert_eq!(place.orientation, Orientation::InOut);
    assert_eq!(hf.place(slot, "").unwrap().names, ["h.11.mlp.c_fc.weight"]);
    assert_eq!(hf.place(Slot::LmHead, "transformer.").unwrap().names, ["lm_head.weight"]);
    assert_eq!(hf.place(Slot::LmHead, "").unwrap().orientation, Orientation::OutIn);
    assert!(hf.block_patterns("transformer.").any(|name| name == "transformer.h.{layer}.ln_1.weight"));
    assert!(hf.skip_patterns("").any(|name| name == "h.{layer}.attn.bias"));
}

#[test]
fn split_projections_and_single_orientations_are_read() {
    let scratch = NameMap::parse(SCRATCH.as_bytes()).unwrap();
    let place = scratch.place(Slot::Layer(2, LayerSlot::AttnQkvBias), "").unwrap();
    assert_eq!(place.names[1], "trf_blocks.2.att.W_key.bias");
    let head = serde_json::json!({"name": "unembed", "orientation": "in_out"});
    let map = NameMap::parse(&scratch_with("lm_head.weight", head)).unwrap();
    assert_eq!(map.place(Slot::LmHead, "").unwrap().orientation, Orientation::InOut);
    let map = NameMap::parse(&scratch_without("lm_head.bias")).unwrap();
    assert_eq!(map.place(Slot::LmHeadBias, ""), None);
}

#[test]
fn maps_without_bounds_are_refused() {
    let with = |key: &str, value: serde_json::Value| {
        let mut map: serde_json::Value = serde_json::from_str(SCRATCH).unwrap();
        map[key] = value;
        NameMap::parse(&serde_json::to_vec(&map).unwrap()).map(|_| ())
    };
    let many = |n: usize| (0..n).map(|i| format!("p{i}.")).collect::<Vec<_>>().into();
    assert_eq!(with("prefixes", many(64)), Ok(()));
    assert!(with("prefixes", many(65)).unwrap_err().contains("65 prefixes"));
    assert!(with("prefixes", many(200_000)).unwrap_err().contains("a name map at most"));
    assert!(with("skip", many(1025)).unwrap_err().contains("1025 names to skip"));
    assert!(with("prefixes", vec!["x".repeat(900_000)].into()).is_ok(), "no name has a prefix");
    let long = serde_json::json!(["x".repeat(1000)]);
    let bomb = |name: &str| {
        let mut map: serde_json::Value = serde_json::from_str(SCRATCH).unwrap();
        (map["prefixes"], map["tensors"]["wte.weight"]) = (long.clone(), name.into());
        NameMap::parse(&serde_json::to_vec(&map).unwrap()).map(|_| ())
    };
    assert_eq!(bomb("{prefix}wte"), Ok(()));
    assert!(bomb("{prefix}wte.which.is.one.of.the.long.names").unwrap_err().contains("at most 1024"));
    assert!(with("prefixes", vec!["{layer}."].into()).unwrap_err().contains("braces"));
    assert!(bomb("{prefix}{prefix}").unwrap_err().contains("more than once"));
    for name in ["h.{layer}.{layer}", "h.1{layer}.w", "h.{layer}0.w"] {
        assert!(NameMap::parse(&scratch_with("h.{layer}.ln_1.weight", name.into())).is_err(), "{name}");
    }
}

#[test]
fn maps_of_rotary_models_need_no_rows_of_positions_and_may_split_a_gated_mlp() {
    const META: &str = include_str!("../layouts/meta.json");
    let map = NameMap::parse(META.as_bytes()).unwrap();
    assert_eq!((map.family(), map.rotary_pairs), (Ok(Family::Llama), RotaryPairs::Adjacent));
    assert_eq!(map.place(Slot::Wpe, ""), None);
    let place = map.place(Slot::Layer(3, LayerSlot::FcWeight), "").unwrap();
    assert_eq!(place.names, ["layers.3.feed_forward.w1.weight", "layers.3.feed_forward.w3.weight"]);
    let with = |key: &str, value: serde_json::Value| {
        let mut map: serde_json::Value = serde_json::from_str(META).unwrap();
        map[key] = value;
        NameMap::parse(&serde_json::to_vec(&map).unwrap()).unwrap_err()
    };
    assert_eq!(with("model_type", "gpt2".into()), "`wpe.weight` is not mapped");
    assert!(with("model_type", "bloom".into()).starts_with("model_type `bloom` is not supported (gpt2, "));
    let gate_alone = serde_json::json!(["layers.{layer}.w1", "layers.{layer}.w3"]);
    let error = NameMap::parse(&scratch_with("h.{layer}.mlp.c_fc.weight", gate_alone)).unwrap_err();
    assert!(error.contains("the c_fc of a gated MLP in two"), "{error}");
}

#[test]
fn faulty_maps_name_the_key() {
    let cases = [
        (b"{".to_vec(), "EOF"),
        (scratch_without("wpe.weight"), "`wpe.weight` is not mapped"),
        (scratch_with("wte", "x".into()), "`wte` is no canonical tensor"),
        (scratch_with("h.{layer}.ln_1.weight", "norm".into()), "must hold {layer}"),
        (scratch_with("wte.weight", "tok.{layer}".into()), "must hold {layer}"),
        (scratch_with("ln_f.weight", serde_json::json!(["a", "b", "c"])), "only c_attn"),
    ];
    for (text, expected) in cases {
        let error = NameMap::parse(&text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
