//! Checkpoints of any bytes: the tensors' file, the index of shards, the configuration, the map of names.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use emberlm::checkpoint::init::InitConfig;
use emberlm::checkpoint::name_map::NameMap;
use emberlm::checkpoint::{Checkpoint, Layout, Options};
use emberlm::convert::formats::Formats;
use emberlm::convert::{self, Beside, convert};
use emberlm::ground::files::output::is_blob;
use emberlm::ground::files::{Output, Permit};
use emberlm::reference::Reference;
use emberlm_core::blob::Slot;
use emberlm_core::config::Activations;
use emberlm_core::format::Format;
use safetensors::SafeTensors;
use serde_json::Value;

use super::{blob, folder, parts, write};
use crate::aligned::AlignedBytes;
use crate::family_models::Llama;
use crate::hf_writer;
use crate::llama2c_writer::{self, Version};
use crate::models::{Biases, Spec};

/// The most bytes of tensors that a header may ask for.
const MOST_BYTES: usize = 1 << 20;

/// The model of the files that are not made up.
pub const SPEC: Spec = Spec {
    n_vocab: 9,
    n_ctx: 4,
    n_embd: 4,
    n_head: 2,
    n_layer: 1,
    n_ff: 6,
    biases: Biases { head: true, ..Biases::GPT2 },
    untied: true,
    ..Spec::SMALL
};

/// A sound `model.safetensors` and its `config.json`.
pub struct Sound {
    /// The tensors.
    pub tensors: Vec<u8>,
    /// The same in two files.
    pub shards: [Vec<u8>; 2],
    /// The configuration.
    pub config: Vec<u8>,
}

/// Those of [`SPEC`].
pub static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let folder = folder(&[]);
    hf_writer::write(&SPEC.model(1), folder.path()).expect("a checkpoint that can be written");
    let read = |name| fs::read(folder.path().join(name)).expect("the file that was written");
    let tensors = read("model.safetensors");
    let (first, second) = shard_names(&tensors);
    let parsed = SafeTensors::deserialize(&tensors).expect("a sound file");
    let shards = [first, second].map(|names| {
        let views = names.iter().map(|name| (name, parsed.tensor(name).expect("a tensor of the file")));
        safetensors::serialize(views, None).expect("a file of tensors")
    });
    Sound { shards, config: read("config.json"), tensors }
});

/// Which names lie in which of two shards.
pub fn shard_names(tensors: &[u8]) -> (Vec<String>, Vec<String>) {
    let parsed = SafeTensors::deserialize(tensors).expect("a sound file");
    let mut names: Vec<String> = parsed.names().into_iter().map(str::to_owned).collect();
    names.sort();
    let second = names.split_off(names.len() / 2);
    (names, second)
}

/// A configuration (none where it is empty), a header of tensors, and the tensors' bytes, with zero bytes between them.
///
/// The header's length is put before it, and as many bytes behind it as it asks for, cut off or filled with zeros.
pub fn run(data: &[u8]) -> bool {
    let [config, header, tensors] = parts(data);
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(tensors);
    file.resize(8 + header.len() + bytes_asked_for(header).unwrap_or(tensors.len()), 0);
    let folder = folder(&[("model.safetensors", &file)]);
    if !config.is_empty() {
        write(folder.path(), "config.json", config);
    }
    use_checkpoint(folder.path(), &Options::default())
}

/// Where the last tensor ends, by the header.
fn bytes_asked_for(header: &[u8]) -> Option<usize> {
    let header: Value = serde_json::from_slice(header).ok()?;
    let ends = header.as_object()?.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    ends.max().and_then(|end| usize::try_from(end).ok()).filter(|&end| end <= MOST_BYTES)
}

/// An index of shards, beside two that hold the sound tensors, and one outside their folder.
pub fn run_index(data: &[u8]) -> bool {
    let outside = folder(&[("outside.safetensors", &SOUND.tensors)]);
    let inside = outside.path().join("checkpoint");
    fs::create_dir(&inside).expect("a folder that can be made");
    let files: [(&str, &[u8]); 4] = [
        ("a.safetensors", &SOUND.shards[0]),
        ("b.safetensors", &SOUND.shards[1]),
        ("config.json", &SOUND.config),
        ("model.safetensors.index.json", data),
    ];
    files.iter().for_each(|(name, bytes)| write(&inside, name, bytes));
    use_checkpoint(&inside, &Options::default())
}

