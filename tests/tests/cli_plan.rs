//! `emberlm plan` against what is written and what runs: the blob's length, the firmware's own report, its ELF file.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::run;
use elf::ElfBytes;
use elf::endian::LittleEndian;
use emberlm::device::{Board, firmware};
use emberlm_tests::fixtures;
use serde_json::Value;

fn bundled() -> PathBuf {
    fixtures::bundled("shakespeare-char")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Bytes of the parts of that name.
fn part(plan: &Value, memory: &str, name: &str) -> u64 {
    let parts = plan[memory]["parts"].as_array().unwrap().iter();
    parts.filter(|part| part["name"] == name).map(|part| part["bytes"].as_u64().unwrap()).sum()
}

fn convert(checkpoint: &Path, blob: &Path, more: &[&str]) {
    let args = ["convert", text(checkpoint), "-o", text(blob), "--calibrate", "none"];
    run("convert", 0, &[args.as_slice(), more].concat());
}

#[test]
fn the_blob_is_as_long_as_the_plan_for_its_checkpoint_says() {
    let folder = tempfile::tempdir().unwrap();
    for (name, words) in [
        (bundled(), ["--weights", "q4+head=q8"].as_slice()),
        (fixtures::path("hf-untied-ragged"), &["--weights", "q5+embeddings=f16"]),
        (fixtures::path("nanogpt-no-bias"), &["--weights", "q3"]),
        (bundled(), &["--weights", "q8", "--no-tokenizer"]),
    ] {
        let (blob, word) = (folder.path().join("a.blob"), words[1]);
        convert(&name, &blob, words);
        let bytes = fs::metadata(&blob).unwrap().len();
        let planned = run("plan", 0, &[["plan", text(&name), "--board", "mps2-an386"].as_slice(), words].concat());
        assert_eq!(part(&planned, "flash", "model"), bytes, "{word}");
        let of_blob = run("plan", 0, &["plan", text(&blob), "--board", "mps2-an386"]);
        assert_eq!((&of_blob["flash"], &of_blob["ram"]), (&planned["flash"], &planned["ram"]), "{word}");
    }
}

#[test]
fn the_firmware_uses_what_the_plan_says() {
    let folder = tempfile::tempdir().unwrap();
    let blob = folder.path().join("a.blob");
    convert(&bundled(), &blob, &["--weights", "q4"]);
    let (board, name) = (Board::named("mps2-an386").unwrap(), "mps2-an386");
    let program = firmware::build(board, "score").unwrap();
    for (kv, n_ctx) in [("f32", "7"), ("i8", "20"), ("f16", "3")] {
        let prompt = "To be, or not to be: that";
        let how = ["--kv", kv, "--n-ctx", n_ctx];
        let score = ["device", "score", text(&blob), "--board", name, "--prompt", prompt, "--firmware", text(&program)];
        let device = run("device_score", 0, &[score.as_slice(), &how].concat());
        let plan = run("plan", 0, &[["plan", text(&blob), "--board", name].as_slice(), &how].concat());
        let (stack, need) = (part(&plan, "ram", "stack"), plan["ram"]["need"].as_u64().unwrap());
        let ram_bytes = device["ram_bytes"].as_u64().unwrap();
        // Variables are those of the build that was measured, which another compiler or a change may move a little.
        let off = (need - stack).abs_diff(ram_bytes);
        assert!(off <= 64, "{kv}: planned {}, used {ram_bytes}: run scripts/measure-firmware", need - stack);
        let used = device["stack_bytes"].as_u64().unwrap();
        assert!(used <= stack + stack / 4, "{kv}: planned {stack}, used {used}: run scripts/measure-firmware");
    }
    let bytes = fs::read(&program).unwrap();
    let segments = ElfBytes::<LittleEndian>::minimal_parse(&bytes).unwrap().segments().unwrap();
    let loaded = segments.iter().filter(|segment| segment.p_type == elf::abi::PT_LOAD);
    let code: u64 = loaded.map(|segment| segment.p_filesz).sum();
    let plan = run("plan", 0, &["plan", text(&blob), "--board", name]);
    let planned = part(&plan, "flash", "code");
    assert!(code.abs_diff(planned) <= planned / 4, "planned {planned}, built {code}: run scripts/measure-firmware");
}

#[test]
fn the_smallest_board_takes_what_the_plan_says_fits() {
    let folder = tempfile::tempdir().unwrap();
    let (blob, tokens) = (folder.path().join("a.blob"), folder.path().join("tokens.json"));
    convert(&fixtures::path("hf-gelu-erf"), &blob, &[]);
    fs::write(&tokens, "[1, 2, 3, 4, 5]").unwrap();
    let how = ["--board", "microbit", "--kv", "f32", "--n-ctx", "4"];
    let device = ["device", "score", text(&blob), "--tokens", text(&tokens)];
    let device = run("device_score", 0, &[device.as_slice(), &how].concat());
    let plan = run("plan", 0, &[["plan", text(&blob), "--batch", "1"].as_slice(), &how].concat());
    let (stack, need) = (part(&plan, "ram", "stack"), plan["ram"]["need"].as_u64().unwrap());
    let off = (need - stack).abs_diff(device["ram_bytes"].as_u64().unwrap());
    assert!(off <= 64, "planned {plan}, used {device}: run scripts/measure-firmware");
}

#[test]
fn buffers_are_core_s_own_sizes() {
    use emberlm_core::kv_cache::{KvSize, KvType};
    use emberlm_core::scratch::{Batch, ScratchSize};
    let checkpoint = emberlm::checkpoint::Checkpoint::open(&bundled(), &Default::default()).unwrap();
    let config = checkpoint.config();
    for kv_type in KvType::ALL {
        for (order, batch, layers) in [
            ("layer-major", Batch { window: 50, ..Batch::of(3) }, 1),
            ("token-major", Batch::of(3), config.n_layer as usize),
        ] {
            let args = ["--kv", kv_type.name(), "--n-ctx", "50", "--batch", "3", "--order", order];
            let plan =
                run("plan", 0, &[["plan", text(&bundled()), "--board", "mps2-an386"].as_slice(), &args].concat());
            assert_eq!(part(&plan, "ram", "scratch"), ScratchSize::new(config, batch).bytes() as u64);
            assert_eq!(
                part(&plan, "ram", "kv cache"),
                (4 * layers * KvSize::new(kv_type, 50, 3).layer_words(config, 0)) as u64
            );
        }
    }
}

#[test]
fn a_budget_that_is_exceeded_is_a_failed_check() {
    let model = bundled();
    let tight = ["plan", text(&model), "--flash", "2M", "--ram", "64K"];
    let plan = run("plan", 1, &tight);
    assert_eq!((&plan["fits"], &plan["board"]), (&false.into(), &"custom".into()));
    let longest = plan["max_n_ctx"].as_u64().unwrap().to_string();
    assert_ne!(longest, "0");
    let shorter = run("plan", 0, &[tight.as_slice(), &["--n-ctx", &longest]].concat());
    assert_eq!(shorter["fits"], true);
    let fitted = run("plan", 0, &[tight.as_slice(), &["--fit"]].concat());
    assert_eq!(fitted["fits"], true);
}

#[test]
fn fit_finds_formats_for_an_stm32f405() {
    let model = bundled();
    let args = ["plan", text(&model), "--board", "stm32f405", "--fit", "--order", "token-major"];
    let plan = run("plan", 0, &args);
    assert_eq!((&plan["fits"], &plan["n_ctx"]), (&true.into(), &128.into()));
    let regions: Vec<&Value> = plan["ram"]["parts"].as_array().unwrap().iter().map(|part| &part["region"]).collect();
    assert!(regions.contains(&&"sram".into()) && regions.contains(&&"ccm".into()), "{plan}");
}

#[test]
fn all_boards_are_one_table() {
    let model = bundled();
    let table = run("plan", 0, &["plan", text(&model), "--board", "all", "--fit"]);
    let boards = table["boards"].as_array().unwrap();
    for name in ["nrf52840", "stm32f405", "mps2-an386"] {
        assert!(boards.iter().any(|plan| plan["board"] == name && plan["fits"] == true), "{name}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let model = bundled();
    for (more, part) in [
        (["--board", "mps2-an386", "--n-ctx", "129"].as_slice(), "beyond the model's 128"),
        (&["--flash", "1M"], "--ram"),
        (&["--flash", "1M", "--ram", "64K+x"], "no number of bytes"),
        (&["--board", "mps2-an386", "--weights", "auto"], "auto needs a budget: auto:512K"),
        (&[], "--board"),
    ] {
        let error = run("error", 2, &[["plan", text(&model)].as_slice(), more].concat());
        assert!(error["error"]["message"].as_str().unwrap().contains(part), "{error}");
    }
}
