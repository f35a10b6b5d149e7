//! What llama2.c trains: its models' arguments in the words of a Llama's `config.json`, and what no file of it says.

use emberlm_core::config::TokenId;
use serde_json::{Map, Value};

/// llama2.c's own, which no file says.
pub const EPSILON: f64 = 1e-5;

/// The tokens that end a text: its beginning of another, and its end.
pub const ENDS: [TokenId; 2] = [1, 2];

/// Whether these are the arguments of a model that llama2.c trains: no other program rounds hidden layers so.
pub fn is_training(args: &Map<String, Value>) -> bool {
    ["dim", "multiple_of"].iter().all(|key| args.contains_key(*key))
}

/// The arguments of a model that llama2.c trains, in the words of a Llama's `config.json`.
pub fn in_words(mut args: Map<String, Value>) -> Map<String, Value> {
    // What hidden layers are rounded to: tensors say the outcome.
    args.remove("multiple_of");
    args.remove("hidden_dim");
    let width = args.remove("dim").unwrap_or_default();
    let more = [
        ("model_type", "llama".into()),
        ("hidden_size", width),
        ("hidden_act", "silu".into()),
        ("bos_token_id", 1.into()),
        ("eos_token_id", ENDS.as_slice().into()),
    ];
    args.extend(more.map(|(key, value)| (key.to_owned(), value)));
    args.entry("norm_eps").or_insert(EPSILON.into());
    args
}
