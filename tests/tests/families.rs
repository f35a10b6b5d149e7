//! Checkpoints of every family in every spelling, through the reader and the float reference, against the oracle; and
//! what is refused, by name.

use std::path::Path;

use emberlm::checkpoint::{Checkpoint, Layout, Options};
use emberlm::text::tokenizer::Tokenizer;
use emberlm::text::tokenizer::select::Search;
use emberlm_tests::family_check::{self, N_TOKENS, check_steps};
use emberlm_tests::family_models::{Llama, write_llama, write_llama_renamed, write_neo};
use emberlm_tests::family_reader::turns;
use emberlm_tests::fixtures;
use emberlm_tests::hf_writer;
use emberlm_tests::llama2c_writer::{self, Version};
use emberlm_tests::models::{Biases, Spec};
use emberlm_tests::oracle::{Activation, Choices, Model};
use serde_json::{Value, json};

/// Holds the reference's losses of a checkpoint against the oracle's.
fn check(folder: &Path, model: &Model, what: &str) {
    family_check::check(folder, &Options::default(), model, what);
}

/// Draws a Llama, and checks it under a configuration that `say` changes and with what `choose` makes of its choices.
fn check_llama(spec: Llama, model_type: &str, say: impl Fn(&mut Value), choose: impl Fn(&mut Choices)) {
    let mut model = spec.model(11);
    choose(&mut model.choices);
    let mut config = spec.config(model_type);
    say(&mut config);
    let folder = tempfile::tempdir().unwrap();
    write_llama(&model, &config, folder.path()).unwrap();
    check(folder.path(), &model, &config.to_string());
}

fn remove(config: &mut Value, key: &str) {
    config.as_object_mut().unwrap().remove(key).unwrap_or_else(|| panic!("{key} is there"));
}

