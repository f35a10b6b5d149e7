//! What `README.md` and the pages in `docs/` state of the code, and not of a measurement, is what the code says.

use emberlm::checkpoint::{Checkpoint, Options};
use emberlm::verbs;
use emberlm_core::blob::Slot;
use emberlm_core::config::{Activations, Config};
use emberlm_core::format::Format;
use emberlm_core::kv_cache::{KvSize, KvType};
use emberlm_tests::document::{Document, commands, number};
use emberlm_tests::fixtures;

fn readme() -> Document {
    Document::open("README.md")
}

/// The pages beside README, and the boards' own.
const PAGES: [&str; 19] = [
    "docs/boards.md",
    "docs/conventions.md",
    "docs/corpora.md",
    "docs/firmware.md",
    "docs/from-hugging-face.md",
    "docs/from-llama2c.md",
    "docs/from-nanogpt.md",
    "docs/from-the-book.md",
    "docs/memory.md",
    "docs/models.md",
    "docs/name-maps.md",
    "docs/quality.md",
    "docs/speed.md",
    "docs/vocabularies.md",
    "firmware-example/README.md",
    "firmware-example/c-api/README.md",
    "firmware-example/desk/README.md",
    "firmware-example/esp32/README.md",
    "firmware-example/start/README.md",
];

fn bundled(name: &str) -> Checkpoint {
    Checkpoint::open(&fixtures::bundled(name), &Options::default()).unwrap()
}

fn parameters(checkpoint: &Checkpoint) -> i64 {
    let config = checkpoint.config();
    let weights = |slot: Slot| {
        let (rows, columns) = slot.shape(config);
        i64::from(rows) * i64::from(columns)
    };
    Slot::all(config).filter(|&slot| checkpoint.has(slot)).map(weights).sum()
}

#[test]
fn the_compiler() {
    let [version] = readme().words("Rust {} or later.");
    let [stated] = Document::open("Cargo.toml").words("rust-version = \"{}\"");
    assert_eq!(version, stated);
}

#[test]
fn the_bundled_models() {
    let [char, bpe, n_ctx] =
        Document::open("docs/quality.md").numbers("The bundled models ({} and {} parameters, `n_ctx` {}) on the whole");
    let models = fixtures::BUNDLED.map(bundled);
    assert_eq!([0, 1].map(|i| parameters(&models[i])), [char, bpe]);
    assert!(models.iter().all(|model| i64::from(model.config().n_ctx) == n_ctx));
}

#[test]
fn formats() {
    let (models, quality) = (Document::open("docs/models.md"), Document::open("docs/quality.md"));
    let [bits, activations] =
        models.words("Weights in f32, f16 or integers of {} bits, a format a matrix; activations of {} bits.");
    let list = |list: &str| list.split([',', ' ']).filter_map(|word| word.parse().ok()).collect::<Vec<u32>>();
    let mut core: Vec<u32> = Format::ALL.into_iter().filter_map(Format::packing).map(|packing| packing.bits).collect();
    core.sort_by(|a, b| b.cmp(a));
    assert_eq!(list(&bits), core);
    let names = list(&activations).into_iter().map(|bits| format!("i{bits}"));
    assert!(names.eq([Activations::I16, Activations::I8].map(Activations::name)));
    assert!(Format::ALL.into_iter().filter(|format| format.packing().is_none()).eq([Format::F32, Format::F16]));

    let [n, q8, q6, q5, q4, q3] =
        quality.words("in rows of {}, as GPT-2's, q8 takes {}, q6 {}, q5 {}, q4 {} and q3 {}. f16 costs");
    let n: usize = n.parse().unwrap();
    let stated = [(Format::Q8, q8), (Format::Q6, q6), (Format::Q5, q5), (Format::Q4, q4), (Format::Q3, q3)];
    for (format, bits) in stated {
        assert_eq!(format!("{:.2}", format.bits_per_weight(n)), bits, "{format:?}");
    }
}

