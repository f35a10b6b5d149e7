//! Refuses kernels of instructions that the target does not have, and tells the crate where the compiler would compute
//! floats in vectors that flush subnormal numbers.

use std::env;

/// A core's name for rustc, and what it has.
type Core = (&'static str, Extensions);

/// What kernels ask of a Cortex-M, each a part of the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Extensions {
    None,
    Thumb2,
    Dsp,
    Mve,
}

use Extensions::{Dsp, Mve, None as Neither, Thumb2};

const CORES: [Core; 13] = [
    ("cortex-m0", Neither),
    ("cortex-m0plus", Neither),
    ("cortex-m1", Neither),
    ("cortex-m23", Neither),
    ("cortex-m3", Thumb2),
    ("sc300", Thumb2),
    ("cortex-m4", Dsp),
    ("cortex-m7", Dsp),
    ("cortex-m33", Dsp),
    ("cortex-m35p", Dsp),
    ("cortex-m52", Mve),
    ("cortex-m55", Mve),
    ("cortex-m85", Mve),
];

/// The most that a core of a target may have.
const TARGETS: [Core; 5] = [
    ("thumbv6m", Neither),
    ("thumbv7m", Thumb2),
    ("thumbv7em", Dsp),
    ("thumbv8m.base", Neither),
    ("thumbv8m.main", Mve),
];

/// Features, what they need, and what has it.
const KERNELS: [(&str, Extensions, &str); 3] = [
    ("cortex-m3", Thumb2, "Cortex-M3, M4, M7 and M33"),
    ("cortex-m-dsp", Dsp, "Cortex-M4, M7 and M33"),
    ("cortex-m-mve", Mve, "Cortex-M55"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!("cargo::rustc-check-cfg=cfg(flushing_vectors)");
    let target = env::var("TARGET").unwrap_or_default();
    let options = codegen_options(&env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default());
    let value = |key: &str| options.iter().rev().find_map(|option| option.strip_prefix(key)?.strip_prefix('='));
    let core = value("target-cpu").and_then(|cpu| CORES.into_iter().find(|&(name, _)| name == cpu));
    for (feature, need, cores) in KERNELS {
        let is_on = env::var_os(format!("CARGO_FEATURE_{}", feature.to_uppercase().replace('-', "_"))).is_some();
        if is_on && let Some(lack) = lack(&target, core, need) {
            println!("cargo::error=feature {feature} is for {cores}: {lack}, or leave the feature out");
        }
    }
    // The compiler takes vectors of floats wherever a core has them, as if they rounded as scalars do.
    let is_set = |option: &str| options.iter().any(|o| o == option || o.strip_prefix(option) == Some("=yes"));
    let features = value("target-feature").unwrap_or_default();
    let has_vectors = core.is_some_and(|(_, has)| has == Mve) || features.contains("+mve.fp");
    if has_vectors && !(is_set("no-vectorize-loops") && is_set("no-vectorize-slp")) {
        println!("cargo::rustc-cfg=flushing_vectors");
    }
}

/// The codegen options, as `key=value` or `key`, in each of the ways of writing them.
fn codegen_options(flags: &str) -> Vec<String> {
    let mut options = Vec::new();
    let mut flags = flags.split('\x1f');
    while let Some(flag) = flags.next() {
        let option = match flag {
            "-C" | "--codegen" => flags.next(),
            _ => flag.strip_prefix("-C").or_else(|| flag.strip_prefix("--codegen=")),
        };
        options.extend(option.map(str::to_owned));
    }
    options
}

/// What a kernel that needs `need` lacks, and what to build for instead.
fn lack(target: &str, core: Option<Core>, need: Extensions) -> Option<String> {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let is_arm = variable("CARGO_CFG_TARGET_ARCH") == "arm";
    if !is_arm && !["none", "unknown"].contains(&&*variable("CARGO_CFG_TARGET_OS")) {
        // A host, which checks and documents all features at once.
        return None;
    }
    let family = target.split("-").next().unwrap_or(target);
    let known = TARGETS.into_iter().find(|&(name, _)| name == family);
    let (name, has) = match (core, known) {
        (Some(core), _) if is_arm => core,
        (_, Some((_, has))) => (target, has),
        // A target of somebody's own, of which nothing is known.
        _ if is_arm && !family.starts_with("arm") && !family.starts_with("thumb") => return None,
        _ => (target, Neither),
    };
    let instead = match need {
        Neither => return None,
        Thumb2 => "--target thumbv7m-none-eabi",
        Dsp => "--target thumbv7em-none-eabihf or thumbv8m.main-none-eabihf",
        Mve => "--target thumbv8m.main-none-eabihf, and -Ctarget-cpu=cortex-m55 or no target-cpu",
    };
    (has < need).then(|| format!("{name} lacks its instructions; build with {instead}"))
}
