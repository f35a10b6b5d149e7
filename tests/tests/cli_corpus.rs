//! Large corpora: several texts, shards of their windows, and records that come to the unsharded figures.

#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{command, run};
use emberlm_tests::document::Document;
use emberlm_tests::fixtures;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Texts of different lengths, one of which is shorter than a window.
const LENGTHS: [usize; 3] = [300, 40, 170];

/// A folder with a blob and three texts.
struct Corpus(TempDir);

impl Corpus {
    fn new() -> Self {
        let corpus = Self(tempfile::tempdir().unwrap());
        corpus.convert("model.blob", "q8");
        fs::create_dir(corpus.path("books")).unwrap();
        let play = fixtures::as_you_like_it();
        let mut rest = play.as_str();
        for (name, length) in ["a", "b", "c"].iter().zip(LENGTHS) {
            fs::write(corpus.path(&format!("books/{name}.txt")), &rest[..length]).unwrap();
            rest = &rest[length..];
        }
        corpus
    }

    fn convert(&self, name: &str, weights: &str) {
        let model = fixtures::bundled("shakespeare-char");
        let args = ["--weights", weights, "--calibrate", "none"];
        run("convert", 0, &[&["convert", model.to_str().unwrap(), "-o", &self.path(name)], &args[..]].concat());
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn texts(&self) -> Vec<String> {
        ["books/a.txt", "books/b.txt", "books/c.txt"].map(|name| self.path(name)).to_vec()
    }

    /// What `eval` reports with `more` of files in windows of 32.
    fn eval(&self, code: i32, texts: &[String], more: &[&str]) -> Value {
        let blob = self.path("model.blob");
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let words: [&[&str]; 4] = [&["eval", &blob, "--n-ctx", "32", "--text"], &texts, &["--threads", "1"], more];
        run(if code == 0 { "eval" } else { "error" }, code, &words.concat())
    }

    /// The records of each shard of `of`, of all texts.
    fn shards(&self, of: usize, prefix: &str, more: &[&str]) -> Vec<String> {
        let of_shard = |index: usize| {
            let (shard, records) = (format!("{index}/{of}"), self.path(&format!("{prefix}{index}.records")));
            self.eval(0, &self.texts(), &[&["--shard", &shard, "--records", &records], more].concat());
            records
        };
        (1..=of).map(of_shard).collect()
    }
}

fn merge(code: i32, records: &[String]) -> Value {
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    run(if code == 0 { "eval" } else { "error" }, code, &[&["merge"], &records[..]].concat())
}

/// The message of records that are refused.
fn refused(records: &[String]) -> String {
    let error = merge(2, records)["error"].clone();
    assert_eq!(error["kind"], json!("records"), "{error}");
    let message = error["message"].as_str().unwrap().to_owned();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

#[test]
fn several_files_are_texts_of_their_own_in_the_order_given() {
    let corpus = Corpus::new();
    let (texts, play) = (corpus.texts(), fixtures::as_you_like_it());
    let value = corpus.eval(0, &texts, &[]);
    let alone: Vec<Value> = texts.iter().map(|text| corpus.eval(0, std::slice::from_ref(text), &[])).collect();
    let listed = alone.iter().zip(&texts).zip(LENGTHS);
    let listed = listed
        .map(|((alone, text), length)| json!({"files": [text], "tokens_scored": length - 1, "loss": alone["loss"]}));
    assert_eq!(value["texts"], listed.collect::<Value>());
    assert_eq!(value["tokens_scored"], json!(LENGTHS.iter().sum::<usize>() - 3));
    let backwards: Vec<String> = texts.iter().rev().cloned().collect();
    let names =
        |value: &Value| value["texts"].as_array().unwrap().iter().map(|t| t["files"][0].clone()).collect::<Vec<_>>();
    assert_eq!(names(&corpus.eval(0, &backwards, &[])), backwards);

    // Joined, they are the text that they are pieces of.
    let joined = corpus.eval(0, &texts, &["--concat"]);
    let whole = corpus.path("whole.txt");
    fs::write(&whole, &play[..LENGTHS.iter().sum()]).unwrap();
    let mut expected = corpus.eval(0, std::slice::from_ref(&whole), &[]);
    expected["texts"][0]["files"] = json!(texts);
    assert_eq!(joined, expected);

    let (model, blob) = (fixtures::bundled("shakespeare-char"), corpus.path("model.blob"));
    let verify = ["verify", model.to_str().unwrap(), &blob, "--n-ctx", "32", "--text"];
    let of_joined = run("verify", 0, &[&verify[..], &[&texts[0], &texts[1], &texts[2], "--concat"]].concat());
    assert_eq!(of_joined, run("verify", 0, &[&verify[..], &[&whole]].concat()));

    let words = ["eval", &blob, "--n-ctx", "32", "--text", &texts[0], "-", &texts[2]];
    let output =
        command().args(words).write_stdin(&play[LENGTHS[0]..][..LENGTHS[1]]).assert().success().get_output().clone();
    let report = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = report.lines().filter(|line| line.starts_with("text ")).collect();
    assert_eq!(lines.len(), 3, "{report}");
    assert!(lines[1].contains("standard input: 39 tokens scored, ") && lines[2].contains(&texts[2]), "{report}");
    assert!(report.contains(value["nll_bits"].as_str().unwrap()), "{report}");
    let error = run("error", 2, &["eval", &blob, "--prompt", "to be", "--concat"]);
    assert_eq!(error["error"]["message"], json!("--concat joins text files: it goes with --text"));
}

#[test]
fn any_sharding_gives_the_unsharded_report() {
    let corpus = Corpus::new();
    let window: &[&str] = &["--convention", "sliding", "--stride", "7"];
    for (n_texts, more) in
        [(1, &[][..]), (3, &[]), (3, &["--concat", "--kv", "i8"]), (3, window), (2, &["--max-windows", "5"])]
    {
        let texts = &corpus.texts()[..n_texts];
        let expected = corpus.eval(0, texts, more);
        // More shards than windows, too.
        for of in [1, 2, 3, 7, 40] {
            let mut records = Vec::new();
            let (mut scored, mut n_windows) = (0, 0);
            for index in 1..=of {
                let (shard, file) = (format!("{index}/{of}"), corpus.path(&format!("{index}.records")));
                let value = corpus.eval(0, texts, &[&["--shard", &shard, "--records", &file], more].concat());
                scored += value["tokens_scored"].as_u64().unwrap();
                match &value["part"] {
                    Value::Null => assert_eq!((of, &value), (1, &expected)),
                    part => {
                        assert_eq!((&part["shard"], &part["shards"]), (&json!(index), &json!(of)));
                        assert_eq!(part["first_window"], json!(n_windows));
                        n_windows += part["windows"].as_u64().unwrap();
                    }
                }
                records.push(file);
            }
            assert_eq!(json!(scored), expected["tokens_scored"]);
            assert_eq!(merge(0, &records), expected, "{of} shards");
            records.reverse();
            assert_eq!(merge(0, &records), expected, "{of} shards");
        }
    }
}

#[test]
fn a_part_says_that_it_is_one_and_an_empty_one_that_it_is_empty() {
    let corpus = Corpus::new();
    let (blob, file) = (corpus.path("model.blob"), corpus.path("a.records"));
    let eval = |shard: &str| {
        let words =
            ["eval", &blob, "--prompt", "To be, or not to be", "--n-ctx", "8", "--records", &file, "--shard", shard];
        let output = command().args(words).assert().success().get_output().clone();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let [report, notes] = eval("2/2");
    assert!(
        report.starts_with("part            shard 2/2, windows 2 to 3 of 3; `emberlm merge` joins all\n"),
        "{report}"
    );
    assert!(notes.contains(&format!("records of 10 losses go to {file}\n")), "{notes}");
    let [report, notes] = eval("1/5");
    assert!(
        report.starts_with("part            shard 1/5, none of the 3 windows; `emberlm merge` joins all\n"),
        "{report}"
    );
    assert!(
        notes.contains(&format!("records of 0 losses go to {file}: shard 1/5 has none of the 3 windows\n")),
        "{notes}"
    );
}

/// The bytes are those that the module's documentation says.
#[test]
fn records_are_a_header_the_losses_and_a_checksum() {
    let corpus = Corpus::new();
    let expected = corpus.eval(0, &corpus.texts(), &[]);
    let file = &corpus.shards(1, "", &[])[0];
    let bytes = fs::read(file).unwrap();
    assert!(bytes.starts_with(b"{\"emberlm_records\":1,"));
    let end = 1 + bytes.iter().position(|&byte| byte == b'\n').unwrap();
    let header: Value = serde_json::from_slice(&bytes[..end]).unwrap();
    let (body, crc) = bytes.split_last_chunk::<4>().unwrap();
    assert_eq!(u32::from_le_bytes(*crc), crc32fast::hash(body));
    let (losses, rest) = body[end..].as_chunks::<4>();
    assert_eq!((json!(losses.len()), rest.len()), (expected["tokens_scored"].clone(), 0));
    let sum: f64 = losses.iter().map(|&nll| f64::from(f32::from_le_bytes(nll))).sum();
    assert_eq!(json!(format!("{:016x}", sum.to_bits())), expected["nll_bits"]);
    let run = &header["run"];
    for key in
        ["model_crc32", "arithmetic", "activations", "kv", "convention", "n_ctx", "stride", "bos", "tokens_skipped"]
    {
        assert_eq!(run[key], expected[key], "{key}");
    }
    let text = fs::read_to_string(&corpus.texts()[1]).unwrap();
    let ids = fixtures::char_ids(&text);
    let ids: Vec<u8> = [ids.len() as u32].iter().chain(&ids).flat_map(|id| id.to_le_bytes()).collect();
    let crc = format!("{:08x}", crc32fast::hash(&ids));
    assert_eq!(run["texts"][1], json!({"files": [corpus.texts()[1]], "tokens_crc32": crc, "tokens_scored": 39}));
    let bytes: usize = LENGTHS.iter().map(|length| length - 1).sum();
    assert_eq!(
        header["part"],
        json!({"shard": 1, "first_window": 0, "windows": 18, "tokens_scored": bytes, "bytes": bytes})
    );
}

#[test]
fn records_that_overlap_or_are_missing_are_refused() {
    let corpus = Corpus::new();
    let all = corpus.shards(4, "", &[]);
    let twice = corpus.path("twice.records");
    fs::copy(&all[1], &twice).unwrap();
    let message = refused(&[all.clone(), vec![twice.clone()]].concat());
    assert_eq!(message, format!("{twice}: it holds shard 2/4, as does {}: name one of them", all[1]));
    assert!(refused(&[all[0].clone(), all[0].clone()]).contains("it holds shard 1/4, as does "));
    for (there, missing) in [(vec![0, 1, 3], "3 is"), (vec![2], "1, 2, 4 are")] {
        let there: Vec<String> = there.into_iter().map(|i: usize| all[i].clone()).collect();
        let expected = format!(
            "{}: it holds one of 4 shards, and {missing} missing: score what is missing, and name all files",
            there[0]
        );
        assert_eq!(refused(&there), expected);
    }
    let one = corpus.path("one.records");
    corpus.eval(0, &corpus.texts(), &["--shard", "10/30", "--records", &one]);
    assert!(refused(&[one]).contains("one of 30 shards, and 1, 2, 3, 4, 5, 6, 7, 8 and 21 more are missing"));
}

#[test]
fn records_of_different_runs_are_refused_by_what_differs() {
    let corpus = Corpus::new();
    let (texts, first, other) = (corpus.texts(), corpus.path("first.records"), corpus.path("other.records"));
    let eval = |texts: &[String], file: &str, shard: &str, more: &[&str]| {
        corpus.eval(0, texts, &[&["--shard", shard, "--records", file], more].concat())
    };
    let whole = eval(&texts, &first, "1/2", &[]);
    let differs = |what: &str, own: &str, others: &str| {
        let end = format!("{others}: only shards of one run are merged");
        let expected = format!("{other}: its {what} is {own}, and that of {first} is {end}");
        assert_eq!(refused(&[first.clone(), other.clone()]), expected);
    };
    eval(&texts, &other, "2/3", &[]);
    differs("shards", "3", "2");
    for (more, what, own, others) in [
        (["--kv", "f16"].as_slice(), "kv", "f16", "f32"),
        (&["--n-ctx", "16"], "n_ctx", "16", "32"),
        (&["--convention", "llamacpp"], "convention", "llamacpp", "disjoint"),
        (&["--max-windows", "4"], "texts 1 tokens_crc32", "", ""),
    ] {
        let blob = corpus.path("model.blob");
        let mut words = vec!["eval", &blob, "--text"];
        words.extend(texts.iter().map(String::as_str));
        words.extend(["--shard", "2/2", "--records", &other]);
        words.extend(more);
        if !more.contains(&"--n-ctx") {
            words.extend(["--n-ctx", "32"]);
        }
        run("eval", 0, &words);
        match own {
            "" => assert!(refused(&[first.clone(), other.clone()]).contains(&format!("its {what} is "))),
            own => differs(what, own, others),
        }
    }
    eval(&[texts[0].clone(), texts[2].clone(), texts[1].clone()], &other, "2/2", &[]);
    differs("texts 2 files 1", &texts[2], &texts[1]);
    eval(&texts[..2], &other, "2/2", &[]);
    differs("number of texts", "2", "3");
    let mut play = fs::read_to_string(&texts[1]).unwrap();
    play.replace_range(10..11, if play.as_bytes()[10] == b'e' { "o" } else { "e" });
    fs::write(&texts[1], play).unwrap();
    eval(&texts, &other, "2/2", &[]);
    assert!(refused(&[first.clone(), other.clone()]).contains("its texts 2 tokens_crc32 is "));
    corpus.convert("model.blob", "q4");
    let value = eval(&texts, &other, "2/2", &[]);
    differs("model_crc32", value["model_crc32"].as_str().unwrap(), whole["model_crc32"].as_str().unwrap());
}

#[test]
fn records_that_are_cut_off_or_altered_are_refused() {
    let corpus = Corpus::new();
    let all = corpus.shards(2, "", &[]);
    let (bytes, bad) = (fs::read(&all[1]).unwrap(), corpus.path("bad.records"));
    let refused_with = |bytes: &[u8]| {
        fs::write(&bad, bytes).unwrap();
        let message = merge(2, &[all[0].clone(), bad.clone()])["error"]["message"].as_str().unwrap().to_owned();
        message.strip_prefix(&format!("{bad}: ")).unwrap_or_else(|| panic!("{message}")).to_owned()
    };
    let header = 1 + bytes.iter().position(|&byte| byte == b'\n').unwrap();
    for length in [header, header + 9, bytes.len() - 4, bytes.len() - 1] {
        let expected = format!("it is cut off after {length} of {} bytes: score shard 2/2 again", bytes.len());
        assert_eq!(refused_with(&bytes[..length]), expected);
    }
    for length in [30, header - 1] {
        let expected = "its header is damaged, the file ends in it: score its shard again";
        assert_eq!(refused_with(&bytes[..length]), expected);
    }
    assert_eq!(refused_with(&[&bytes[..], &[0; 3]].concat()), "3 bytes follow its records: score shard 2/2 again");
    // Whatever bit is altered: a loss, the header, the checksum.
    for at in [header + 5, bytes.len() - 1, header - 30] {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        let message = refused_with(&altered);
        let damaged =
            message.starts_with("it is damaged, its CRC-32 is ") || message.starts_with("its header is damaged, ");
        assert!(damaged && message.ends_with(": score its shard again"), "{at}: {message}");
    }
    let version =
        String::from_utf8_lossy(&bytes[..header]).replacen("\"emberlm_records\":1", "\"emberlm_records\":2", 1);
    let message = refused_with(&[version.as_bytes(), &bytes[header..]].concat());
    assert_eq!(message, "its records are of version 2, and 1 is needed: score its shard with this program");
    assert_eq!(
        refused_with(b"It was the best of times"),
        "it is plain text, and a file of records is needed: `emberlm eval --records` writes one"
    );
    assert!(refused_with(b"\0\x01\xff").starts_with("it is a file of no known kind, and a file of records is needed"));
    // A header that was made up, with the right checksum.
    let forged = |from: &str, to: &str| {
        let line = String::from_utf8_lossy(&bytes[..header]).replacen(from, to, 1);
        let body = [line.as_bytes(), &bytes[header..bytes.len() - 4]].concat();
        let crc = crc32fast::hash(&body).to_le_bytes();
        refused_with(&[&body[..], &crc].concat())
    };
    for (from, to, phrase) in [
        ("\"kv\":\"f32\"", "\"kv\":\"f8\"", "\"f8\" is none of f32, f16, i8"),
        ("\"shard\":2", "\"shard\":3", "there is no shard 3/2"),
        ("\"first_window\":9", "\"first_window\":8", "windows 8 to 17 of 18 are not those of shard 2/2"),
        ("\"kv\"", "\"kv\":\"f32\",\"kv\"", "the key `kv` is there twice"),
    ] {
        let message = forged(from, to);
        assert!(message.starts_with("its header is damaged, ") && message.contains(phrase), "{message}");
    }
}

#[test]
fn shards_and_records_that_make_no_sense_are_refused() {
    let corpus = Corpus::new();
    let (texts, file) = (corpus.texts(), corpus.path("a.records"));
    for (more, phrase) in [
        (["--shard", "0/4", "--records", &file].as_slice(), "shards of 4 are 1/4 to 4/4"),
        (&["--shard", "5/4", "--records", &file], "shards of 4 are 1/4 to 4/4"),
        (&["--shard", "1/0", "--records", &file], "there are no shards of 0"),
        (&["--shard", "2", "--records", &file], "`2` is no shard: write 2/8 for the second of eight"),
        (&["--shard", "1/2"], "--records <FILE>"),
        (&["--force"], "--force is for the file of --records"),
        (&["--records", &texts[1], "--force"], "which is read"),
        (&["--records", &corpus.path("model.blob"), "--force"], "which is read"),
        (&["--records", &corpus.path("books")], "is a folder"),
        (&["--records", "-"], "standard output"),
    ] {
        let error = corpus.eval(2, &texts, more)["error"]["message"].clone();
        assert!(error.as_str().unwrap().contains(phrase), "{more:?}: {error}");
    }
    let model = fixtures::bundled("shakespeare-char");
    let error = run("error", 2, &["eval", model.to_str().unwrap(), "--prompt", "to be", "--records", &file]);
    assert!(error["error"]["message"].as_str().unwrap().starts_with("--records is for blobs: "), "{error}");
    // What holds nothing leaves nothing.
    let nothing = run("eval", 2, &["eval", &corpus.path("model.blob"), "--prompt", "t", "--records", &file]);
    assert_eq!(nothing["error"]["kind"], json!("nothing_to_score"));
    assert!(!Path::new(&file).exists());
    // A file of one's own is not replaced, records are.
    fs::write(&file, "precious").unwrap();
    let error = corpus.eval(2, &texts, &["--records", &file]);
    assert!(error["error"]["message"].as_str().unwrap().contains("exists and is plain text"), "{error}");
    corpus.eval(0, &texts, &["--records", &file, "--force"]);
    corpus.eval(0, &texts, &["--records", &file]);
}

/// The block of that page with these words in it.
fn block(language: &str, words: &str) -> String {
    let blocks = Document::open("docs/corpora.md").blocks(language);
    let mut found = blocks.into_iter().filter(|block| block.contains(words));
    let block = found.next().unwrap_or_else(|| panic!("the page has no block of {language} with {words}"));
    assert_eq!(found.next(), None);
    block
}

/// Runs a script of the page in the corpus' folder, where `emberlm` is the program under test.
fn bash(corpus: &Corpus, script: &str, variables: &[(&str, String)]) -> String {
    let programs = corpus.0.path().join("bin");
    fs::create_dir_all(&programs).unwrap();
    let program = programs.join("emberlm");
    if !program.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_emberlm-under-test"), program).unwrap();
    }
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-e", "-c", script]).current_dir(corpus.0.path()).env("PATH", path);
    let output = command.envs(variables.iter().map(|(name, value)| (name, value))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `eval` prints of the corpus with every default, as the page's examples score it.
fn whole(corpus: &Corpus) -> String {
    bash(corpus, "emberlm eval model.blob --text books/*.txt", &[])
}

#[test]
fn the_readmes_example_of_gnu_parallel_gives_the_unsharded_report() {
    if !Command::new("parallel")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.stdout.starts_with(b"GNU parallel"))
    {
        eprintln!("skipped: GNU parallel is not installed");
        return;
    }
    let corpus = Corpus::new();
    let expected = whole(&corpus);
    let printed = bash(&corpus, &block("sh", "parallel"), &[]);
    assert!(printed.ends_with(&expected), "{printed}\n{expected}");
}

/// Slurm itself is started by `scripts/test-all slurm`.
#[test]
fn the_readmes_array_job_gives_the_unsharded_report() {
    let corpus = Corpus::new();
    let script = block("bash", "#SBATCH");
    let tasks: u32 = script.split_once("--array=1-").unwrap().1.lines().next().unwrap().parse().unwrap();
    for task in 1..=tasks {
        let variables = [("SLURM_ARRAY_TASK_ID", task.to_string()), ("SLURM_CPUS_PER_TASK", "1".into())];
        bash(&corpus, &script, &variables);
    }
    let merge = block("sh", "sbatch");
    let merge = merge.lines().find(|line| line.starts_with("emberlm merge")).unwrap();
    assert_eq!(bash(&corpus, merge, &[]), whole(&corpus));
}
