//! What the rope of a config comes to: every kind of scaling, and what is refused.

use super::*;
use serde_json::json;

fn frequencies(value: Value, head_dim: u32) -> Result<Vec<f64>, String> {
    of(Family::Llama, value, head_dim).map(|(frequencies, _)| frequencies)
}

fn of(family: Family, value: Value, head_dim: u32) -> Result<(Vec<f64>, Option<Vec<f64>>), String> {
    let file = ConfigFile(value.as_object().unwrap().clone());
    file.frequencies(family, head_dim, &mut Vec::new()).map_err(|error| error.to_string())
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
    }
}

#[test]
fn bases_are_spelled_in_old_ways_and_new_ones() {
    let expected = [1.0, 0.1, 0.01, 0.001];
    let mut notes = Vec::new();
    close(&ConfigFile::default().frequencies(Family::Llama, 8, &mut notes).unwrap().0, &expected);
    assert_eq!(notes, ["assumed default: rope_theta 10000"]);
    for spelled in [
        json!({"rope_theta": 10000}),
        json!({"rope_theta": 1e4, "rope_scaling": null}),
        json!({"rope_parameters": {"rope_theta": 1e4}}),
        json!({"rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}}),
        json!({"rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}, "rope_theta": 1e4}),
        json!({"rope_scaling": {"type": "default"}, "rope_parameters": {"rope_theta": 1e4}}),
        json!({"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 1.0}}),
    ] {
        close(&frequencies(spelled, 8).unwrap(), &expected);
    }
    close(&frequencies(json!({"rope_theta": 81.0}), 4).unwrap(), &[1.0, 1.0 / 9.0]);
}

#[test]
fn part_of_a_head_rotates_where_neox_says_so() {
    let neox = |value: Value| of(Family::GptNeoX, value, 16).map(|(frequencies, _)| frequencies);
    close(&neox(json!({})).unwrap(), &[1.0, 0.01]);
    for half in [
        json!({"rotary_pct": 0.5, "rotary_emb_base": 1e4}),
        json!({"partial_rotary_factor": 0.5, "rotary_pct": 0.5}),
        json!({"rope_parameters": {"partial_rotary_factor": 0.5, "rope_theta": 1e4}}),
    ] {
        close(&neox(half).unwrap(), &[1.0, 0.1, 0.01, 0.001]);
    }
    let cases = [
        (json!({"rotary_pct": 0.5, "partial_rotary_factor": 0.25}), "rotary_pct"),
        (json!({"rotary_pct": 0.01}), "partial_rotary_factor"),
        (json!({"rotary_pct": 0.2}), "partial_rotary_factor"),
        (json!({"rotary_pct": 1.5}), "partial_rotary_factor"),
        (json!({"rotary_emb_base": 1e4, "rope_theta": 1e5}), "rotary_emb_base"),
    ];
    for (value, key) in cases {
        let error = neox(value.clone()).unwrap_err();
        assert!(error.starts_with(&format!("config key `{key}`: ")), "{value}: {error}");
    }
}

#[test]
fn gemmas_layers_rotate_by_two_tables() {
    let gemma = |value: Value| of(Family::Gemma3, value, 4).map(|(full, sliding)| [full, sliding.unwrap()]);
    let nested = |kind: &str, value: Value| {
        let mut parameters = json!({"full_attention": {"rope_type": "default", "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}});
        parameters[kind] = value;
        json!({ "rope_parameters": parameters })
    };
    for said in [
        json!({}),
        json!({"rope_theta": 1e6, "rope_local_base_freq": 1e4}),
        nested("full_attention", json!({"rope_theta": 1e6})),
    ] {
        let [full, sliding] = gemma(said).unwrap();
        close(&full, &[1.0, 1e-3]);
        close(&sliding, &[1.0, 1e-2]);
    }
    let linear = json!({"rope_type": "linear", "factor": 8.0});
    let [full, sliding] = gemma(json!({"rope_scaling": linear, "rope_theta": 1e6})).unwrap();
    close(&full, &[0.125, 0.125e-3]);
    close(&sliding, &[1.0, 1e-2]);
    let yarn = nested("sliding_attention", json!({"rope_type": "yarn"}));
    let error = gemma(yarn).unwrap_err();
    assert!(error.starts_with("config key `rope_parameters.sliding_attention.rope_type`: "), "{error}");
}

#[test]
fn scalings_divide_all_or_the_slow_ones() {
    for spelled in [
        json!({"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 4.0}}),
        json!({"rope_theta": 1e4, "rope_scaling": {"rope_type": "linear", "type": "linear", "factor": 4}}),
        json!({"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}}),
    ] {
        close(&frequencies(spelled, 8).unwrap(), &[0.25, 0.025, 0.0025, 0.00025]);
    }
    // Of 64 positions the first pair turns 10.2 times, the second 1.02 times, the third a tenth of once.
    let llama3 = json!({"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 0.5,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 64});
    let kept = (64.0 * 0.1 / TAU - 0.5) / 3.5;
    let expected = [1.0, (1.0 - kept) * 0.1 / 8.0 + kept * 0.1, 0.01 / 8.0, 0.001 / 8.0];
    close(&frequencies(json!({ "rope_parameters": llama3 }), 8).unwrap(), &expected);
}

#[test]
fn what_is_not_known_or_makes_no_sense_is_refused_by_its_key() {
    let llama3 = |key: &str, value: Value| {
        let mut llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64});
        llama3[key] = value;
        json!({ "rope_scaling": llama3 })
    };
    let cases = [
        (json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}), "rope_scaling.rope_type"),
        (json!({"rope_scaling": {"type": "dynamic", "factor": 4.0}}), "rope_scaling.type"),
        (json!({"rope_parameters": {"rope_type": "longrope"}}), "rope_parameters.rope_type"),
        (json!({"rope_scaling": {"type": "linear", "rope_type": "llama3"}}), "rope_scaling.type"),
        (json!({"rope_scaling": {"type": 3}}), "rope_scaling.type"),
        (json!({"rope_scaling": {"type": "linear"}}), "rope_scaling.factor"),
        (json!({"rope_scaling": {"type": "linear", "factor": 0}}), "rope_scaling.factor"),
        (json!({"rope_scaling": {"type": "linear", "factor": "2"}}), "rope_scaling.factor"),
        (json!({"rope_scaling": {"type": "linear", "factor": 2, "beta_fast": 32}}), "rope_scaling.beta_fast"),
        (json!({"rope_scaling": {"factor": 2}}), "rope_scaling.factor"),
        (json!({"rope_parameters": {"partial_rotary_factor": 0.5}}), "rope_parameters.partial_rotary_factor"),
        (json!({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}), "rope_parameters.full_attention"),
        (json!({"rope_scaling": [1]}), "rope_scaling"),
        (json!({"rope_theta": 0}), "rope_theta"),
        (json!({"rope_theta": -1e4}), "rope_theta"),
        (json!({"rope_theta": "10000"}), "rope_theta"),
        (json!({"rope_theta": 5e5, "rope_parameters": {"rope_theta": 1e4}}), "rope_theta"),
        (json!({"rope_scaling": {"rope_theta": 5e5}, "rope_parameters": {"rope_theta": 1e4}}), "rope_parameters"),
        (
            json!({"rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_theta": 1e4}}),
            "rope_parameters",
        ),
        (llama3("high_freq_factor", json!(1.0)), "rope_scaling.high_freq_factor"),
        (llama3("original_max_position_embeddings", Value::Null), "rope_scaling.original_max_position_embeddings"),
        (llama3("attention_factor", json!(1.2)), "rope_scaling.attention_factor"),
    ];
    for (value, key) in cases {
        let error = frequencies(value.clone(), 8).unwrap_err();
        assert!(error.starts_with(&format!("config key `{key}`: ")), "{value}: {error}");
    }
}

#[test]
fn a_turn_a_position_is_refused_and_a_little_less_is_not() {
    let linear =
        |factor: f64| frequencies(json!({"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": factor}}), 8);
    assert!(linear(1.001 / TAU).is_ok());
    for factor in [1.0 / TAU, 0.999 / TAU, 1e-300] {
        let error = linear(factor).unwrap_err();
        assert!(error.starts_with("config key `rope_scaling`: ") && error.contains("a whole turn"), "{error}");
    }
    let error = frequencies(json!({"rope_theta": 1e-4}), 8).unwrap_err();
    assert!(error.starts_with("config key `rope_theta`: "), "{error}");
}
