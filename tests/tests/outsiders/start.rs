//! `firmware-example/start`, the program that people start from, and what `emberlm inspect --rust` has it say of a model.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::assert::OutputAssertExt;
use emberlm::text::tokenizer::{SectionParts, section};
use emberlm_tests::blob_writer::write_for;
use emberlm_tests::fixtures;
use emberlm_tests::models::Spec;
use emberlm_tests::quantised::{Activations, Storage};
use serde_json::Value;
use tempfile::TempDir;

use crate::common;
use crate::cores::*;

/// The most lines that its code has.
const MOST_LINES: usize = 80;

fn original() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/start")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What `inspect --rust` says of a blob.
fn printed(blob: &Path, core: &str) -> Value {
    common::run("inspect_rust", 0, &["inspect", blob.to_str().unwrap(), "--rust", "--core", core])
}

fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
}

#[test]
fn it_is_short_and_says_what_inspect_prints() {
    let (folder, printed) = (original(), printed(&original().join("model.blob"), "cortex-m4f"));
    let lines: usize = ["src/main.rs", "build.rs"].iter().map(|file| read(&folder.join(file)).lines().count()).sum();
    assert!(lines <= MOST_LINES, "{lines} lines");
    assert_eq!(read(&folder.join("src/model.rs")), word(&printed, "source"), "src/model.rs is not what is printed");
    let dependency = word(&printed, "dependency").replace("version = \"0.1\"", "path = \"../../core\"");
    assert!(read(&folder.join("Cargo.toml")).contains(&dependency), "Cargo.toml lacks {dependency}");
    assert!(read(&folder.join(".cargo/config.toml")).contains(&config(&printed)), "config.toml lacks what is printed");
    let letters = folder.join("../../core/examples/letters.blob");
    assert!(fs::read(folder.join("model.blob")).unwrap() == fs::read(letters).unwrap(), "another blob than core's");
}

#[test]
fn it_gives_the_hosts_bits_on_a_cortex_m4f() {
    let start = Start::new();
    let lines = start.gives_the_hosts_bits("letters", &original().join("model.blob"), "cortex-m4f", &M4F, RELEASE);
    let readme = read(&original().join("../../README.md"));
    assert!(
        readme.contains(&format!("```text\n{}\n```", lines.join("\n"))),
        "README.md shows something else: {lines:?}"
    );
}

/// What is printed of a model of each family compiles, and is what the blob has.
#[test]
fn what_is_printed_is_the_models() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::create_dir(at("src")).unwrap();
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core").canonicalize().unwrap();
    let manifest = "[workspace]\n[package]\nname = \"printed\"\nedition = \"2024\"\n[dependencies]\n";
    fs::write(at("Cargo.toml"), format!("{manifest}emberlm-core = {{ path = {core:?} }}\n")).unwrap();
    let mut main = String::from("#![deny(warnings)]\nfn main() {\n");
    let mut modules = String::new();
    for (name, blob) in blobs(&folder) {
        let printed = printed(&blob, "cortex-m0");
        fs::write(at(&format!("src/{name}.rs")), word(&printed, "source")).unwrap();
        modules += &format!("mod {name};\n");
        let of = |key: &str| printed[key].as_u64().unwrap();
        main += &format!(
            "    is::<{name}::Kernel>(emberlm_core::include_blob!({blob:?}), {name}::CONFIG, {name}::RUN, {name}::NEED, \
             [{}, {}, {}]);\n",
            of("kv_words"),
            of("scratch_floats"),
            of("scratch_words"),
        );
    }
    main += "}\n";
    let is = "
