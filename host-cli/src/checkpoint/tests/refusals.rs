//! Every refusal is one line that names the tensor or key.

use super::build::{Draft, Stored, canonical};
use crate::checkpoint::{Checkpoint, Layout, Options};
use emberlm_core::blob::Slot;
use safetensors::Dtype;
use serde_json::{Value, json};

fn refused_config(key: &str, value: Value) -> String {
    let mut draft = Draft::hf();
    draft.set(key, value);
    draft.refusal()
}

#[test]
fn configurations_with_another_meaning() {
    let cases = [
        ("activation_function", json!("quick_gelu")),
        ("scale_attn_weights", json!(0)),
        ("scale_attn_by_inverse_layer_idx", json!(2)),
        ("add_cross_attention", json!(true)),
        ("model_type", json!("gpt_bigcode")),
        ("num_key_value_heads", json!(1)),
        ("head_dim", json!(3)),
        ("n_layer", json!("2")),
    ];
    for (key, value) in cases {
        let error = refused_config(key, value);
        assert!(error.starts_with(&format!("config key `{key}`")), "{error}");
    }
}

#[test]
fn configurations_that_disagree_with_shapes() {
    let cases = [
        ("vocab_size", json!(8), "transformer.wte.weight"),
        ("n_embd", json!(8), "transformer.wte.weight"),
        ("n_inner", json!(8), "transformer.h.0.mlp.c_fc.weight"),
    ];
    for (key, value, tensor) in cases {
        let error = refused_config(key, value.clone());
        assert!(error.starts_with(&format!("config key `{key}` is {value}, but tensor `{tensor}` says ")), "{error}");
    }
    let error = refused_config("n_layer", json!(1));
    assert!(error.starts_with("config key `n_layer` is 1, but tensor `transformer.h.1."), "{error}");
    assert_eq!(
        refused_config("n_layer", json!(3)),
        "tensor `transformer.h.2.ln_1.weight` is missing, and `n_layer` is 3"
    );
    let mut draft = Draft::hf();
    draft.unset("n_ctx").set("n_positions", json!(6));
    assert_eq!(draft.refusal(), "config key `n_positions` is 6, but tensor `transformer.wpe.weight` says 5");

    let mut draft = Draft::new(&Layout::NanoGpt, "transformer.");
    draft.set("bias", json!(false));
    let error = draft.refusal();
    assert_eq!(error, "config key `bias` is false, but tensor `transformer.ln_f.bias` is present");
    let mut draft = Draft::new(&Layout::Scratch, "");
    draft.set("qkv_bias", json!(false));
    let error = draft.refusal();
    assert_eq!(error, "config key `qkv_bias` is false, but tensor `trf_blocks.0.att.W_query.bias` is present");
}

#[test]
fn n_inner_null_means_four_times_the_width() {
    let mut draft = Draft::hf();
    for layer in 0..2 {
        let name = |part: &str| format!("transformer.h.{layer}.mlp.{part}");
        draft.tensors.insert(name("c_fc.weight"), Stored::f32(&[4, 8], &[0.5; 32]));
        draft.tensors.insert(name("c_fc.bias"), Stored::f32(&[8], &[0.5; 8]));
        draft.tensors.insert(name("c_proj.weight"), Stored::f32(&[8, 4], &[0.5; 32]));
    }
    let error = draft.refusal();
    assert_eq!(error, "config key `n_inner` is 16, but tensor `transformer.h.0.mlp.c_fc.weight` says 8");
    assert_eq!(draft.set("n_inner", json!(8)).open().unwrap().config().n_ff, 8);
}

#[test]
fn configurations_that_say_too_little_or_too_much() {
    let mut draft = Draft::hf();
    draft.unset("n_head");
    assert!(draft.refusal().starts_with("`n_head` is not known: the config does not say it"));
    let error = Draft::hf().open_with(&Options { n_head: Some(4), ..Options::default() }).unwrap_err();
    assert_eq!(error.to_string(), "config key `n_head`: 2, but 4 heads are asked for");
    assert!(refused_config("n_head", json!(3)).contains("n_head does not divide n_embd"));
    assert!(refused_config("layer_norm_epsilon", json!(-1.0)).contains("epsilon is negative"));
    let mut draft = Draft::hf();
    draft.set("swish_beta", json!(1.0));
    assert_eq!(draft.open().unwrap().notes(), ["config keys not known, ignored: swish_beta"]);
}

