//! Keys of `config.json`: spellings, and what each family reads, refuses and passes over.

use crate::checkpoint::family::Family;
use emberlm_core::config::NormKind;

/// Spellings of `n_vocab`.
pub const N_VOCAB: &[&str] = &["vocab_size", "n_vocab"];
/// Spellings of `n_ctx`.
pub const N_CTX: &[&str] = &[
    "n_positions",
    "n_ctx",
    "block_size",
    "context_length",
    "context_size",
    "ctx_len",
    "max_position_embeddings",
    "max_seq_len",
    "max_seq_length",
];
/// Spellings of `n_embd`.
pub const N_EMBD: &[&str] = &["n_embd", "emb_dim", "embed_dim", "embedding_dim", "hidden_size", "d_model"];
/// Spellings of `n_head`.
pub const N_HEAD: &[&str] = &["n_head", "n_heads", "num_heads", "num_attention_heads"];
/// Spellings of `n_layer`.
pub const N_LAYER: &[&str] = &["n_layer", "n_layers", "num_layers", "num_hidden_layers"];
/// Spellings of `n_ff`; null stands for 4 `n_embd`.
pub const N_FF: &[&str] = &["n_inner", "n_ff", "d_ff", "ff_dim", "ffn_dim", "mlp_dim", "intermediate_size"];
/// Spellings of the number of key and value heads.
pub const N_KV_HEAD: &[&str] = &["num_key_value_heads", "n_kv_head", "n_kv_heads", "num_kv_heads"];
/// Spellings of `head_dim`.
pub const HEAD_DIM: &[&str] = &["head_dim"];
/// Spellings of the norms' epsilon.
pub const EPSILON: &[&str] =
    &["layer_norm_epsilon", "layer_norm_eps", "rms_norm_eps", "norm_eps", "ln_eps", "epsilon", "eps"];
/// Spellings of the activation function.
pub const ACTIVATION: &[&str] = &["activation_function", "hidden_act", "hidden_activation", "activation", "act_fn"];
/// Spellings of whether the head shares the token embedding.
pub const TIED: &[&str] = &["tie_word_embeddings", "tie_weights", "weight_tying", "tied_embeddings"];
/// Whether query, key and value have biases.
pub const QKV_BIAS: &[&str] = &["qkv_bias"];
/// nanoGPT's word for all biases, layer norms' included.
pub const BIAS: &[&str] = &["bias"];

/// The token that texts begin with.
pub const BOS: &str = "bos_token_id";
/// The family's name.
pub const MODEL_TYPE: &str = "model_type";
/// Whether scores are divided by the root of `head_dim`.
pub const SCALED: &str = "scale_attn_weights";
/// Whether they are divided by the layer's number, counted from 1, too.
pub const BY_LAYER: &str = "scale_attn_by_inverse_layer_idx";
/// Whether queries, keys, values and attention's output projection have biases.
pub const ATTENTION_BIAS: &[&str] = &["attention_bias"];
/// Whether the MLP's matrices have biases.
pub const MLP_BIAS: &[&str] = &["mlp_bias"];
/// Whether all of an OPT's matrices have biases.
pub const ENABLE_BIAS: &[&str] = &["enable_bias"];
/// The width of an OPT's embeddings.
pub const EMBEDDING_WIDTH: &[&str] = &["word_embed_proj_dim"];
/// Whether attention and MLP have the same input.
pub const PARALLEL: &[&str] = &["use_parallel_residual"];
/// What attention divides its scores by the root of.
pub const QUERY_SCALAR: &str = "query_pre_attn_scalar";
/// The rotary base.
pub const ROPE_THETA: &str = "rope_theta";
/// The same in GPT-NeoX's older words.
pub const ROTARY_BASE: &str = "rotary_emb_base";
/// The base of layers whose attention slides.
pub const LOCAL_BASE: &str = "rope_local_base_freq";
/// The part of a head that rotates.
pub const ROTARY_PART: [&str; 2] = ["partial_rotary_factor", "rotary_pct"];
/// Rotary positions, in older configurations and in newer ones.
pub const ROPE: [&str; 2] = ["rope_scaling", "rope_parameters"];
/// Kinds of layers and how often they repeat.
pub const ATTENTION_TYPES: &str = "attention_types";
/// Kinds of layers, one by one.
pub const ATTENTION_LAYERS: &str = "attention_layers";
/// The same in another family's words.
pub const LAYER_TYPES: &str = "layer_types";
/// Positions that local attention sees.
pub const WINDOW_SIZE: &str = "window_size";
/// The same in another family's words.
pub const SLIDING_WINDOW: &str = "sliding_window";
/// Whether that holds.
pub const USE_SLIDING_WINDOW: &str = "use_sliding_window";
/// The first layer of which it does.
pub const MAX_WINDOW_LAYERS: &str = "max_window_layers";
/// Of so many layers the last one's attention does not slide.
pub const WINDOW_PATTERN: [&str; 2] = ["sliding_window_pattern", "_sliding_window_pattern"];

