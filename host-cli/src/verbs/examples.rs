//! What each verb's help ends with: commands as people type them.

/// Each verb's examples, a line each.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "convert",
        "emberlm convert checkpoint -o model.blob
emberlm convert checkpoint -o model.blob --weights q4+head=q8 --calibrate book.txt
emberlm convert checkpoint -o model.blob --weights auto:512K
emberlm convert retelling.safetensors --layout-template -o map.json",
    ),
    (
        "eval",
        "emberlm eval model.blob --text book.txt
emberlm eval checkpoint --text book.txt --convention sliding --stride 64
emberlm eval model.blob --prompt \"To be, or not to be\"",
    ),
    ("merge", "emberlm merge shard-*.records"),
    (
        "surprisal",
        "emberlm surprisal model.blob --text book.txt
emberlm surprisal model.blob --text book.txt --color always | less -R",
    ),
    (
        "generate",
        "emberlm generate model.blob -p \"ROMEO:\" -n 200 -s 1
emberlm generate model.blob -p \"Once upon a time\" --temperature 0 --stats",
    ),
    (
        "verify",
        "emberlm verify checkpoint model.blob --text book.txt
emberlm verify checkpoint model.blob --text book.txt --max-kl 0.01 --min-top1 0.95",
    ),
    ("compare", "emberlm compare checkpoint --weights q8,q4,q4+head=q8 --kv f32,i8 --text book.txt"),
    (
        "report",
        "emberlm report checkpoint q8.blob q4.blob --text book.txt -o report.html
emberlm report checkpoint q4.blob --text book.txt --max-windows 64 --kv i8 -o report.html",
    ),
    (
        "bench",
        "emberlm bench model.blob
emberlm bench model.blob --threads 1 --prompt 128 --generate 64",
    ),
    (
        "device",
        "emberlm device score model.blob --board mps2-an386 --text book.txt --check
emberlm device console model.blob --board mps2-an386",
    ),
    (
        "inspect",
        "emberlm inspect model.blob
emberlm inspect model.blob --rust --core cortex-m33",
    ),
    (
        "plan",
        "emberlm plan model.blob --board all
emberlm plan checkpoint --board pico --fit
emberlm plan model.blob --flash 1M --ram 256K --kv i8",
    ),
    ("pack", "emberlm pack model.blob --board pico -o model.uf2"),
    (
        "page",
        "emberlm page model.blob -o model.html
emberlm page -o index.html",
    ),
    (
        "demo",
        "emberlm demo
emberlm demo --model stories260K --no-board",
    ),
    ("init", "emberlm init --config gpt2-124m"),
    (
        "tokenize",
        "emberlm tokenize \"To be, or not to be\" --tokenizer gpt2
emberlm tokenize --tokenizer checkpoint --decode 1,2,3",
    ),
    ("completions", "emberlm completions bash > ~/.local/share/bash-completion/completions/emberlm"),
    (
        "man",
        "emberlm man > emberlm.1
emberlm man convert > emberlm-convert.1",
    ),
];

/// What a verb's help ends with; nothing of a verb that is not there.
pub fn of(verb: &str) -> Option<String> {
    let (_, lines) = EXAMPLES.iter().find(|(name, _)| *name == verb)?;
    let lines: Vec<String> = lines.lines().map(|line| format!("  {line}\n")).collect();
    Some(format!("Examples:\n{}", lines.concat().trim_end()))
}
