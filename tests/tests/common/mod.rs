//! The command line under test.

use std::path::Path;
#[cfg(unix)]
use std::sync::Arc;

use assert_cmd::Command;
use serde_json::Value;

/// The command.
pub fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_emberlm-under-test"))
}

/// Has programs that this one starts from now on hear signals, also where a shell that ran it in the background had them
/// ignored: what a program handles is its children's default.
#[cfg(unix)]
#[allow(dead_code, reason = "not every test sends signals")]
pub fn hear_signals() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::new(true.into())).unwrap();
    }
}

/// Runs the command with `--json`; its standard output must be one line that `schema` accepts.
pub fn run(schema: &str, code: i32, args: &[&str]) -> Value {
    let output = command().args(args).arg("--json").assert().code(code).get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let value = serde_json::from_str(&text).unwrap();
    check(schema, &value);
    value
}

/// Checks that `schema` accepts `value`.
pub fn check(schema: &str, value: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(schema).with_extension("json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let faults: Vec<String> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(value).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?} in {value}");
}