/// Every key whose value is read in any family.
const READ: [&[&str]; 11] =
    [N_VOCAB, N_CTX, N_EMBD, N_HEAD, N_LAYER, N_FF, N_KV_HEAD, HEAD_DIM, EPSILON, ACTIVATION, TIED];

/// Keys that name a computation this project does not have: they must be false, null, zero or empty in any family that
/// does not read them.
const MUST_BE_OFF: &[&str] = &[
    "_remove_final_layer_norm",
    "add_cross_attention",
    "alibi",
    "attention_bias",
    "attention_layers",
    "attention_scale",
    "attention_types",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "is_encoder_decoder",
    "logit_scale",
    "logits_scaling",
    "mlp_bias",
    "multi_query",
    "n_experts",
    "num_experts",
    "num_local_experts",
    "parallel_attn",
    "parallel_residual",
    "partial_rotary_factor",
    "pruned_heads",
    "qk_norm",
    "quantization_config",
    "query_pre_attn_scalar",
    "rope",
    "rope_interleaved",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "rotary_dim",
    "rotary_emb_base",
    "rotary_pct",
    "scale_attn_by_inverse_layer_idx",
    "sliding_window",
    "use_alibi",
    "use_bidirectional_attention",
    "use_parallel_residual",
    "use_qk_norm",
    "use_rope",
    "use_sliding_window",
    "window_size",
];

/// Keys that must be true where they are present, in any family that does not read them.
const MUST_BE_ON: &[&str] = &[SCALED, "do_layer_norm_before", "layer_norm_elementwise_affine"];

/// A key of which only one of a family's own values is right: the kind of norms.
const NORM_TYPE: &str = "norm_type";
const NORM_TYPES: [&[&str]; 2] = [&["layernorm", "layer_norm", "LayerNorm"], &["rmsnorm", "rms_norm", "RMSNorm"]];

/// Another: how positions are told.
const POSITION_TYPE: &str = "position_embedding_type";
const POSITION_TYPES: [&[&str]; 2] = [&["absolute", "learned"], &["rope", "rotary"]];

/// What a key is to a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Its value is read.
    Read,
    /// It must be false, null, zero or empty.
    Off,
    /// It must be true where it is present.
    On,
    /// It must be null or one of these words.
    OneOf(&'static [&'static str]),
    /// It changes no logit.
    Harmless,
    /// What it means is not known.
    Unknown,
}

