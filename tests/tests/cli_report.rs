//! `emberlm report`, and the page of `emberlm compare`: what they find out, what they draw, and that both are the same.

mod browser;
mod common;
mod page;

use std::collections::HashSet;
use std::fs;

use browser::Browser;
use common::{command, run};
use emberlm::report::figures;
use emberlm_tests::models::{Biases, Spec};
use emberlm_tests::oracle::Model;
use emberlm_tests::quantised::Storage;
use emberlm_tests::{blob_writer, fixtures, hf_writer};
use page::Page;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A checkpoint, and what is made of it.
struct Case {
    folder: TempDir,
    checkpoint: String,
}

impl Case {
    fn bundled(name: &str) -> Self {
        let checkpoint = fixtures::bundled(name).to_str().unwrap().to_owned();
        Self { folder: tempfile::tempdir().unwrap(), checkpoint }
    }

    /// A random model, with a tokenizer of those characters.
    fn random(model: &Model, chars: &[char]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("model <i>&amp;\u{202e}");
        fs::create_dir(&checkpoint).unwrap();
        hf_writer::write(model, &checkpoint).unwrap();
        fs::write(checkpoint.join("chars.json"), serde_json::to_string(chars).unwrap()).unwrap();
        let checkpoint = checkpoint.to_str().unwrap().to_owned();
        Self { folder, checkpoint }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn blob(&self, name: &str, weights: &str, more: &[&str]) -> String {
        let blob = self.at(name);
        run("convert", 0, &[&["convert", &self.checkpoint, "-o", &blob, "--weights", weights], more].concat());
        blob
    }

    /// What the verb says, and its page.
    fn report(&self, blobs: &[&str], more: &[&str]) -> (Value, Page) {
        let to = self.at("report.html");
        let args = [&["report", &self.checkpoint], blobs, &["-o", &to], more].concat();
        let value = run("report", 0, &args);
        assert_eq!(value["report"], json!(to));
        (value, Page::parse(&fs::read_to_string(to).unwrap()))
    }
}

/// The first `n` bytes of the bundled play.
fn play(n: usize) -> String {
    fixtures::as_you_like_it()[..n].to_owned()
}

/// Every number in `value`, with where it is.
fn numbers(value: &Value, at: &str) -> Vec<(String, serde_json::Number)> {
    match value {
        Value::Number(number) => vec![(at.to_owned(), number.clone())],
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(i, it)| numbers(it, &format!("{at}[{i}]"))).collect()
        }
        Value::Object(keys) => keys.iter().flat_map(|(key, it)| numbers(it, &format!("{at}.{key}"))).collect(),
        _ => Vec::new(),
    }
}

/// Every number of the JSON stands on the page, with all of its digits, and as the one function prints it.
fn check_numbers(value: &Value, page: &Page) -> usize {
    // As JSON is read: to the last digit but one.
    let read = |number: f64| serde_json::from_str::<f64>(&serde_json::to_string(&number).unwrap()).unwrap();
    let shown: HashSet<(u64, &str)> = page.numbers().map(|(number, text)| (read(number).to_bits(), text)).collect();
    let all = numbers(value, "");
    for (at, number) in &all {
        let exact = number.as_f64().unwrap();
        let text = number.as_u64().map_or_else(|| figures::figure(exact), figures::count);
        assert!(shown.contains(&(exact.to_bits(), &*text)), "{at}: {number}");
    }
    all.len()
}