/// Why a Llama's configuration is refused: one line.
fn refusal(model_type: &str, say: impl Fn(&mut Value)) -> String {
    let mut config = Llama::SMALL.config(model_type);
    say(&mut config);
    let folder = tempfile::tempdir().unwrap();
    write_llama(&Llama::SMALL.model(1), &config, folder.path()).unwrap();
    let error = Checkpoint::open(folder.path(), &Options::default()).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn heads_may_be_shared_and_of_any_even_width() {
    for (n_head, n_kv_head, head_dim) in [(3, 1, 10), (3, 3, 10), (4, 2, 2), (6, 3, 8), (2, 2, 10), (1, 1, 20)] {
        check_llama(Llama { n_head, n_kv_head, head_dim, ..Llama::SMALL }, "llama", |_| (), |_| ());
    }
    // What the shapes show need not be said.
    check_llama(
        Llama::SMALL,
        "llama",
        |config| {
            remove(config, "head_dim");
            remove(config, "num_key_value_heads");
        },
        |_| (),
    );
}

#[test]
fn biases_ties_and_activations_are_read() {
    for (attention_bias, mlp_bias) in [(true, false), (false, true), (true, true)] {
        let say = |config: &mut Value| {
            (config["attention_bias"], config["mlp_bias"]) = (attention_bias.into(), mlp_bias.into());
        };
        check_llama(Llama { attention_bias, mlp_bias, ..Llama::SMALL }, "llama", say, |_| ());
    }
    check_llama(Llama { tied: true, ..Llama::SMALL }, "llama", |_| (), |_| ());
    for activation in [Activation::Relu, Activation::GeluTanh, Activation::GeluErf] {
        check_llama(Llama { activation, ..Llama::SMALL }, "llama", |_| (), |_| ());
    }
}

#[test]
fn rotary_positions_are_spelled_in_old_ways_and_new_ones() {
    let with = |rope: Value| {
        let said = rope.clone();
        let choose = move |choices: &mut Choices| {
            choices.turns.fill(turns(&said, 10));
        };
        let parameters = rope.clone();
        check_llama(Llama::SMALL, "llama", |config| config["rope_parameters"] = parameters.clone(), &choose);
        let mut scaling = rope;
        let theta = scaling["rope_theta"].take();
        scaling.as_object_mut().unwrap().remove("rope_theta");
        let older = |config: &mut Value| {
            remove(config, "rope_parameters");
            config["rope_theta"] = theta.clone();
            config["rope_scaling"] = scaling.clone();
        };
        check_llama(Llama::SMALL, "llama", older, &choose);
        let oldest = |config: &mut Value| {
            older(config);
            let kind = config["rope_scaling"]["rope_type"].take();
            config["rope_scaling"].as_object_mut().unwrap().remove("rope_type");
            config["rope_scaling"]["type"] = kind;
        };
        check_llama(Llama::SMALL, "llama", oldest, &choose);
    };
    with(json!({"rope_type": "default", "rope_theta": 500000.0}));
    with(json!({"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5}));
    with(json!({"rope_type": "llama3", "rope_theta": 5000.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 16}));
    check_llama(Llama::SMALL, "llama", |config| remove(config, "rope_parameters"), |_| ());
}

#[test]
fn windows_may_be_narrower_and_wider_than_the_text() {
    for window in [1, 2, 7, N_TOKENS - 1, N_TOKENS, 1000] {
        let say = |config: &mut Value| config["sliding_window"] = window.into();
        check_llama(Llama::SMALL, "mistral", say, |choices| choices.windows = vec![Some(window); 2]);
    }
    check_llama(Llama::SMALL, "mistral", |config| config["sliding_window"] = Value::Null, |_| ());
    let unused = |config: &mut Value| {
        (config["sliding_window"], config["use_sliding_window"]) = (7.into(), false.into());
    };
    check_llama(Llama::SMALL, "mistral", unused, |_| ());
}

#[test]
fn names_of_its_own_and_fused_matrices_are_read_by_a_map() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Some(Layout::Map(folder.path().join("map.json")));
    let options = Options { layout, ..Options::default() };
    for tied in [true, false] {
        let spec = Llama { n_head: 4, n_kv_head: 2, tied, ..Llama::SMALL };
        let (model, mut config) = (spec.model(2), spec.config("llama"));
        write_llama_renamed(&model, &config, folder.path()).unwrap();
        family_check::check(folder.path(), &options, &model, "renamed");
        // The map says the family where the config does not.
        remove(&mut config, "model_type");
        write_llama_renamed(&model, &config, folder.path()).unwrap();
        family_check::check(folder.path(), &options, &model, "renamed, without a family");
        // Of fused matrices nothing shows how many keys and values there are.
        remove(&mut config, "num_key_value_heads");
        write_llama_renamed(&model, &config, folder.path()).unwrap();
        let error = Checkpoint::open(folder.path(), &options).unwrap_err().to_string();
        assert_eq!(error, "tensor `b0.qkv` has another shape: need [120, 20], have [80, 20]");
    }
}

#[test]
fn steps_give_the_losses_of_the_whole_window() {
    let mut config = Llama::SMALL.config("mistral");
    config["sliding_window"] = 7.into();
    let folder = tempfile::tempdir().unwrap();
    write_llama(&Llama::SMALL.model(8), &config, folder.path()).unwrap();
    check_steps(&Checkpoint::open(folder.path(), &Options::default()).unwrap());
}

/// A GPT-Neo of three layers, the middle one local.
fn neo() -> (Model, Value) {
    let biases = Biases { qkv: false, ..Biases::GPT2 };
    let spec = Spec { n_ctx: 64, n_layer: 3, n_ff: 52, n_head: 2, biases, ..Spec::SMALL };
    let mut model = spec.model(5);
    (model.choices.scales, model.choices.windows) = (vec![Some(1.0); 3], vec![None, Some(6), None]);
    let config = json!({
        "model_type": "gpt_neo", "vocab_size": spec.n_vocab, "max_position_embeddings": 64, "hidden_size": 32,
        "num_layers": 3, "num_heads": 2, "intermediate_size": 52, "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5, "window_size": 6, "attention_layers": ["global", "local", "global"],
        "attention_types": [[["global", "local"], 1], [["global"], 1]],
    });
    (model, config)
}

#[test]
fn local_layers_and_unscaled_scores_are_gpt_neos() {
    let (mut model, mut config) = neo();
    let folder = tempfile::tempdir().unwrap();
    let checked = |config: &Value, model: &Model| {
        write_neo(model, config, folder.path()).unwrap();
        check(folder.path(), model, &config.to_string());
    };
    checked(&config, &model);
    remove(&mut config, "attention_types");
    checked(&config, &model);
    remove(&mut config, "attention_layers");
    config["attention_types"] = json!([[["global", "local", "global"], 1]]);
    checked(&config, &model);
    for window in [1, 39, 200] {
        config["window_size"] = window.into();
        model.choices.windows[1] = Some(window);
        checked(&config, &model);
    }
}

#[test]
fn scores_of_gpt2_are_scaled_as_its_config_says() {
    let spec = Spec { n_ctx: 48, n_layer: 3, ..Spec::RAGGED };
    let mut model = spec.model(9);
    let folder = tempfile::tempdir().unwrap();
    hf_writer::write(&model, folder.path()).unwrap();
    let written = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
    for (scaled, by_layer) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut config: Value = serde_json::from_str(&written).unwrap();
        (config["scale_attn_weights"], config["scale_attn_by_inverse_layer_idx"]) = (scaled.into(), by_layer.into());
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let root = if scaled { 1.0 / (model.head_dim() as f64).sqrt() } else { 1.0 };
        let scale = |layer: usize| Some(if by_layer { root / (layer + 1) as f64 } else { root });
        model.choices.scales = (0..3).map(scale).collect();
        check(folder.path(), &model, &format!("scaled {scaled}, by layer {by_layer}"));
    }
    model.choices.scales = Vec::new();
    for (name, activation) in [("relu", Activation::Relu), ("silu", Activation::Silu), ("swish", Activation::Silu)] {
        let mut config: Value = serde_json::from_str(&written).unwrap();
        config["activation_function"] = name.into();
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        model.activation = activation;
        check(folder.path(), &model, name);
    }
}

#[test]
fn what_a_config_asks_for_beyond_that_is_refused_by_its_key() {
    let cases = [
        ("llama", "model_type", json!("qwen2")),
        ("llama", "model_type", json!("qwen3")),
        ("llama", "model_type", json!("gemma2")),
        ("llama", "model_type", json!("gpt_neox")),
        ("llama", "model_type", json!("gpt2")),
        ("llama", "model_type", json!(["llama"])),
        ("llama", "model_type", json!("gpt_neo")),
        ("llama", "hidden_act", json!("quick_gelu")),
        ("llama", "sliding_window", json!(7)),
        ("llama", "attention_bias", json!(true)),
        ("llama", "mlp_bias", json!(true)),
        ("llama", "head_dim", json!(20)),
        ("llama", "head_dim", json!(5)),
        ("llama", "num_key_value_heads", json!(3)),
        ("llama", "intermediate_size", json!(56)),
        ("llama", "rope_interleaved", json!(true)),
        ("llama", "partial_rotary_factor", json!(0.5)),
        ("llama", "quantization_config", json!({"bits": 4})),
        ("llama", "attn_logit_softcapping", json!(30.0)),
        ("llama", "residual_multiplier", json!(0.22)),
        ("llama", "layer_types", json!(["full_attention", "sliding_attention"])),
        ("llama", "rms_norm_eps", json!("1e-5")),
        ("mistral", "attention_bias", json!(true)),
        ("mistral", "sliding_window", json!(0)),
        ("mistral", "num_local_experts", json!(8)),
    ];
    for (model_type, key, value) in cases {
        let error = refusal(model_type, |config| config[key] = value.clone());
        assert!(error.starts_with(&format!("config key `{key}`")), "{key} {value}: {error}");
    }
    let error = refusal("llama", |config| config["rope_parameters"] = json!({"rope_type": "yarn", "factor": 4.0}));
    assert!(error.starts_with("config key `rope_parameters.rope_type`: \"yarn\" is not supported"), "{error}");
    let fast = json!({"rope_type": "linear", "rope_theta": 10000.0, "factor": 0.1});
    let error = refusal("llama", |config| config["rope_parameters"] = fast.clone());
    assert!(error.starts_with("config key `rope_parameters`: ") && error.contains("a whole turn"), "{error}");
    let (mut model, config) = neo();
    model.blocks[1].c_attn.weight[3][2] = f64::from(f32::MAX);
    let folder = tempfile::tempdir().unwrap();
    write_neo(&model, &config, folder.path()).unwrap();
    let error = Checkpoint::open(folder.path(), &Options::default()).unwrap_err().to_string();
    assert_eq!(error, "tensor `transformer.h.1.attn.attention.q_proj.weight` holds inf at index 98");
    let error = refusal("llama", |config| remove(config, "num_attention_heads"));
    assert!(error.starts_with("`n_head` is not known"), "{error}");
}

#[test]
fn what_is_no_weight_of_the_model_is_refused_or_a_known_buffer() {
    let folder = tempfile::tempdir().unwrap();
    let spec = Llama { attention_bias: true, ..Llama::SMALL };
    write_llama(&spec.model(1), &spec.config("mistral"), folder.path()).unwrap();
    let error = Checkpoint::open(folder.path(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("`model.layers.0.self_attn.q_proj.bias` is present"), "{error}");
    // A shift that an RMS norm has no use for.
    let mut model = Llama::SMALL.model(1);
    model.ln_f.bias = Some(vec![0.5; 20]);
    write_llama(&model, &Llama::SMALL.config("llama"), folder.path()).unwrap();
    let error = Checkpoint::open(folder.path(), &Options::default()).unwrap_err().to_string();
    assert!(error.starts_with("tensor `model.norm.bias` is left over"), "{error}");
}

/// A Llama whose heads divide its width, as llama2.c has them; rows of every matrix are whole groups of 4.
const DIVIDING: Llama = Llama { n_embd: 24, n_head: 4, n_kv_head: 2, head_dim: 6, ..Llama::SMALL };

#[test]
fn llama2c_files_of_every_version_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.bin");
    for tied in [true, false] {
        for version in [Version::Zero, Version::One, Version::Two(4), Version::Two(24)] {
            let mut model = Llama { tied, ..DIVIDING }.model(3);
            std::fs::write(&file, llama2c_writer::write(&mut model, version, 50)).unwrap();
            check(&file, &model, &format!("{version:?}, tied: {tied}"));
        }
    }
    // A folder of it will do, whatever else is in it.
    let tokenizer: Vec<u8> = [7, 0, 1, 97].into_iter().flat_map(i32::to_le_bytes).collect();
    std::fs::write(folder.path().join("tokenizer.bin"), tokenizer).unwrap();
    let mut model = DIVIDING.model(4);
    std::fs::write(&file, llama2c_writer::write(&mut model, Version::One, 50)).unwrap();
    check(folder.path(), &model, "the folder");
    // Only the first version says another base.
    let mut model = DIVIDING.model(3);
    model.choices.turns.fill((0..3).map(|i| 500_000f64.powf(-2.0 * f64::from(i) / 6.0)).collect());
    std::fs::write(&file, llama2c_writer::write(&mut model, Version::Zero, 50)).unwrap();
    check(&file, &model, "base 500000");
}

#[test]
fn llama2c_files_that_are_not_what_their_header_says_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.bin");
    let refusal = |bytes: &[u8], options: &Options| {
        std::fs::write(&file, bytes).unwrap();
        let error = Checkpoint::open(&file, options).unwrap_err().to_string();
        assert!(error.contains("llama2.c checkpoint: ") && !error.contains('\n'), "{error}");
        error
    };
    let plain = Options::default();
    for version in [Version::Zero, Version::One, Version::Two(4)] {
        let bytes = llama2c_writer::write(&mut DIVIDING.model(3), version, 50);
        let need = format!("need {} bytes by its header", bytes.len());
        assert!(refusal(&bytes[..bytes.len() - 1], &plain).contains(&need));
        assert!(refusal(&[bytes.as_slice(), &[0]].concat(), &plain).contains(&need));
        let config = Options { config: Some("config.json".into()), ..Options::default() };
        assert!(refusal(&bytes, &config).contains("its header says its configuration"));
    }
    let mut model = DIVIDING.model(3);
    model.choices.turns.fill(vec![0.5, 0.25, 0.125]);
    assert!(refusal(&llama2c_writer::write(&mut model, Version::Zero, 50), &plain).contains("of no rotary base"));
    let mut bytes = llama2c_writer::write(&mut DIVIDING.model(3), Version::One, 50);
    bytes[4] = 3;
    assert!(refusal(&bytes, &plain).contains("version 3 is not supported"));
}

#[test]
fn a_fixture_is_the_same_model_in_either_format() {
    for name in ["llama-gqa", "llama-tied"] {
        let open = |path: &Path| Checkpoint::open(path, &Options::default()).unwrap();
        let (folder, file) = (open(&fixtures::path(name)), open(&fixtures::path(name).join("llama2c.bin")));
        assert_eq!(folder.architecture(), file.architecture(), "{name}");
        for slot in folder.architecture().slots() {
            let elements = |checkpoint: &Checkpoint| checkpoint.tensor(slot).map(|tensor| tensor.data.into_owned());
            assert_eq!(elements(&folder), elements(&file), "{name}: {slot}");
        }
    }
}

#[test]
fn stories260k_has_the_tokens_that_its_tokenizer_gives() {
    let folder = fixtures::bundled("stories260K");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("golden.json")).unwrap()).unwrap();
    let ids = |value: &Value| serde_json::from_value::<Vec<u32>>(value.clone()).unwrap();
    let tokenizer = Search { checkpoint: Some(&folder), ..Search::default() }.find().unwrap().tokenizer;
    let text = golden["encode"]["text"].as_str().unwrap();
    // The first one begins the text, and is not of it.
    let expected = ids(&golden["encode"]["ids"]);
    assert_eq!(tokenizer.encode(text).unwrap(), expected[1..]);
    assert_eq!(tokenizer.decode(&expected).unwrap(), text);
    let story = golden["greedy_text"].as_str().unwrap().replace("<0x0A>", "\n");
    assert_eq!(tokenizer.decode(&ids(&golden["greedy_ids"])).unwrap(), story.trim_start());
    assert_eq!((tokenizer.n_vocab(), tokenizer.token_text(1).unwrap()), (512, "<s>".to_owned()));
    let again = Tokenizer::from_parts(tokenizer.section_parts().unwrap(), "a section").unwrap();
    assert_eq!(again.encode(text).unwrap(), expected[1..]);
    assert_eq!(again.token_text(1).unwrap(), "<s>");
}
