//! Core as somebody else builds it: a package outside the workspace, with Cargo's own profiles and none of our flags; and
//! the program that people are given to start from.
//!
//! `everything` and `start::everything` are the full matrix, and take long: `scripts/test-all outsiders` runs them.

#[path = "../common/mod.rs"]
mod common;
mod cores;
mod start;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use elf::ElfBytes;
use elf::abi::SHF_EXECINSTR;
use elf::endian::LittleEndian;
use emberlm_core::kernel::Portable;
use emberlm_core::kv_cache::KvType;
use emberlm_tests::blob_writer::write_for;
use emberlm_tests::models::Spec;
use emberlm_tests::oracle::{Linear, Model};
use emberlm_tests::passes::{Way, nll};
use emberlm_tests::quantised::{Activations, Storage};
use tempfile::TempDir;

use self::cores::*;

/// Those of the program.
const TOKENS: [u32; 16] = [7, 0, 33, 12, 60, 1, 5, 5, 41, 28, 2, 59, 17, 36, 9, 50];

const RELEASE_LTO: Profile = ("release", &[("LTO", "fat")]);
const DEBUG_LTO: Profile = ("dev", &[("LTO", "fat")]);

#[test]
fn a_cortex_m33_in_a_release() {
    Outsider::new().gives_the_hosts_bits(&M33, RELEASE);
}

#[test]
fn a_cortex_m55_whose_vectors_of_floats_flush() {
    Outsider::new().gives_the_hosts_bits(&M55, RELEASE);
}

#[test]
fn a_cortex_m4f_in_debug() {
    Outsider::new().gives_the_hosts_bits(&M4F, DEBUG);
}

mod everything {
    use super::*;

    /// Four profiles of Cargo's on each core.
    macro_rules! cores {
        ($($test:ident: $core:ident;)*) => {
            $(
                #[test]
                #[ignore = "takes long"]
                fn $test() {
                    let outsider = Outsider::new();
                    for profile in [RELEASE, RELEASE_LTO, DEBUG, DEBUG_LTO] {
                        outsider.gives_the_hosts_bits(&$core, profile);
                    }
                }
            )*
        };
    }

    cores! {
        cortex_m0_plus: M0_PLUS;
        cortex_m3: M3;
        cortex_m4f: M4F;
        cortex_m7: M7;
        cortex_m33: M33;
        cortex_m55: M55;
        riscv_imc: RV32IMC;
        riscv_imac: RV32IMAC;
        riscv_imafc: RV32IMAFC;
    }

    /// However many pieces the compiler cuts a crate into, and whatever it is told to save.
    #[test]
    #[ignore = "takes long"]
    fn every_way_to_optimise() {
        let outsider = Outsider::new();
        for core in [&M33, &M55] {
            for profile in [
                ("release", &[("LTO", "thin")][..]),
                ("release", &[("CODEGEN_UNITS", "1")]),
                ("release", &[("CODEGEN_UNITS", "256"), ("OPT_LEVEL", "2")]),
                ("release", &[("OPT_LEVEL", "1"), ("INCREMENTAL", "true")]),
                ("release", &[("OPT_LEVEL", "s"), ("LTO", "fat")]),
                ("release", &[("OPT_LEVEL", "z"), ("PANIC", "abort")]),
                ("dev", &[("CODEGEN_UNITS", "1"), ("INCREMENTAL", "false")]),
            ] {
                outsider.gives_the_hosts_bits(core, profile);
            }
        }
        for rustflags in ["", "-C target-cpu=cortex-m55 -C no-vectorize-loops -C no-vectorize-slp"] {
            outsider.gives_the_hosts_bits(&Core { rustflags, ..M55 }, RELEASE);
        }
        outsider.gives_the_hosts_bits(&Core { rustflags: "-Ctarget-cpu=cortex-m33", ..M33 }, RELEASE);
        outsider.gives_the_hosts_bits(&Core { target: "thumbv7em-none-eabi", ..M4F }, RELEASE);
    }
}