/// Keys that a family reads beside [`READ`].
const fn read_by(family: Family) -> &'static [&'static str] {
    match family {
        Family::Gpt2 => &[SCALED, BY_LAYER, "qkv_bias", "bias"],
        Family::GptNeo => &[ATTENTION_TYPES, ATTENTION_LAYERS, WINDOW_SIZE],
        Family::Opt => &["enable_bias", "word_embed_proj_dim"],
        Family::MicroGpt => &[],
        Family::GptNeoX => &[
            "attention_bias",
            "use_parallel_residual",
            ROPE_THETA,
            ROTARY_BASE,
            ROPE[0],
            ROPE[1],
            ROTARY_PART[0],
            ROTARY_PART[1],
        ],
        Family::Llama => &[ROPE_THETA, ROPE[0], ROPE[1], "attention_bias", "mlp_bias", LAYER_TYPES],
        Family::Mistral => &[ROPE_THETA, ROPE[0], ROPE[1], SLIDING_WINDOW, USE_SLIDING_WINDOW, LAYER_TYPES],
        Family::Qwen2 => {
            &[ROPE_THETA, ROPE[0], ROPE[1], SLIDING_WINDOW, USE_SLIDING_WINDOW, MAX_WINDOW_LAYERS, LAYER_TYPES]
        }
        Family::Qwen3 => &[
            "attention_bias",
            ROPE_THETA,
            ROPE[0],
            ROPE[1],
            SLIDING_WINDOW,
            USE_SLIDING_WINDOW,
            MAX_WINDOW_LAYERS,
            LAYER_TYPES,
        ],
        Family::Gemma3 => &[
            "attention_bias",
            QUERY_SCALAR,
            ROPE_THETA,
            LOCAL_BASE,
            ROPE[0],
            ROPE[1],
            SLIDING_WINDOW,
            WINDOW_PATTERN[0],
            WINDOW_PATTERN[1],
            LAYER_TYPES,
        ],
    }
}

/// What a key is to a family.
pub fn meaning(key: &str, family: Family) -> Meaning {
    let one_of = |words: [&'static [&'static str]; 2], second: bool| Meaning::OneOf(words[usize::from(second)]);
    if key == MODEL_TYPE || read_by(family).contains(&key) || READ.iter().any(|keys| keys.contains(&key)) {
        Meaning::Read
    } else if MUST_BE_ON.contains(&key) {
        Meaning::On
    } else if key == NORM_TYPE {
        one_of(NORM_TYPES, family.norms().kind == NormKind::Rms)
    } else if key == POSITION_TYPE {
        one_of(POSITION_TYPES, family.is_rotary())
    } else if MUST_BE_OFF.contains(&key) {
        Meaning::Off
    } else if is_harmless(key) {
        Meaning::Harmless
    } else {
        Meaning::Unknown
    }
}

/// Keys of training, generation and bookkeeping: none changes the logits.
const HARMLESS: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_flash_attn_2_enabled",
    "_name_or_path",
    "architectures",
    "attn_implementation",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "cache_implementation",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "diversity_penalty",
    "do_sample",
    "drop_rate",
    "dropout",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "flash_attn",
    "gradient_checkpointing",
    "id2label",
    "init_std",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "keys_to_ignore_at_inference",
    "label2id",
    "layer_types",
    "layerdrop",
    "length_penalty",
    "max_length",
    "max_sequence_length",
    "min_length",
    "n_special",
    "model_max_length",
    "name",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_scores",
    "predict_special_tokens",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "reorder_and_upcast_attn",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "seed",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_flash_attention_2",
];

/// Ends of harmless keys: dropout rates and special tokens.
const HARMLESS_ENDS: &[&str] = &["_pdrop", "_dropout", "_drop_rate", "dropout_rate", "_token_id"];

/// Beginnings of harmless keys: the classification head's.
const HARMLESS_BEGINNINGS: &[&str] = &["summary_", "drop_rate_"];

fn is_harmless(key: &str) -> bool {
    HARMLESS.contains(&key)
        || HARMLESS_ENDS.iter().any(|end| key.ends_with(end))
        || HARMLESS_BEGINNINGS.iter().any(|beginning| key.starts_with(beginning))
}