use emberlm_core::{Config, Kernel, KvType, Mapped, Model, Need, Order, Run};
fn is<K: Kernel>(blob: &'static [u8], config: Config, run: Run, need: Need, words: [usize; 3]) {
    assert_eq!(*Model::open(Mapped::new(blob).unwrap()).unwrap().config(), config);
    assert_eq!(run, Run::new(Order::TokenMajor, KvType::F32, config.n_ctx as usize));
    assert_eq!(need, Need::new(&config, run));
    assert_eq!([need.kv_words, need.scratch.floats, need.scratch.words], words);
}
";
    fs::write(at("src/main.rs"), main + &modules + is).unwrap();
    let output = cargo()
        .current_dir(folder.path())
        .args(["run", "--quiet"])
        .env("CARGO_TARGET_DIR", TARGET_DIR)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

mod everything {
    use super::*;

    /// On each core, as `inspect --rust` says to build for it, in a release and in debug.
    #[test]
    #[ignore = "takes long"]
    fn every_core() {
        let start = Start::new();
        for (name, core) in [
            ("cortex-m0", M0_PLUS),
            ("cortex-m3", M3),
            ("cortex-m4f", M4F),
            ("cortex-m7", M7),
            ("cortex-m33", M33),
            ("cortex-m55", M55),
            ("rv32imc", RV32IMC),
            ("rv32imac", RV32IMAC),
            ("rv32imafc", RV32IMAFC),
        ] {
            for profile in [RELEASE, DEBUG] {
                start.gives_the_hosts_bits("letters", &original().join("model.blob"), name, &core, profile);
            }
        }
    }

    /// With a model of each family, and the features that are printed for it and no others.
    #[test]
    #[ignore = "takes long"]
    fn every_family() {
        let (start, folder) = (Start::new(), tempfile::tempdir().unwrap());
        for (name, blob) in blobs(&folder) {
            start.gives_the_hosts_bits(name, &blob, "cortex-m4f", &M4F, RELEASE);
        }
    }
}

/// Blobs of each family, in formats of each kind, with a token for each character that the prompt has.
fn blobs(folder: &TempDir) -> Vec<(&'static str, PathBuf)> {
    let spec = |spec: Spec| Spec { n_vocab: 61, n_ctx: 48, ..spec };
    let chars = (' '..='Z').filter(|c| *c == ' ' || c.is_alphanumeric()).chain('a'..='z').take(61);
    let chars = section::encode(&SectionParts::Chars(chars.collect()));
    let random = [
        ("gpt2", Spec::SMALL, Storage::Q8, Activations::I16),
        ("floats", Spec::SMALL, Storage::F16, Activations::F32),
        ("neo", Spec::NEO, Storage::Q4, Activations::I8),
        ("llama", Spec::LLAMA, Storage::Q5, Activations::I16),
        ("mistral", Spec::MISTRAL, Storage::Q8, Activations::F32),
        ("neox", Spec::NEOX, Storage::Q6, Activations::I16),
        ("gemma", Spec::GEMMA, Storage::Q8, Activations::I16),
        ("microgpt", Spec::MICROGPT, Storage::Q3, Activations::I16),
    ];
    let random = random.into_iter().map(|(name, model, storage, activations)| {
        let path = folder.path().join(name);
        fs::write(&path, &write_for(&spec(model).model(7), storage, activations, &chars)[..]).unwrap();
        (name, path)
    });
    let mut blobs: Vec<_> = random.collect();
    let stories = folder.path().join("stories");
    let checkpoint = fixtures::bundled("stories260K").join("stories260K.bin");
    let convert = ["convert", checkpoint.to_str().unwrap(), "-o", stories.to_str().unwrap()];
    let (tokenizer, how) = (checkpoint.with_file_name("tok512.bin"), ["--weights", "q4", "--calibrate", "none"]);
    let tokenizer = ["--tokenizer", tokenizer.to_str().unwrap()];
    common::run("convert", 0, &[&convert[..], &tokenizer, &how].concat());
    blobs.push(("stories", stories));
    blobs
}