/// Builds that have to fail, with what they say.
#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    let outsider = Outsider::new();
    let refused = |core: &Core, features: &str, says: &[&str]| {
        let output = outsider.build(core, RELEASE, &["--no-default-features", "--features", features]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{} {features} is built", core.target);
        for text in says {
            assert!(stderr.contains(text), "{text} is not in {stderr}");
        }
    };
    let dsp = "feature cortex-m-dsp is for Cortex-M4, M7 and M33";
    let mve = "feature cortex-m-mve is for Cortex-M55";
    refused(&M3, "everything,cortex-m-dsp", &[dsp, "thumbv7m-none-eabi lacks", "--target thumbv7em-none-eabihf"]);
    refused(&M4F, "everything,cortex-m-mve", &[mve, "--target thumbv8m.main-none-eabihf"]);
    refused(&M0_PLUS, "everything,cortex-m3", &["feature cortex-m3 is for Cortex-M3", "--target thumbv7m-none-eabi"]);
    refused(&RV32IMC, "everything,cortex-m-dsp", &[dsp, "leave the feature out"]);
    let m33 = Core { rustflags: "-Ctarget-cpu=cortex-m33", ..M33 };
    refused(&m33, "everything,cortex-m-mve", &[mve, "cortex-m33 lacks", "-Ctarget-cpu=cortex-m55"]);
    refused(&RV32IMC, "", &["no format of weights", "q8, q4, two-planes or floats"]);
    refused(&RV32IMC, "emberlm-core/q8", &["no function for MLPs", "gelu-tanh, gelu-erf, silu or relu"]);
    refused(&RV32IMC, "emberlm-core/q8,emberlm-core/silu", &["no norm", "layer-norm or rms-norm"]);
    let without_positions = "emberlm-core/q8,emberlm-core/silu,emberlm-core/rms-norm";
    refused(&RV32IMC, without_positions, &["no positions", "learned-positions or rotary"]);
}

/// What each choice of models takes of a program that scores, on a core without any kernel of its own.
#[test]
#[ignore = "takes minutes"]
fn each_choice_that_is_left_out_removes_code() {
    /// All that a program may leave out of models' choices.
    const CHOICES: [&str; 16] = [
        "layer-norm",
        "rms-norm",
        "learned-positions",
        "rotary",
        "grouped-heads",
        "windows",
        "gated-mlp",
        "after-norms",
        "embedding-norm",
        "head-norms",
        "absent-norms",
        "parallel-blocks",
        "embedding-scale",
        "gelu-tanh",
        "silu",
        "relu",
    ];
    let outsider = Outsider::new();
    let size: Profile = ("release", &[("OPT_LEVEL", "z"), ("LTO", "fat"), ("CODEGEN_UNITS", "1"), ("PANIC", "abort")]);
    let flash = |without: &str| {
        let chosen = CHOICES.iter().filter(|&&choice| choice != without);
        let features: Vec<String> =
            chosen.chain(&["q8", "float-kv"]).map(|feature| format!("emberlm-core/{feature}")).collect();
        let _building = building();
        let output = outsider.build(&RV32IMC, size, &["--no-default-features", "--features", &features.join(",")]);
        assert!(output.status.success(), "{without}: {}", String::from_utf8_lossy(&output.stderr));
        let program = fs::read(RV32IMC.program("outsider", RELEASE)).unwrap();
        let elf = ElfBytes::<LittleEndian>::minimal_parse(&program).unwrap();
        let code =
            elf.section_headers().unwrap().iter().filter(|section| section.sh_flags & u64::from(SHF_EXECINSTR) != 0);
        code.map(|section| section.sh_size).sum::<u64>()
    };
    let all = flash("");
    let removed = CHOICES.map(|choice| (choice, all as i64 - flash(choice) as i64));
    println!("of {all} bytes: {removed:?}");
    assert!(removed.iter().all(|&(_, bytes)| bytes > 0));
}