/// The cells of the row of that name in the first table.
fn row<'p>(page: &'p Page, name: &str) -> Vec<&'p str> {
    let from =
        page.elements.iter().position(|it| it.name == "th" && it.text == name).unwrap_or_else(|| panic!("{name}"));
    let cells = page.elements[from + 1..].iter().take_while(|it| it.name != "tr").filter(|it| it.name == "td");
    cells.map(|cell| cell.text.as_str()).collect()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn a_report_says_what_the_other_verbs_say() {
    for name in ["shakespeare-char", "shakespeare-bpe512"] {
        let (case, text) = (Case::bundled(name), play(700));
        let nearest = ["--calibrate", "none"];
        let (q8, q4) = (case.blob("q8.blob", "q8", &nearest), case.blob("q4.blob", "q4+embeddings=q8", &nearest));
        let with = ["--prompt", &text, "--kv", "f16"];
        let (value, page) = case.report(&[&q8, &q4], &with);
        assert!(check_numbers(&value, &page) > 2000);

        let verified = &[
            ["verify", &case.checkpoint, &q8, &q4].as_slice(),
            &with,
            &["--max-kl", "1", "--min-top1", "0", "--max-delta-nll", "1"],
        ]
        .concat();
        let verified = run("verify", 0, verified);
        for key in ["tokens_scored", "bos", "kv"] {
            assert_eq!(value[key], verified[key], "{key}");
        }
        for (index, blob) in [&q8, &q4].into_iter().enumerate() {
            let (of, verified) = (&value["blobs"][index], &verified["results"][index]);
            for key in ["blob", "bytes", "bits_per_weight"] {
                assert_eq!(of[key], verified[key], "{key}");
            }
            let divergence =
                ["delta_nll", "delta_nll_stderr", "kl_mean", "kl_p99", "kl_max", "top1_agreement", "max_logit_error"];
            for key in divergence {
                assert_eq!(of["divergence"][key], verified[key], "{key}");
            }
            assert_eq!(value["reference"]["loss"], verified["loss_checkpoint"]);
            assert_eq!(of["evaluation"]["loss"], verified["loss_blob"]);
            let mut evaluated = run("eval", 0, &[["eval", blob].as_slice(), &with].concat());
            evaluated.as_object_mut().unwrap().remove("texts");
            assert_eq!(of["evaluation"], evaluated);

            let surprisal = run("surprisal", 0, &[["surprisal", blob].as_slice(), &with].concat());
            let tokens = value["passage"]["tokens"].as_array().unwrap();
            assert_eq!(tokens.len(), 384.min(surprisal["rows"][0]["tokens"].as_array().unwrap().len()));
            for (token, other) in tokens.iter().zip(surprisal["rows"][0]["tokens"].as_array().unwrap()) {
                assert_eq!(
                    [&token["id"], &token["text"], &token["bits"][index]],
                    [&other["id"], &other["text"], &other["bits"]]
                );
            }

            let planned = run("plan", 0, &["plan", blob, "--board", "all", "--kv", "f16"]);
            for (board, plan) in value["boards"].as_array().unwrap().iter().zip(planned["boards"].as_array().unwrap()) {
                assert_eq!(
                    ["board", "core", "max_n_ctx"].map(|key| &board[key]),
                    ["board", "core", "max_n_ctx"].map(|key| &plan[key])
                );
                assert_eq!(
                    [&board["ram"]["need"], &board["ram"]["have"]],
                    [&plan["ram"]["need"], &plan["ram"]["have"]]
                );
                let flash = &board["flash"][index];
                assert_eq!([&flash["need"], &flash["have"]], [&plan["flash"]["need"], &plan["flash"]["have"]]);
                assert_eq!(flash["fits"] == true && board["ram"]["fits"] == true, plan["fits"] == true);
            }
        }
        let reference = run("eval", 0, &["eval", &case.checkpoint, "--prompt", &text]);
        for key in ["loss", "perplexity", "bits_per_byte", "loss_stderr"] {
            let (own, other) = (number(&value["reference"], key), number(&reference, key));
            assert!((own - other).abs() < 1e-6 * other, "{key}: {own} {other}");
        }

        // The figures stand where they belong.
        let of_blobs =
            |key: &str| [0, 1].map(|index| figures::figure(number(&value["blobs"][index]["divergence"], key)));
        let [of_q8, of_q4] = of_blobs("kl_mean");
        assert_eq!(row(&page, "KL divergence, mean, nats"), ["–", &of_q8, &of_q4]);
        let [of_q8, of_q4] = [0, 1].map(|index| value["blobs"][index]["evaluation"]["nll_bits"].as_str().unwrap());
        assert_eq!(row(&page, "nll bits"), ["–", of_q8, of_q4]);
        assert_eq!(row(&page, "loss, nats a token")[0], figures::figure(number(&value["reference"], "loss")));
        assert_eq!(row(&page, "formats of matrices"), ["float", "q8", "q4, q8"]);
    }
}

