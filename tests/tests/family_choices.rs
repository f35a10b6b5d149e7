//! Folders of OPT, GPT-NeoX, Qwen, Gemma and microgpt in their spellings, through the reader, the float reference and core,
//! against the oracle; and what is refused, by name.

use emberlm::checkpoint::{Checkpoint, Layout, Options};
use emberlm_core::format::Format;
use emberlm_core::kernel::Portable;
use emberlm_tests::blobs;
use emberlm_tests::family_check::{MAX_LOSS_ERROR, N_TOKENS, check, check_steps, tokens};
use emberlm_tests::family_folders::{write_microgpt, write_neox, write_opt};
use emberlm_tests::family_models::{Llama, write_llama, write_llama_renamed};
use emberlm_tests::models::{Biases, Positions, Spec, Window};
use emberlm_tests::oracle::{Activation, Model};
use emberlm_tests::passes::{self, Way};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

fn remove(config: &mut Value, key: &str) {
    config.as_object_mut().unwrap().remove(key).unwrap_or_else(|| panic!("{key} is there"));
}

/// Checks what `write` makes of a model and of a configuration, and the blob of it.
fn agree(model: &Model, config: &Value, write: impl Fn(&Model, &Value, &TempDir) -> std::io::Result<()>) {
    let folder = tempdir().unwrap();
    write(model, config, &folder).unwrap();
    check(folder.path(), &Options::default(), model, &config.to_string());
    check_steps(&Checkpoint::open(folder.path(), &Options::default()).unwrap());
    let blob = blobs::of_checkpoint(folder.path(), Format::F32, None);
    let tokens = &tokens(model.n_vocab())[..N_TOKENS.min(model.n_ctx + 1)];
    let found = passes::nll(&blob, Portable, tokens, Way::PLAIN).unwrap();
    let error = found.iter().zip(model.nll(tokens)).map(|(found, nll)| f64::from(*found) - nll).sum::<f64>();
    assert!((error / found.len() as f64).abs() <= MAX_LOSS_ERROR, "core is off by {error}: {config}");
}