#[test]
fn missing_tensors() {
    for layout in [Layout::HuggingFace, Layout::NanoGpt, Layout::Scratch] {
        let draft = Draft::new(&layout, "transformer.");
        let optional_alone = ["transformer.ln_f.bias", "final_norm.shift", "lm_head.weight"];
        for name in draft.tensors.keys().filter(|name| !optional_alone.contains(&name.as_str())) {
            // A tied head stands for the embedding.
            if layout == Layout::NanoGpt && name == "transformer.wte.weight" {
                continue;
            }
            let mut draft = draft.clone();
            draft.remove(name);
            let error = draft.refusal();
            assert!(error.contains(&format!("`{name}`")), "{layout}: without {name}: {error}");
        }
    }
}

#[test]
fn misshapen_tensors() {
    for layout in [Layout::HuggingFace, Layout::NanoGpt, Layout::Scratch] {
        let mut draft = Draft::new(&layout, "transformer.");
        draft.set("n_inner", json!(16));
        for (name, stored) in &draft.tensors {
            let mut draft = draft.clone();
            let mut grown = stored.clone();
            grown.shape[0] += 1;
            grown.bytes.resize(grown.shape.iter().product::<usize>() * 4, 0);
            draft.tensors.insert(name.clone(), grown);
            let error = draft.refusal();
            assert!(error.contains(&format!("`{name}`")), "{layout}: {name} grown: {error}");
        }
    }
    let mut draft = Draft::hf();
    let name = "transformer.h.1.mlp.c_fc.weight";
    let flat = draft.remove(name);
    draft.tensors.insert(name.to_owned(), Stored { shape: vec![16, 4], ..flat });
    assert_eq!(draft.refusal(), format!("tensor `{name}` has another shape: need [4, 16], have [16, 4]"));
    let name = "transformer.h.0.attn.c_attn.weight";
    draft.tensors.insert(name.to_owned(), Stored::f32(&[7, 7], &[0.0; 49]));
    let need = "[4, 12] (Conv1D) or [12, 4] (Linear)";
    assert_eq!(draft.refusal(), format!("tensor `{name}` has another shape: need {need}, have [7, 7]"));
}

#[test]
fn leftover_tensors() {
    for name in ["score.weight", "transformer.h.0.attn.q_proj.weight", "transformer.h.0.attn.rotary_emb.inv_freq"] {
        let mut draft = Draft::hf();
        draft.tensors.insert(name.to_owned(), Stored::f32(&[2], &[0.0; 2]));
        let error = draft.refusal();
        assert!(error.starts_with(&format!("tensor `{name}` is left over: the layout does not know it")), "{error}");
        assert!(error.contains("--layout FILE"), "{error}");
    }
}

#[test]
fn weights_that_are_no_numbers() {
    let name = "transformer.h.1.attn.c_proj.weight";
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
            let mut draft = Draft::hf();
            let mut elements = [0.25; 16];
            elements[11] = bad;
            let mut stored = Stored::f32(&[4, 4], &elements);
            if dtype != Dtype::F32 {
                stored = stored.narrowed(dtype);
            }
            draft.tensors.insert(name.to_owned(), stored);
            assert_eq!(draft.refusal(), format!("tensor `{name}` holds {bad} at index 11"));
        }
    }
}

#[test]
fn element_types_that_are_not_known() {
    let mut draft = Draft::hf();
    let name = "transformer.ln_f.weight";
    draft.tensors.insert(name.to_owned(), Stored { dtype: Dtype::F64, shape: vec![4], bytes: vec![0; 32] });
    assert_eq!(draft.refusal(), format!("tensor `{name}` has unsupported type F64 (f32, f16 and bf16 are known)"));
}