#[test]
fn kv_caches() {
    let (quality, firmware) = (Document::open("docs/quality.md"), Document::open("docs/firmware.md"));
    let config: Config = *bundled("shakespeare-char").config();
    let bytes = |kv_type: KvType| 4 * KvSize::new(kv_type, config.n_ctx as usize, 1).layer_words(&config, 0) as i64;
    let positions = quality.number("| KV cache | bytes, one layer of {} positions |");
    assert_eq!(positions, i64::from(config.n_ctx));
    let rows = quality.table("| KV cache | bytes, one layer of");
    let stated: Vec<(&str, i64)> = rows.iter().map(|row| (row[0].as_str(), number(&row[1]))).collect();
    assert_eq!(stated, KvType::ALL.map(|kv_type| (kv_type.name(), bytes(kv_type))));
    let [percent, head_dim] = firmware.numbers("`KvType::I8` leaves {} % of it at a `head_dim` of {}.");
    assert_eq!(head_dim, i64::from(config.head_dim));
    assert_eq!(percent, (100.0 * bytes(KvType::I8) as f64 / bytes(KvType::F32) as f64).round() as i64);
    assert_eq!(2 * bytes(KvType::F16), bytes(KvType::F32), "`KvType::F16` halves the cache");
}

#[test]
fn tokenisers_take_what_the_format_says() {
    let [small, tokens, large] = Document::open("docs/memory.md")
        .numbers("section of that blob is {} bytes, of a blob with GPT-2's {} tokens {}; `convert");
    let format = Document::open("FORMAT.md");
    assert_eq!(format.numbers("GPT-2's section ({} tokens) has {} bytes"), [tokens, large]);
    let [_, bytes] = format.numbers("that of the bundled vocabulary of {} tokens {}, that of");
    assert_eq!(small, bytes);
}

/// Every link to a file of the repository, in README and every page, leads to one; and to a heading, where it names one.
#[test]
fn links_lead_somewhere() {
    let mut n = 0;
    for name in PAGES.into_iter().chain(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]) {
        let folder = root().join(name).parent().unwrap().to_owned();
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)) {
            if link.starts_with("http") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if path.is_empty() { root().join(name) } else { folder.join(path) };
            assert!(file.exists(), "{name}: {link}");
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&file).unwrap();
                let slug =
                    |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-").replace(',', "");
                let mut headings = text.lines().filter(|line| line.starts_with('#')).map(slug);
                assert!(headings.any(|found| found == heading), "{name}: {link}");
            }
            n += 1;
        }
    }
    assert!(n > 60, "{n} links");
}

/// No page of `docs/` is forgotten here, or by README and the pages that it names.
#[test]
fn every_page_is_reached() {
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            assert!(PAGES.contains(&&*format!("docs/{name}")), "{name} is not read by this test");
            let text = std::fs::read_to_string(root().join("README.md")).unwrap();
            assert!(text.contains(&format!("](docs/{name})")), "README.md does not lead to {name}");
        }
    }
}

/// The maps on the page of name maps are maps.
#[test]
fn name_maps_are_read() {
    let maps = Document::open("docs/name-maps.md").blocks("json");
    assert_eq!(maps.len(), 3);
    for map in maps {
        emberlm::checkpoint::name_map::NameMap::parse(map.as_bytes()).unwrap();
    }
}

/// Every command of a block that begins with the program's name: it knows the verb, and takes the options.
#[test]
fn the_commands_are_understood() {
    let mut understood = 0;
    for name in PAGES.into_iter().chain(["README.md"]) {
        let document = Document::open(name);
        if !document.has_blocks("sh") {
            continue;
        }
        for words in commands(&document.blocks("sh")) {
            // What goes to a file is the shell's.
            let words = words.split(|word| word == ">").next().unwrap_or_default();
            match words[0].as_str() {
                "emberlm" => {
                    let parsed = verbs::command().try_get_matches_from(words);
                    assert!(parsed.is_ok(), "{name}: {words:?}: {}", parsed.unwrap_err());
                    understood += 1;
                }
                "cargo" => programs_are_there(words),
                // What the commands before have made is not there yet.
                program if program.starts_with("./") => {}
                program => assert!(!program.contains('/') || root().join(program).exists(), "{name}: {program}"),
            }
        }
    }
    assert!(understood > 15, "{understood}");
    assert!(verbs::command().try_get_matches_from(["emberlm", "eval", "model.blob", "--txet", "book.txt"]).is_err());
}

/// What a command of Cargo's names.
fn programs_are_there(words: &[String]) {
    for pair in words.windows(2) {
        let path = match pair[0].as_str() {
            "--path" => root().join(&pair[1]),
            "--example" => root().join("core/examples").join(&pair[1]).with_extension("rs"),
            "--bin" => root().join("firmware-example/mps/src/bin").join(&pair[1]).with_extension("rs"),
            _ => continue,
        };
        assert!(path.exists(), "{words:?}: {}", path.display());
    }
}

fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