/// What `inspect` prints for `.cargo/config.toml`.
fn config(printed: &Value) -> String {
    let lines = word(printed, "source").lines().filter_map(|line| line.strip_prefix("//! "));
    let lines = lines.skip_while(|line| *line != "[build]").take_while(|line| *line != "```");
    lines.map(|line| format!("{line}\n")).collect()
}

/// A copy of the program beside core as it is packaged, outside the checkout.
struct Start {
    folder: TempDir,
    /// The folder of core, as the program names it.
    core: String,
}

impl Start {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("package");
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        cargo()
            .current_dir(workspace)
            .args(["package", "--quiet", "--offline", "--allow-dirty", "--no-verify", "-p", "emberlm-core"])
            .arg("--target-dir")
            .arg(&package)
            .assert()
            .success();
        let crates = fs::read_dir(package.join("package")).unwrap().map(|entry| entry.unwrap().path());
        let packed = crates.into_iter().find(|path| path.extension().is_some_and(|it| it == "crate")).unwrap();
        Command::new("tar").arg("-xzf").arg(&packed).arg("-C").arg(folder.path()).assert().success();
        let start = folder.path().join("start");
        fs::create_dir_all(start.join("src")).unwrap();
        fs::create_dir(start.join(".cargo")).unwrap();
        for file in ["Cargo.lock", "build.rs", "src/main.rs"] {
            fs::copy(original().join(file), start.join(file)).unwrap();
        }
        Self { folder, core: format!("../{}", packed.file_stem().unwrap().to_str().unwrap()) }
    }

    /// Builds and runs it for a blob with what is printed for the core of that name, and compares text and bits. Returns what
    /// it printed.
    fn gives_the_hosts_bits(&self, what: &str, blob: &Path, name: &str, core: &Core, profile: Profile) -> Vec<String> {
        let what = format!("{what} on {name}, {profile:?}");
        let start = self.folder.path().join("start");
        let printed = printed(blob, name);
        assert_eq!(word(&printed, "target"), core.target, "{what}");
        fs::copy(blob, start.join("model.blob")).unwrap();
        fs::write(start.join("src/model.rs"), word(&printed, "source")).unwrap();
        fs::write(start.join(".cargo/config.toml"), config(&printed)).unwrap();
        let path = word(&printed, "dependency").replace("version = \"0.1\"", &format!("path = {:?}", self.core));
        assert!(path.contains(&self.core), "{path}");
        let manifest = read(&original().join("Cargo.toml"));
        let ours = |line: &str| if line.starts_with("emberlm-core = ") { path.clone() } else { line.to_owned() };
        let manifest: Vec<String> = manifest.lines().map(ours).collect();
        fs::write(start.join("Cargo.toml"), manifest.join("\n") + "\n").unwrap();

        let building = building();
        let output = core.build(&start, profile).arg("--locked").output().unwrap();
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        let program = self.folder.path().join("program");
        fs::copy(core.program("start", profile), &program).unwrap();
        drop(building);

        let main = read(&start.join("src/main.rs"));
        let prompt = main.split_once("const PROMPT: &str = \"").unwrap().1.split_once('"').unwrap().0;
        let (blob, lines) = (blob.to_str().unwrap(), core.run(&program, &what));
        let scored = common::run("eval", 0, &["eval", blob, "--prompt", prompt]);
        let bits = lines[0].rsplit_once("nll bits ").unwrap_or_else(|| panic!("{what}: {lines:?}")).1;
        assert_eq!(bits, word(&scored, "nll_bits"), "{what}");
        let seed = ["--seed", "1", "--max-tokens", "100000"];
        let written = common::run("generate", 0, &[&["generate", blob, "--prompt", prompt][..], &seed].concat());
        let (text, want) = (lines[1..].join("\n"), format!("{prompt}{}", word(&written, "text")));
        assert_eq!(text.trim_end(), want.trim_end(), "{what}");
        assert!(want.len() > prompt.len(), "{what}: nothing was written");
        lines
    }
}