/// Why what `write` makes is refused: one line.
fn refusal(model: &Model, config: &Value, write: impl Fn(&Model, &Value, &TempDir) -> std::io::Result<()>) -> String {
    let folder = tempdir().unwrap();
    write(model, config, &folder).unwrap();
    let error = Checkpoint::open(folder.path(), &Options::default()).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

fn llama(model: &Model, config: &Value, folder: &TempDir) -> std::io::Result<()> {
    write_llama(model, config, folder.path())
}

/// A model with Llama's sizes, of which `spec` is what it makes otherwise, and what its configuration says of sizes.
fn of_llamas_size(spec: Spec, model_type: &str) -> (Model, Value) {
    let size = Llama::SMALL;
    let spec = Spec {
        n_vocab: size.n_vocab,
        n_ctx: 64,
        n_embd: size.n_embd,
        n_layer: 4,
        n_head: size.n_head,
        n_kv_head: Some(size.n_kv_head),
        head_dim: Some(size.head_dim),
        n_ff: size.n_ff,
        ..spec
    };
    let mut config = size.config(model_type);
    config["num_hidden_layers"] = 4.into();
    config["tie_word_embeddings"] = (!spec.untied).into();
    (spec.model(13), config)
}

#[test]
fn queries_keys_and_values_of_qwen_2_have_biases() {
    let spec = Spec { biases: Biases { qkv: true, ..Biases::NONE }, ..Spec::LLAMA };
    let (mut model, mut config) = of_llamas_size(spec, "qwen2");
    agree(&model, &config, llama);
    (config["sliding_window"], config["max_window_layers"]) = (7.into(), 2.into());
    agree(&model, &config, llama);
    config["use_sliding_window"] = true.into();
    model.choices.windows = vec![None, None, Some(7), Some(7)];
    agree(&model, &config, llama);
    config["layer_types"] = json!(["full_attention", "sliding_attention", "full_attention", "sliding_attention"]);
    model.choices.windows = vec![None, Some(7), None, Some(7)];
    agree(&model, &config, llama);
    // Without them it would be no Qwen 2, and with more of them neither.
    for biases in [Biases::NONE, Biases { qkv: true, attn_proj: true, ..Biases::NONE }] {
        let (model, config) = of_llamas_size(Spec { biases, ..Spec::LLAMA }, "qwen2");
        let error = refusal(&model, &config, llama);
        assert!(
            error.starts_with("config key `model_type` is qwen2, but tensor `model.layers.0.self_attn."),
            "{error}"
        );
    }
}

#[test]
fn heads_of_qwen_3_are_normalised() {
    for attention_bias in [false, true] {
        let biases = Biases { qkv: attention_bias, attn_proj: attention_bias, ..Biases::NONE };
        let (model, mut config) = of_llamas_size(Spec { biases, ..Spec::QWEN3 }, "qwen3");
        config["attention_bias"] = attention_bias.into();
        agree(&model, &config, llama);
        remove(&mut config, "head_dim");
        agree(&model, &config, llama);
    }
    // A Llama has no such norms.
    let (model, config) = of_llamas_size(Spec::QWEN3, "llama");
    let error = refusal(&model, &config, llama);
    assert!(error.starts_with("config key `model_type`: `llama` does not have the tensors of layout qwen3"), "{error}");
    let (mut model, config) = of_llamas_size(Spec::QWEN3, "qwen3");
    model.choices.norms.heads.pop();
    let error = refusal(&model, &config, llama);
    assert!(error.starts_with("tensor `model.layers.3.self_attn.q_norm.weight` is missing"), "{error}");
}

/// A Gemma of four layers, of which every second one slides, that says all of it in the newer keys.
fn gemma() -> (Model, Value) {
    let spec = Spec { window: Some(Window { len: 7, layers: [true, false] }), ..Spec::GEMMA };
    let (mut model, mut config) = of_llamas_size(spec, "gemma3_text");
    let turns = |theta: f64| (0..5).map(|i| theta.powf(-2.0 * f64::from(i) / 10.0)).collect::<Vec<_>>();
    model.choices.turns = (0..4).map(|layer| turns(if layer % 2 == 0 { 1e4 } else { 1e6 })).collect();
    model.choices.embedding_scale = f64::from(20_f32.sqrt());
    model.choices.scales = vec![Some(1.0 / 24_f64.sqrt()); 4];
    remove(&mut config, "hidden_act");
    config["hidden_activation"] = "gelu_pytorch_tanh".into();
    config["query_pre_attn_scalar"] = 24.into();
    config["sliding_window"] = 7.into();
    config["layer_types"] = json!(["sliding_attention", "full_attention", "sliding_attention", "full_attention"]);
    config["rope_parameters"] = json!({"sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        "full_attention": {"rope_type": "default", "rope_theta": 1e6}});
    (model, config)
}

#[test]
fn gemma_3_normalises_on_both_sides_and_slides_in_a_pattern() {
    let (mut model, mut config) = gemma();
    agree(&model, &config, llama);
    // The same in older keys.
    remove(&mut config, "rope_parameters");
    remove(&mut config, "layer_types");
    remove(&mut config, "tie_word_embeddings");
    config["sliding_window_pattern"] = 2.into();
    (config["rope_theta"], config["rope_local_base_freq"]) = (1e6.into(), 1e4.into());
    agree(&model, &config, llama);
    remove(&mut config, "rope_theta");
    remove(&mut config, "rope_local_base_freq");
    agree(&model, &config, llama);
    // Scalars that are head_dim, and the one that is assumed.
    config["query_pre_attn_scalar"] = 10.into();
    model.choices.scales.clear();
    agree(&model, &config, llama);
    remove(&mut config, "query_pre_attn_scalar");
    model.choices.scales = vec![Some(1.0 / 16.0); 4];
    agree(&model, &config, llama);
    // Layers that are all of one kind.
    model.choices.windows = vec![None; 4];
    model.choices.turns = vec![model.choices.turns[1].clone(); 4];
    config["layer_types"] = json!(vec!["full_attention"; 4]);
    agree(&model, &config, llama);
}

#[test]
fn what_gemma_asks_for_beyond_that_is_refused_by_its_key() {
    let (model, config) = gemma();
    for (key, value) in [
        ("attn_logit_softcapping", json!(50.0)),
        ("final_logit_softcapping", json!(30.0)),
        ("use_bidirectional_attention", json!(true)),
        ("query_pre_attn_scalar", json!(0)),
        ("layer_types", json!(["sliding_attention"])),
        ("vision_config", json!({"hidden_size": 8})),
        ("model_type", json!("gemma3")),
        ("model_type", json!("qwen3")),
        ("attention_bias", json!(true)),
    ] {
        let mut config = config.clone();
        config[key] = value;
        let error = refusal(&model, &config, llama);
        assert!(error.starts_with(&format!("config key `{key}`")), "{key}: {error}");
    }
    for kind in ["sliding_attention", "full_attention"] {
        let mut config = config.clone();
        config["rope_parameters"][kind]["rope_type"] = "yarn".into();
        let error = refusal(&model, &config, llama);
        assert!(error.starts_with(&format!("config key `rope_parameters.{kind}.rope_type`: \"yarn\"")), "{error}");
    }
    // The weight of a query's norm that its scale makes infinite.
    let (mut model, mut config) = gemma();
    model.choices.norms.heads[2][0].weight.as_mut().unwrap()[3] = f64::from(f32::MAX);
    config["query_pre_attn_scalar"] = 1e-3.into();
    let error = refusal(&model, &config, llama);
    assert_eq!(error, "tensor `model.layers.2.self_attn.q_norm.weight` holds inf at index 3");
}

fn opt() -> (Model, Value) {
    let spec = Spec { n_ctx: 48, n_ff: 52, activation: Activation::Relu, ..Spec::SMALL };
    let config = json!({
        "model_type": "opt", "vocab_size": spec.n_vocab, "max_position_embeddings": 48, "hidden_size": 32,
        "word_embed_proj_dim": 32, "ffn_dim": 52, "num_hidden_layers": 2, "num_attention_heads": 4,
        "activation_function": "relu", "do_layer_norm_before": true, "enable_bias": true, "layerdrop": 0.1,
        "_remove_final_layer_norm": false, "layer_norm_elementwise_affine": true, "init_std": 0.02, "prefix": "</s>",
    });
    (spec.model(4), config)
}

#[test]
fn two_rows_of_an_opt_are_of_no_position() {
    let behind = |prefix: &'static str| {
        move |model: &Model, config: &Value, folder: &TempDir| write_opt(model, prefix, config, folder.path())
    };
    let (mut model, config) = opt();
    for prefix in ["model.decoder.", "decoder."] {
        agree(&model, &config, behind(prefix));
    }
    for (key, value) in [
        ("do_layer_norm_before", json!(false)),
        ("_remove_final_layer_norm", json!(true)),
        ("layer_norm_elementwise_affine", json!(false)),
        ("word_embed_proj_dim", json!(16)),
        ("enable_bias", json!(false)),
        ("max_position_embeddings", json!(50)),
        ("ffn_dim", json!(64)),
        ("num_key_value_heads", json!(2)),
    ] {
        let mut config = config.clone();
        config[key] = value;
        let error = refusal(&model, &config, behind("model.decoder."));
        assert!(error.starts_with(&format!("config key `{key}`")), "{key}: {error}");
    }
    // A head that is not the embedding, where the config does not say so.
    model.lm_head = Some(model.wte.iter().map(|row| row.iter().map(|w| w + 1.0).collect()).collect());
    assert!(refusal(&model, &config, behind("model.decoder.")).contains("lm_head.weight"));
    let mut untied = config.clone();
    untied["tie_word_embeddings"] = false.into();
    agree(&model, &untied, behind("model.decoder."));
    let without = Spec { biases: Biases { layer_norm: true, ..Biases::NONE }, ..Spec::SMALL };
    let spec = Spec { n_ctx: 48, n_ff: 52, activation: Activation::Relu, ..without };
    let mut config = config;
    config["enable_bias"] = false.into();
    agree(&spec.model(4), &config, behind("model.decoder."));
}

fn neox(head: &'static str) -> impl Fn(&Model, &Value, &TempDir) -> std::io::Result<()> {
    move |model, config, folder| write_neox(model, head, config, folder.path())
}

#[test]
fn attention_of_a_neox_is_beside_its_mlp_or_before_it() {
    let spec = Spec { n_ctx: 48, n_embd: 60, ..Spec::NEOX };
    let config = json!({
        "model_type": "gpt_neox", "vocab_size": spec.n_vocab, "max_position_embeddings": 48, "hidden_size": 60,
        "intermediate_size": 70, "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_act": "gelu",
        "layer_norm_eps": 1e-5, "rotary_pct": 0.54, "rotary_emb_base": 10000, "tie_word_embeddings": false,
        "classifier_dropout": 0.1,
    });
    for parallel in [true, false] {
        for attention_bias in [true, false] {
            let biases = Biases { qkv: attention_bias, attn_proj: attention_bias, ..Biases::GPT2 };
            let model = Spec { parallel, biases, ..spec }.model(6);
            let mut config = config.clone();
            (config["use_parallel_residual"], config["attention_bias"]) = (parallel.into(), attention_bias.into());
            ["lm_head.weight", "embed_out.weight"].into_iter().for_each(|head| agree(&model, &config, neox(head)));
        }
    }
    // What is not said, and what is said in newer keys.
    let model = spec.model(6);
    agree(&model, &config, neox("lm_head.weight"));
    let mut newer = config.clone();
    remove(&mut newer, "rotary_pct");
    remove(&mut newer, "rotary_emb_base");
    newer["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.54});
    agree(&model, &newer, neox("lm_head.weight"));
    let quarter =
        Spec { positions: Positions::Rotary { dim: 4, two_tables: false }, n_head: 3, head_dim: Some(20), ..spec };
    let mut silent = config.clone();
    remove(&mut silent, "rotary_pct");
    silent["num_attention_heads"] = 3.into();
    silent["rotary_emb_base"] = 10_000.into();
    // A quarter of 20 is 5, which no pairs make.
    assert!(refusal(&quarter.model(6), &silent, neox("lm_head.weight")).contains("no pairs that rotate"));
    silent["rotary_pct"] = 0.2.into();
    agree(&quarter.model(6), &silent, neox("lm_head.weight"));
    for (key, value) in [
        ("use_parallel_residual", json!("no")),
        ("rotary_pct", json!(2)),
        ("num_key_value_heads", json!(2)),
        ("attention_bias", json!(false)),
        ("head_dim", json!(10)),
    ] {
        let mut config = config.clone();
        config[key] = value;
        let error = refusal(&model, &config, neox("lm_head.weight"));
        let key = if key == "rotary_pct" { "partial_rotary_factor" } else { key };
        assert!(error.starts_with(&format!("config key `{key}`")), "{key}: {error}");
    }
}

#[test]
fn a_microgpt_is_read_by_its_names_or_by_a_map_that_says_its_norms() {
    let spec = Spec { n_ctx: 48, ..Spec::MICROGPT };
    let model = spec.model(2);
    let by = |block: &'static str| {
        move |model: &Model, config: &Value, folder: &TempDir| write_microgpt(model, block, config, folder.path())
    };
    let config = json!({"model_type": "microgpt", "n_head": 4});
    agree(&model, &config, by("layer{layer}"));
    agree(&model, &json!({"n_head": 4, "block_size": 48, "n_embd": 32, "n_layer": 2}), by("layer{layer}"));
    assert!(refusal(&model, &config, by("of.{layer}")).contains("of.0."));

    // Names of its own: no name shows its norms.
    let map = |norms: Value| {
        json!({
            "description": "a test's", "orientation": "out_in", "norms": norms,
            "tensors": {
                "wte.weight": "wte", "wpe.weight": "wpe", "lm_head.weight": "lm_head",
                "h.{layer}.attn.c_attn.weight": ["of.{layer}.attn_wq", "of.{layer}.attn_wk", "of.{layer}.attn_wv"],
                "h.{layer}.attn.c_proj.weight": "of.{layer}.attn_wo",
                "h.{layer}.mlp.c_fc.weight": "of.{layer}.mlp_fc1", "h.{layer}.mlp.c_proj.weight": "of.{layer}.mlp_fc2",
            },
            "defaults": { "activation_function": "relu", "layer_norm_epsilon": 1e-5 },
        })
    };
    let open_with = |map: &Value, config: &Value| {
        let folder = tempdir().unwrap();
        by("of.{layer}")(&model, config, &folder).unwrap();
        std::fs::write(folder.path().join("map.json"), map.to_string()).unwrap();
        let layout = Some(Layout::Map(folder.path().join("map.json")));
        let options = Options { layout, ..Options::default() };
        let opened = Checkpoint::open(folder.path(), &options).map_err(|error| error.to_string());
        opened.map(|_| check(folder.path(), &options, &model, "by a map"))
    };
    let open = |map: &Value| open_with(map, &json!({"n_head": 4}));
    let said = map(json!({"kind": "rms", "scale": false, "embedding": true, "last": false}));
    assert_eq!(open(&said), Ok(()));
    for (key, value, why) in [
        ("norms", json!({"kind": "rms"}), "`ln_f.weight` is not mapped"),
        ("norms", json!({"kind": "l2", "scale": false}), "unknown variant"),
        ("norms", json!({"behind": true}), "unknown field"),
        ("logit_softcap", json!(15), "`logit_softcap`: 15 is asked for"),
        ("attn_logit_softcap", json!(50), "`attn_logit_softcap`: 50 is asked for"),
    ] {
        let mut map = said.clone();
        map[key] = value;
        let error = open(&map).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let mut by_head = said.clone();
    by_head["qkv_rows"] = "by_head".into();
    assert!(open(&by_head).unwrap_err().contains("are in one matrix"));
    // A family whose scale of scores no weight could take.
    let mut unscaled = map(json!({"kind": "rms", "scale": false, "heads": true, "last": false}));
    unscaled["model_type"] = "gpt_neo".into();
    let layers = json!({"n_head": 4, "attention_layers": ["global", "global"]});
    assert!(open_with(&unscaled, &layers).unwrap_err().contains("scales scores otherwise"));
    let mut map = said;
    map["tensors"]["h.{layer}.ln_attn.weight"] = "of.{layer}.norm".into();
    assert!(open(&map).unwrap_err().contains("there is no such norm"));
}

#[test]
fn a_tensor_that_no_stage_uses_is_named() {
    let (mut model, config) = of_llamas_size(Spec::QWEN3, "qwen3");
    model.choices.norms.heads[1][0].bias = Some(vec![0.5; 10]);
    let error = refusal(&model, &config, llama);
    assert!(error.starts_with("tensor `model.layers.1.self_attn.q_norm.bias` is left over"), "{error}");
    let (mut model, config) = gemma();
    model.ln_f.bias = Some(vec![0.5; 20]);
    let error = refusal(&model, &config, llama);
    assert!(error.starts_with("tensor `model.norm.bias` is left over"), "{error}");
}

#[test]
fn a_map_names_the_norms_of_the_configs_family() {
    let (folder, spec) = (tempdir().unwrap(), Llama { n_head: 4, n_kv_head: 2, ..Llama::SMALL });
    write_llama_renamed(&spec.model(2), &spec.config("qwen3"), folder.path()).unwrap();
    let layout = Some(Layout::Map(folder.path().join("map.json")));
    let error = Checkpoint::open(folder.path(), &Options { layout, ..Options::default() }).unwrap_err().to_string();
    let expected = "config key `model_type`: `qwen3` has h.0.attn.q_norm.weight, which the layout does not name";
    assert!(error.starts_with(expected), "{error}");
}