/// Models by their names: formats of each kind, and values that are subnormal as f32 or as f16.
fn models() -> [(&'static str, Model, Storage, Activations); 12] {
    let model = Spec { n_layer: 1, n_ff: 64, ..Spec::SMALL }.model(7);
    let (tiny, halves) = (with_small_values(&model, -127), with_small_values(&model, -15));
    [
        ("f32-tiny", tiny, Storage::F32, Activations::F32),
        ("f16-tiny", halves, Storage::F16, Activations::F32),
        ("q8-i16", model.clone(), Storage::Q8, Activations::I16),
        ("q8-i8", model.clone(), Storage::Q8, Activations::I8),
        ("q8-f32", model.clone(), Storage::Q8, Activations::F32),
        ("q5-i8", model.clone(), Storage::Q5, Activations::I8),
        ("q4-i16", model, Storage::Q4, Activations::I16),
        ("llama", Spec { n_vocab: 61, ..Spec::LLAMA }.model(7), Storage::Q8, Activations::I16),
        ("neox", Spec { n_vocab: 61, ..Spec::NEOX }.model(7), Storage::Q8, Activations::I16),
        ("gemma", Spec { n_vocab: 61, ..Spec::GEMMA }.model(7), Storage::Q8, Activations::I16),
        ("microgpt", Spec { n_vocab: 61, ..Spec::MICROGPT }.model(7), Storage::Q4, Activations::I16),
        ("neo", Spec { n_vocab: 61, ..Spec::NEO }.model(7), Storage::Q4, Activations::I8),
    ]
}

/// The same function, but for rounding, with values and the MLP's inputs times a power of two, which the next matrix takes
/// back.
fn with_small_values(model: &Model, exponent: i32) -> Model {
    let mut model = model.clone();
    let down = 2f64.powi(exponent);
    for block in &mut model.blocks {
        let n = block.attn_proj.weight.len();
        let Linear { weight, bias } = &mut block.c_attn;
        weight[2 * n..].iter_mut().flatten().for_each(|w| *w *= down);
        bias.iter_mut().for_each(|bias| bias[2 * n..].iter_mut().for_each(|b| *b *= down));
        block.ln_2.weight.iter_mut().flatten().for_each(|w| *w *= down);
        block.ln_2.bias.iter_mut().flatten().for_each(|b| *b *= down);
        for next in [&mut block.attn_proj, &mut block.c_fc] {
            next.weight.iter_mut().flatten().for_each(|w| *w /= down);
        }
    }
    model
}

/// A copy of the program outside the checkout, and its models.
struct Outsider {
    folder: TempDir,
    /// The bits of each model's loss, by its name and the type of the KV cache.
    want: BTreeMap<String, u64>,
}

impl Outsider {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let core = here.join("../core").canonicalize().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        for file in ["Cargo.toml", "Cargo.lock", "build.rs", "src/main.rs"] {
            let text = fs::read_to_string(here.join("outsider").join(file)).unwrap();
            let text = text.replace("\"../../core\"", &format!("{core:?}"));
            fs::write(folder.path().join(file), text).unwrap();
        }
        let blobs = folder.path().join("blobs");
        fs::create_dir(&blobs).unwrap();
        let mut want = BTreeMap::new();
        for (name, model, storage, activations) in models() {
            let blob = write_for(&model, storage, activations, &[]);
            fs::write(blobs.join(name), &blob[..]).unwrap();
            for kv_type in KvType::ALL {
                let nll = nll(&blob, Portable, &TOKENS, Way { kv_type, ..Way::PLAIN }).unwrap();
                let sum: f64 = nll.into_iter().map(f64::from).sum();
                assert!(sum.is_finite(), "{name}");
                want.insert(format!("{name} {}", kv_type.name()), sum.to_bits());
            }
        }
        Self { folder, want }
    }

    /// Builds the program and runs it.
    fn gives_the_hosts_bits(&self, core: &Core, profile: Profile) {
        let what = format!("{} {:?} {profile:?} {:?}", core.machine, core.features, core.rustflags);
        let building = building();
        let output = self.build(core, profile, &["--features", core.features]);
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        let program = self.folder.path().join("program");
        fs::copy(core.program("outsider", profile), &program).unwrap();
        drop(building);
        let mut of_kernels: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
        let lines = core.run(&program, &what);
        for line in &lines {
            let (kernel, rest) = line.split_once(' ').expect(line);
            let (model, bits) = rest.split_once(": ").expect(line);
            let bits = u64::from_str_radix(bits, 16).expect(line);
            of_kernels.entry(kernel).or_default().insert(model.into(), bits);
        }
        let kernels = ["portable", "scalar", "cortex-m-dsp", "cortex-m-mve"];
        let mut kernels: Vec<_> =
            kernels.into_iter().filter(|name| !name.contains('-') || core.features.contains(name)).collect();
        kernels.sort();
        assert_eq!(of_kernels.keys().copied().collect::<Vec<_>>(), kernels, "{what}");
        for (kernel, bits) in of_kernels {
            assert_eq!(bits, self.want, "{what}: {kernel}");
        }
    }

    fn build(&self, core: &Core, profile: Profile, arguments: &[&str]) -> Output {
        core.build(self.folder.path(), profile)
            .arg("--locked")
            .args(arguments)
            .env("RUSTFLAGS", core.rustflags)
            .env("BLOBS", self.folder.path().join("blobs"))
            .output()
            .unwrap()
    }
}
