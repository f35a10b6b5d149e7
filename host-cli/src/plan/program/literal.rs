//! A model's configuration as Rust spells it.

use std::fmt::Write;

use emberlm_core::config::{
    Activation, Config, Gelu, KvType, Layers, Mlp, NormKind, Norms, Positions, Rotary, Windows,
};

/// What is imported for [`config`] and a run, in two lines at most.
pub fn imports(of: &Config) -> String {
    let literal = config(of);
    let has = |name: &&str| literal.contains(&format!("{name}::")) || literal.contains(&format!("{name} {{"));
    let names = ["Activation", "Gelu", "Layers", "Mlp", "NormKind", "Norms", "Positions", "Rotary", "Windows"];
    let names: Vec<&str> = names.into_iter().filter(has).collect();
    let mut text = match names.as_slice() {
        [] => String::new(),
        [name] => format!("use emberlm_core::config::{name};\n"),
        names => format!("use emberlm_core::config::{{{}}};\n", names.join(", ")),
    };
    text += "use emberlm_core::{Config, KvType, Need, Order, Run};\n";
    text
}

/// The configuration, a line for each choice that is not GPT-2's.
pub fn config(of: &Config) -> String {
    let Config { n_vocab, n_ctx, n_embd, n_layer, n_head, n_kv_head, head_dim, n_ff, .. } = of;
    let mut text = format!(
        "Config {{\n    n_vocab: {n_vocab}, n_ctx: {n_ctx}, n_embd: {n_embd}, n_layer: {n_layer}, n_ff: {n_ff},\n    \
         n_head: {n_head}, n_kv_head: {n_kv_head}, head_dim: {head_dim},\n"
    );
    let gpt2 = Config::GPT2;
    let choices = [
        ("norms", (of.norms != gpt2.norms).then(|| norms(&of.norms))),
        ("positions", positions(of.positions)),
        ("windows", (of.windows != gpt2.windows).then(|| windows(of.windows))),
        ("mlp", (of.mlp != gpt2.mlp).then(|| mlp(of.mlp))),
        ("parallel", (of.parallel != gpt2.parallel).then(|| of.parallel.to_string())),
        ("embedding_scale", (of.embedding_scale != 1.0).then(|| format!("{:?}", of.embedding_scale))),
    ];
    let is_whole = choices.iter().all(|(_, value)| value.is_some());
    for (name, value) in choices.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        let _ = writeln!(text, "    {name}: {value},");
    }
    text += if is_whole { "}" } else { "    ..Config::GPT2\n}" };
    text
}

/// The type of the KV cache.
pub const fn kv_type(of: KvType) -> &'static str {
    match of {
        KvType::F32 => "KvType::F32",
        KvType::F16 => "KvType::F16",
        KvType::I8 => "KvType::I8",
    }
}

fn norms(of: &Norms) -> String {
    let Norms { kind, epsilon, before, after, embedding, heads, last } = of;
    let kind = match kind {
        NormKind::Layer => "Layer",
        NormKind::Rms => "Rms",
    };
    format!(
        "Norms {{ kind: NormKind::{kind}, epsilon: {epsilon:?}, before: {before}, after: {after}, \
         embedding: {embedding}, heads: {heads}, last: {last} }}"
    )
}

fn positions(of: Positions) -> Option<String> {
    let Positions::Rotary(Rotary { dim, second }) = of else { return None };
    Some(format!("Positions::Rotary(Rotary {{ dim: {dim}, second: {} }})", layers(second)))
}

fn windows(of: Windows) -> String {
    format!("Windows {{ layers: {}, len: {} }}", layers(of.layers), of.len)
}

fn mlp(of: Mlp) -> String {
    let activation = match of.activation {
        Activation::Gelu(Gelu::Tanh) => "Gelu(Gelu::Tanh)",
        Activation::Gelu(Gelu::Erf) => "Gelu(Gelu::Erf)",
        Activation::Relu => "Relu",
        Activation::ReluSquared => "ReluSquared",
        Activation::Silu => "Silu",
    };
    format!("Mlp {{ activation: Activation::{activation}, gated: {} }}", of.gated)
}

fn layers(of: Layers) -> String {
    if of == Layers::NONE {
        return "Layers::NONE".into();
    }
    let period = of.bits().ilog2();
    let pattern: Vec<String> = (0..period).map(|layer| of.has(layer).to_string()).collect();
    format!("Layers::repeating(&[{}])", pattern.join(", "))
}