#[test]
fn heads_that_are_not_what_the_config_says() {
    let mut draft = Draft::hf();
    draft.tensors.insert("lm_head.weight".to_owned(), Stored::f32(&[7, 4], &canonical(Slot::LmHead)));
    let error = draft.refusal();
    assert_eq!(
        error,
        "tensor `lm_head.weight` differs from `transformer.wte.weight`, but `tie_word_embeddings` is true"
    );
    let error = draft.unset("tie_word_embeddings").refusal();
    assert!(error.ends_with("but the config does not say \"tie_word_embeddings\": false"), "{error}");

    let mut draft = Draft::hf();
    let error = draft.set("tie_word_embeddings", json!(false)).refusal();
    assert_eq!(error, "tensor `lm_head.weight` is missing, and `tie_word_embeddings` is false");
    let mut draft = Draft::new(&Layout::Scratch, "");
    draft.remove("out_head.weight");
    let error = draft.refusal();
    assert!(error.starts_with("tensor `out_head.weight` is missing: say \"tie_word_embeddings\": true"), "{error}");
}

#[test]
fn overruled_layouts_that_do_not_fit() {
    let nanogpt = Options { layout: Some(Layout::NanoGpt), ..Options::default() };
    let error = Draft::hf().open_with(&nanogpt).unwrap_err().to_string();
    assert!(error.contains("`transformer.h.0."), "{error}");
    let scratch = Options { layout: Some(Layout::Scratch), ..Options::default() };
    let error = Draft::hf().open_with(&scratch).unwrap_err().to_string();
    assert_eq!(error, "tensor `tok_emb.weight` is missing");
    let nowhere = Options { layout: "nowhere.json".parse().ok(), ..Options::default() };
    assert_eq!(Draft::hf().open_with(&nowhere).unwrap_err().kind(), "io");
}

#[test]
fn damaged_files() {
    let folder = Draft::hf().write();
    let file = folder.path().join("model.safetensors");
    let whole = std::fs::read(&file).unwrap();
    for len in [0, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..len]).unwrap();
        let error = Checkpoint::open(folder.path(), &Options::default()).unwrap_err();
        let kind = if len == 0 { "file_kind" } else { "safetensors_header" };
        assert_eq!(error.kind(), kind, "{len} bytes: {error}");
        assert!(error.to_string().contains("model.safetensors"), "{error}");
    }
    let mut swollen = whole.clone();
    swollen[..8].fill(0xff);
    std::fs::write(&file, &swollen).unwrap();
    assert_eq!(Checkpoint::open(folder.path(), &Options::default()).unwrap_err().kind(), "safetensors_header");
    std::fs::write(&file, &whole).unwrap();
    for (config, kind) in [("[1, 2]", "file_kind"), ("{\"n_embd\": ", "config_file"), ("[[]", "config_file")] {
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        assert_eq!(Checkpoint::open(folder.path(), &Options::default()).unwrap_err().kind(), kind, "{config}");
    }
}

#[test]
fn folders_and_shards_that_are_incomplete() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Checkpoint::open(folder.path(), &Options::default()).unwrap_err();
    assert_eq!(open().kind(), "no_checkpoint");
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, "{}").unwrap();
    assert_eq!(open().kind(), "shard_index");
    let map = |shard: &str| json!({"weight_map": {"wte.weight": shard}}).to_string();
    std::fs::write(&index, map("a.safetensors")).unwrap();
    assert_eq!(open().kind(), "io");
    let draft = Draft::hf();
    draft.write_tensors(&folder.path().join("a.safetensors"), |_| true);
    let error = open();
    assert!(error.to_string().ends_with("tensor `wte.weight` is not in a.safetensors"), "{error}");
    draft.write_tensors(&folder.path().join("b.safetensors"), |_| true);
    let both = json!({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}).to_string();
    std::fs::write(&index, both).unwrap();
    assert!(open().to_string().contains("is in two shards"));
    assert_eq!(Checkpoint::open(&folder.path().join("gone"), &Options::default()).unwrap_err().kind(), "io");
}