/// A `config.json` beside sound tensors, and as what `init` starts from.
pub fn run_config(data: &[u8]) -> bool {
    let folder = folder(&[("model.safetensors", &SOUND.tensors), ("config.json", data)]);
    let inits = InitConfig::read(&folder.path().join("config.json"));
    if let Ok(init) = &inits {
        init.model.validate().expect("what is read can exist");
    }
    use_checkpoint(folder.path(), &Options::default()) || inits.is_ok()
}

/// A map of names for sound tensors.
pub fn run_name_map(data: &[u8]) -> bool {
    let folder = folder(&[("model.safetensors", &SOUND.tensors), ("config.json", &SOUND.config), ("map.json", data)]);
    let layout = Some(Layout::Map(folder.path().join("map.json")));
    let opened = use_checkpoint(folder.path(), &Options { layout, ..Options::default() });
    assert!(!opened || NameMap::parse(data).is_ok());
    opened
}

/// A file of llama2.c, as long as it is.
pub fn run_llama2c(data: &[u8]) -> bool {
    let folder = folder(&[("model.bin", data)]);
    use_checkpoint(&folder.path().join("model.bin"), &Options::default())
}

/// A sound file of llama2.c.
pub fn sound_llama2c(version: Version) -> Vec<u8> {
    let spec =
        Llama { n_vocab: 5, n_embd: 4, n_layer: 1, n_head: 2, n_kv_head: 1, head_dim: 2, n_ff: 6, ..Llama::SMALL };
    llama2c_writer::write(&mut spec.model(1), version, 4)
}

/// Opens a checkpoint, reads every tensor, and scores a window; converts it to a blob that has to hold against all that
/// opened ones do, where core computes it.
fn use_checkpoint(path: &Path, options: &Options) -> bool {
    let Ok(checkpoint) = Checkpoint::open(path, options) else { return false };
    let architecture = checkpoint.architecture();
    for slot in architecture.slots() {
        let Some(tensor) = checkpoint.tensor(slot) else { continue };
        assert_eq!((tensor.rows, tensor.cols), architecture.shape(slot), "{slot}");
        assert_eq!(tensor.data.len(), tensor.rows * tensor.cols, "{slot}");
        assert!(tensor.data.iter().all(|weight| weight.is_finite()), "{slot}");
    }
    let tokens: Vec<u32> = (0..architecture.n_ctx.min(5) + 1).map(|i| i % architecture.n_vocab).collect();
    let reference = Reference::new(&checkpoint);
    let (scored, mut n) = (reference.nll(&tokens, 0, |nll| assert!(nll.is_finite())), 0);
    if scored.is_ok() {
        reference.nll(&tokens, 0, |_| n += 1).expect("what was scored once is scored again");
        assert_eq!(n, tokens.len() - 1);
    }
    let config = *checkpoint.config();
    config.validate().expect("what is opened can exist");
    for slot in Slot::all(&config) {
        let Some(tensor) = checkpoint.tensor(slot) else { continue };
        let (rows, cols) = slot.shape(&config);
        assert_eq!((tensor.rows, tensor.cols), (rows as usize, cols as usize), "{slot}");
    }
    let formats = Formats::uniform(&config, Format::Q8);
    let options = convert::Options { formats, windows: None, beside: Beside::nothing(Activations::I16) };
    let folder = if path.is_dir() { path } else { path.parent().expect("a file lies in a folder") };
    let file = folder.join("model.blob");
    let output = Output::begin(&file, &Permit::default(), is_blob).expect("a folder to write to");
    if convert(&checkpoint, &options, output, |_| ()).is_ok() {
        let blob = AlignedBytes::new(&fs::read(&file).expect("the blob that was written"));
        blob::walk(&blob);
        blob::use_blob(&blob, [usize::MAX; 2]);
    }
    true
}