#[test]
fn divergences_are_told_by_size_place_and_target() {
    let (case, text) = (Case::bundled("shakespeare-char"), play(900));
    let (q8, q3) =
        (case.blob("q8.blob", "q8", &["--calibrate", "none"]), case.blob("q3.blob", "q3", &["--calibrate", "none"]));
    let (value, page) = case.report(&[&q8, &q3], &["--prompt", &text]);
    let scored = value["tokens_scored"].as_u64().unwrap();
    let sum = |items: &Value, of: &dyn Fn(&Value) -> f64| items.as_array().unwrap().iter().map(of).sum::<f64>();
    for blob in [0, 1] {
        let divergence = &value["blobs"][blob]["divergence"];
        let kl_mean = number(divergence, "kl_mean");
        assert_eq!(sum(&value["divergences"], &|bin| bin["counts"][blob].as_f64().unwrap()), scored as f64);
        let weighted =
            |key: &'static str| move |span: &Value| span[key][blob].as_f64().unwrap() * number(span, "tokens");
        let of_positions = sum(&value["positions"], &weighted("kl_means")) / scored as f64;
        assert!((of_positions - kl_mean).abs() < 1e-9 * kl_mean, "{of_positions} {kl_mean}");
        let loss = sum(&value["positions"], &weighted("losses")) / scored as f64;
        assert!((loss - number(&value["blobs"][blob]["evaluation"], "loss")).abs() < 1e-12);
        let percentiles: Vec<f64> =
            ["kl_p50", "kl_p90", "kl_p99", "kl_max"].map(|key| number(divergence, key)).to_vec();
        assert!(percentiles.is_sorted() && percentiles[0] > 0.0, "{percentiles:?}");
        let worst = value["blobs"][blob]["worst"].as_array().unwrap();
        assert_eq!((worst.len(), &worst[0]["kl"]), (10, &divergence["kl_max"]));
        for target in worst {
            let at = target["token"].as_u64().unwrap() as usize;
            let (before, after) = (target["before"].as_str().unwrap(), target["after"].as_str().unwrap());
            let quoted = format!("{before}{}{after}", target["text"].as_str().unwrap());
            assert_eq!(&text[at - before.len()..at + 1 + after.len()], quoted);
        }
        let tokens = value["passage"]["tokens"].as_array().unwrap();
        for target in worst.iter().filter(|target| target["token"].as_u64().unwrap() < tokens.len() as u64) {
            assert_eq!(tokens[target["token"].as_u64().unwrap() as usize]["kl"][blob], target["kl"]);
        }
    }
    assert_eq!(page.all("mark").count(), 20);
    assert_eq!(page.all("span").filter(|it| it.attribute("title").is_some()).count(), 3 * 384);
}

/// What is not rounded costs nothing, and what is does.
#[test]
fn errors_arise_where_weights_are_rounded() {
    let (case, text) = (Case::bundled("shakespeare-char"), play(300));
    let blob = case.blob("mixed.blob", "f32+embeddings=q4", &["--activations", "f32", "--calibrate", "none"]);
    let (value, _) = case.report(&[&blob], &["--prompt", &text]);
    let (of, kl_mean) = (&value["blobs"][0], number(&value["blobs"][0]["divergence"], "kl_mean"));
    let stages = of["stages"]["stages"].as_array().unwrap();
    let names: Vec<&str> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(names, ["embedding", "layer 0", "layer 1", "layer 2", "layer 3", "final norm", "head"]);
    let alone: Vec<f64> = stages.iter().map(|stage| number(stage, "kl_alone")).collect();
    // The head is tied: the embedding's weights are its own.
    assert!(alone[0] > 1e-4 && alone[6] > 1e-4 && alone[1..6].iter().all(|&kl| kl < 1e-12), "{alone:?}");
    // All weights, over the same positions, are what the blob lost: nothing else was rounded.
    assert_eq!(of["stages"]["positions"], value["tokens_scored"]);
    assert!((number(&of["stages"], "kl_all") / kl_mean - 1.0).abs() < 1e-3, "{} {kl_mean}", of["stages"]["kl_all"]);
    assert!(stages[0]["stream_error"].as_f64().unwrap() > 1e-3 && stages[6]["stream_error"].is_null());
    for tensor in of["tensors"].as_array().unwrap() {
        let is_rounded = tensor["format"] == "q4";
        assert_eq!(tensor["change"], if is_rounded { "rounded" } else { "kept" }, "{tensor}");
        assert_eq!(number(tensor, "relative_error") > 0.0, is_rounded, "{tensor}");
    }

    let case = Case::random(&Spec { n_vocab: 97, ..Spec::SMALL }.model(5), &chars());
    let blob = case.at("q4.blob");
    let converted = run("convert", 0, &["convert", &case.checkpoint, "-o", &blob, "--weights", "q4"]);
    let (value, _) = case.report(&[&blob], &["--prompt", "(+) A B C"]);
    let changes: HashSet<&str> = value["blobs"][0]["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tensor| tensor["change"].as_str().unwrap())
        .collect();
    assert_eq!(changes, HashSet::from(["rounded", "adjusted", "kept"]), "calibration moves biases");
    for (own, other) in
        value["blobs"][0]["tensors"].as_array().unwrap().iter().zip(converted["tensors"].as_array().unwrap())
    {
        for key in ["name", "format", "bytes"] {
            assert_eq!(own[key], other[key]);
        }
        for key in ["relative_error", "rms_error", "max_error"] {
            let (own, other) = (number(own, key), number(other, key));
            assert!((own - other).abs() <= 1e-6 * other, "{key}: {own} {other}");
        }
    }
}

/// Ninety-seven characters, among them those that mean something in HTML, act, or hide.
fn chars() -> Vec<char> {
    let mut chars: Vec<char> =
        "<>&\"'/=`\n\t\r\u{7}\u{1b}\u{85}\u{202e}\u{2066}\u{200f}\u{200b}\u{feff}\u{a0}é日".chars().collect();
    chars.extend((' '..='~').filter(|c| !"<>&\"'/=`".contains(*c)).take(97 - chars.len()));
    assert_eq!(chars.len(), 97);
    chars
}

fn one_layer() -> Model {
    Spec { n_vocab: 97, n_layer: 1, biases: Biases::NONE, untied: true, ..Spec::SMALL }.model(3)
}

#[test]
fn hostile_tokens_and_names_are_text() {
    let case = Case::random(&one_layer(), &chars());
    let blob = case.blob("<b onclick=\"x\">\u{202e}&lt;.blob", "q4", &["--calibrate", "none"]);
    let evil = "<ib>&amp;\"'=`\n\t\r\u{7}\u{1b}\u{85}\u{202e}\u{2066}\u{200f}\u{200b}\u{feff}é日 </b> -->]]>";
    let text: String = evil.chars().filter(|c| chars().contains(c)).collect();
    let file = case.at("<i>\u{202e}.txt");
    fs::write(&file, &text).unwrap();
    let (value, page) = case.report(&[&blob], &["--text", &file]);
    check_numbers(&value, &page);
    assert!(page.all("b").chain(page.all("i")).next().is_none());
    let words = page.text();
    for shown in ["<b onclick=\"x\">\\u{202e}&lt;", "model <i>&amp;\\u{202e}", "\\u{1b}", "\\u{2066}", "\\u{200b}", "⏎"]
    {
        assert!(words.contains(shown), "{shown}");
    }
    let titles: Vec<&str> = page.all("span").filter_map(|span| span.attribute("title")).collect();
    assert_eq!(titles.len(), 2 * text.chars().count());
    assert!(titles.iter().any(|title| title.starts_with("“<”: checkpoint ")), "{titles:?}");
    assert!(titles.iter().any(|title| title.starts_with("“\\u{202e}”: ")), "{titles:?}");
}

#[test]
fn odd_shapes() {
    let case = Case::random(&one_layer(), &chars());
    let (q8, f32) = (case.blob("q8.blob", "q8", &["--calibrate", "none"]), case.blob("f32.blob", "f32", &[]));
    // One target; fewer than the context holds; more than one window, of each convention.
    let long = "A B C ".repeat(9);
    for (text, scored, more) in [
        ("()", 1, [].as_slice()),
        ("(+)", 2, &[]),
        (&long, 53, &["--n-ctx", "7"]),
        (&long, 53, &["--convention", "sliding", "--stride", "5", "--n-ctx", "9"]),
        (&long, 21, &["--convention", "llamacpp", "--passage", "5"]),
        (&long, 32, &["--max-windows", "2", "--threads", "1"]),
    ] {
        let (value, page) = case.report(&[&q8, &f32], &[&["--prompt", text], more].concat());
        check_numbers(&value, &page);
        assert_eq!(value["tokens_scored"], json!(scored), "{more:?}");
        assert_eq!(value["blobs"][0]["divergence"]["delta_nll_stderr"].is_null(), scored == 1);
        assert_eq!(value["blobs"][0]["worst"].as_array().unwrap().len(), scored.min(10));
        let tokens: f64 = value["positions"].as_array().unwrap().iter().map(|span| number(span, "tokens")).sum();
        assert_eq!(tokens, f64::from(scored as u32));
        // Where a number is not known, it says so.
        assert_eq!(page.text().contains("unknown"), scored == 1, "{more:?}");
    }
    // Ids without a tokenizer, in rows of their own.
    let ids = case.at("ids.json");
    fs::write(&ids, "[[1], [2, 3, 4], [96, 0]]").unwrap();
    fs::remove_file(format!("{}/chars.json", case.checkpoint)).unwrap();
    let bare = case.blob("bare.blob", "q8", &["--no-tokenizer", "--calibrate", "none"]);
    let (value, page) = case.report(&[&bare], &["--tokens", &ids]);
    check_numbers(&value, &page);
    assert_eq!((&value["tokens_scored"], &value["passage"]["name"]), (&json!(3), &json!("row 1")));
    assert_eq!(value["passage"]["tokens"][1]["text"], Value::Null);
    assert_eq!(value["reference"]["bits_per_byte"], Value::Null);
}

#[test]
fn what_is_no_number_is_drawn_as_none() {
    // So sure of what is wrong that the perplexity is beyond any number.
    let mut model = one_layer();
    model.lm_head.as_mut().unwrap().iter_mut().flatten().for_each(|weight| *weight *= 1e5);
    let case = Case::random(&model, &chars());
    let blob = case.blob("sure.blob", "f32", &[]);
    let (value, page) = case.report(&[&blob], &["--prompt", "(+) A B C"]);
    check_numbers(&value, &page);
    assert_eq!([&value["reference"]["perplexity"], &value["blobs"][0]["evaluation"]["perplexity"]], [&Value::Null; 2]);
    assert_eq!(row(&page, "perplexity"), ["unknown", "unknown"]);

    // A blob, then a checkpoint, without a loss: no page.
    let sane = Case::random(&one_layer(), &chars());
    let (page, blob) = (sane.at("never.html"), sane.at("nan.blob"));
    let mut broken = one_layer();
    broken.ln_f.weight.as_mut().unwrap()[3] = f64::NAN;
    fs::write(&blob, &*blob_writer::write(&broken, Storage::Q8, &[])).unwrap();
    let q8 = sane.blob("q8.blob", "q8", &["--calibrate", "none"]);
    let refused = |blob: &str| {
        let args = ["report", &sane.checkpoint, blob, "--prompt", "(+) A B C", "-o", &page];
        let error = run("error", 2, &args)["error"].clone();
        assert_eq!(error["kind"], "no_loss", "{error}");
        assert!(!fs::exists(&page).unwrap());
    };
    refused(&blob);
    let mut broken = one_layer();
    broken.lm_head.as_mut().unwrap().iter_mut().flatten().for_each(|weight| *weight *= 1e38);
    hf_writer::write(&broken, sane.checkpoint.as_ref()).unwrap();
    refused(&q8);
}

#[test]
fn nothing_to_score_leaves_no_page() {
    let case = Case::random(&one_layer(), &chars());
    let blob = case.blob("q8.blob", "q8", &["--calibrate", "none"]);
    let value = run("report", 2, &["report", &case.checkpoint, &blob, "--prompt", "A", "-o", &case.at("never.html")]);
    assert_eq!((&value["error"]["kind"], &value["passage"]), (&json!("nothing_to_score"), &Value::Null));
    assert_eq!(value["blobs"][0]["divergence"]["kl_mean"], Value::Null);
    assert!(!fs::exists(case.at("never.html")).unwrap());
}

#[test]
fn nothing_of_the_users_is_lost() {
    let case = Case::random(&one_layer(), &chars());
    let blob = case.blob("q8.blob", "q8", &["--calibrate", "none"]);
    let text = case.at("text.txt");
    fs::write(&text, "A B C").unwrap();
    let report = |to: &str, more: &[&str]| {
        let args = ["report", &case.checkpoint, &blob, "--text", &text, "-o", to, "--json"];
        let output = command().args(args).args(more).output().unwrap();
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        value["error"]["message"].as_str().map(str::to_owned)
    };
    let refused = |to: &str, more: &[&str], phrase: &str| {
        let before = fs::read(to).ok();
        let message = report(to, more).expect(phrase);
        assert!(message.contains(phrase), "{message}");
        assert_eq!(fs::read(to).ok(), before);
    };
    for input in [&blob, &text, &format!("{}/config.json", case.checkpoint), &format!("{}/chars.json", case.checkpoint)]
    {
        refused(input, &["--force"], "which is read");
    }
    refused("-", &[], "standard output");
    refused(&case.at("no/such.html"), &["--force"], "there is no folder");
    let other = case.at("index.html");
    fs::write(&other, "<!DOCTYPE html><title>mine</title>").unwrap();
    refused(&other, &[], "--force");
    assert_eq!(report(&other, &["--force"]), None);
    // Its own page is replaced by the next one.
    let before = fs::read(&other).unwrap();
    assert_eq!(report(&other, &["--kv", "i8"]), None);
    assert_ne!(fs::read(&other).unwrap(), before);
    let error = run("error", 2, &["compare", &case.checkpoint, "--prompt", "A B", "--force"])["error"].clone();
    assert_eq!(error["message"], "--force is for the file of --html");
}

#[test]
fn a_cut_vocabulary_is_named() {
    let case = Case::bundled("shakespeare-bpe512");
    let text = case.at("text.txt");
    fs::write(&text, play(600)).unwrap();
    let blob = case.blob("cut.blob", "q8", &["--calibrate", "none", "--prune-vocab", &text, "--keep", "400"]);
    let (value, page) = case.report(&[&blob], &["--text", &text]);
    check_numbers(&value, &page);
    assert_eq!(value["pruned"], json!({"from": 512, "to": 400}));
    assert!(
        page.text()
            .contains("pruned from 512 to 400 tokens; the checkpoint's softmax is renormalised over the kept tokens")
    );
    let verified = run("verify", 0, &["verify", &case.checkpoint, &blob, "--text", &text, "--min-top1", "0"]);
    assert_eq!(value["blobs"][0]["divergence"]["kl_mean"], verified["results"][0]["kl_mean"]);
}

#[test]
fn compare_draws_the_same_chart() {
    let (case, text) = (Case::bundled("shakespeare-char"), play(300));
    let to = case.at("compare.html");
    let args = ["compare", &case.checkpoint, "--weights", "q8,q4,f32", "--kv", "f32,i8", "--calibrate", "none"];
    let value = run("compare", 0, &[&args, ["--prompt", &text, "--html", &to].as_slice()].concat());
    let page = Page::parse(&fs::read_to_string(&to).unwrap());
    let rows = value["results"].as_array().unwrap();
    assert_eq!((page.all("circle").count(), rows.len()), (6, 6));
    let titles: Vec<&str> = page.all("title").skip(1).map(|title| title.text.as_str()).collect();
    for (row, title) in rows.iter().zip(titles) {
        let (bits, kl) = (figures::figure(number(row, "bits_per_weight")), figures::figure(number(row, "kl_mean")));
        let (weights, kv) = (row["weights"].as_str().unwrap(), row["kv"].as_str().unwrap());
        assert_eq!(title, format!("{weights} {kv}: {bits} bits a weight, {kl} nats"));
    }
    let table = String::from_utf8(command().args(args).args(["--prompt", &text]).output().unwrap().stdout).unwrap();
    let cells: Vec<&str> = page.all("td").chain(page.all("th")).map(|cell| cell.text.as_str()).collect();
    for word in table.lines().skip(2).flat_map(str::split_whitespace) {
        assert!(cells.contains(&word), "{word}");
    }
    // What `report` says of the blob of the first row.
    let blob = case.blob("q8.blob", "q8", &["--calibrate", "none"]);
    let (report, page) = case.report(&[&blob], &["--prompt", &text]);
    assert_eq!(report["blobs"][0]["divergence"]["kl_mean"], rows[0]["kl_mean"]);
    let kl = figures::figure(number(&rows[0], "kl_mean"));
    let bits = figures::figure(number(&rows[0], "bits_per_weight"));
    assert!(page.all("title").any(|title| title.text == format!("q8: {bits} bits a weight, {kl} nats")));
}

#[test]
fn people_are_told_where_the_page_is() {
    let (case, text) = (Case::bundled("shakespeare-char"), play(200));
    let blob = case.blob("q8.blob", "q8", &["--calibrate", "none"]);
    let to = case.at("report.html");
    let args = ["report", &case.checkpoint, &blob, "--prompt", &text, "-o", &to];
    let output = command().args(args).assert().success().get_output().stdout.clone();
    let said = String::from_utf8(output).unwrap();
    assert!(said.starts_with("199 tokens scored, 1 skipped; disjoint, n_ctx 128") && said.contains("\nq8 "), "{said}");
    assert!(said.ends_with(&format!("the page is {to}\n")), "{said}");
}

/// Light and dark, on a desk and on a phone; with `EMBERLM_PICTURES` pictures are left in that folder.
#[test]
fn in_chromium_a_report_fits_its_page() {
    let Some(browser) = Browser::find() else {
        eprintln!("skipped: Chromium is not installed");
        return;
    };
    let (case, text, nearest) = (Case::bundled("shakespeare-char"), play(1500), ["--calibrate", "none"]);
    let (q8, q4) = (case.blob("q8.blob", "q8", &nearest), case.blob("q4.blob", "q4", &nearest));
    let (_, page) = case.report(&[&q8, &q4], &["--prompt", &text]);
    let file = case.folder.path().join("report.html");
    let mut backgrounds = HashSet::new();
    for dark in [false, true] {
        for width in [390, 1280] {
            let seen = browser.measure(&file, width, dark);
            assert_eq!(seen["frame"], json!(width));
            assert!(number(&seen, "wide") <= f64::from(width), "{seen}");
            assert_eq!((&seen["numbers"], &seen["broken"]), (&json!(page.numbers().count()), &json!(0)), "{seen}");
            backgrounds.insert(seen["background"].as_str().unwrap().to_owned());
            if let Some(to) = std::env::var_os("EMBERLM_PICTURES") {
                let picture = browser.picture(&file, (width, 9000), dark);
                fs::copy(&picture, std::path::Path::new(&to).join(picture.file_name().unwrap())).unwrap();
            }
        }
    }
    assert_eq!(backgrounds.len(), 2, "{backgrounds:?}");
}
