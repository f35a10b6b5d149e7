//! Randomly initialised checkpoints: PyTorch's default initialisation, the starting point of a training run.
//!
//! Embeddings are N(0, 1), matrices and their biases uniform within `1 / sqrt(fan_in)`, layer norms 1 and 0. The
//! checkpoint is a folder with `config.json` and `model.safetensors` (f32) in the names of its family, GPT-2's in those of the
//! from-scratch layout; the same bytes for a seed on every machine.

mod config;
mod random;

pub use config::InitConfig;

use crate::checkpoint::CheckpointError;
use crate::checkpoint::architecture::Architecture;
use crate::checkpoint::family::Family;
use crate::ground::files::mapped;
use crate::ground::files::output::{self, Output, OutputError, Permit};
use crate::ground::files::read::{self, MOST_OF_CONFIG};
use crate::ground::shown;
use crate::ground::signals;
use emberlm_core::blob::{LayerSlot, Presence, Slot};
use random::{Distribution, Draws};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Elements drawn before they are written: 4 MiB.
const BUFFER: usize = 1 << 20;

/// The most bytes of a safetensors header that is read anywhere.
const MOST_OF_HEADER: usize = 100_000_000;

/// Why no checkpoint was written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InitError {
    /// The configuration is no model's.
    #[error(transparent)]
    Config(#[from] CheckpointError),
    /// The folder or a file could not be written.
    #[error("{}: {source}", shown::path(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file may not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The folder has other things in it.
    #[error(
        "{}: the folder has `{}` in it: name another folder, or write into this one with --force",
        shown::path(path),
        shown::value(found)
    )]
    Taken {
        /// The folder.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// The tensors exceed what a safetensors header can describe.
    #[error("the checkpoint is too large: {0}")]
    TooLarge(#[from] safetensors::SafeTensorError),
}

/// A tensor to be written.
struct Planned {
    name: String,
    shape: Vec<usize>,
    distribution: Distribution,
}

impl Planned {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Writes a checkpoint into `folder`, which is created where it is missing.
///
/// Tensors are drawn and written 4 MiB at a time. `progress` is told of the bytes written and of all bytes. Both files
/// appear whole at the end, the tensors last, or not at all. They replace those of another initialised checkpoint, and
/// what `permit` says.
///
/// # Errors
/// The configuration is invalid, the folder has something else in it, or the files cannot be written.
pub fn write(
    config: &InitConfig,
    seed: u64,
    folder: &Path,
    permit: &Permit,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), InitError> {
    config.model.validate().map_err(CheckpointError::from)?;
    // Each of a block's tensors takes more than 64 bytes of the header, which ends the count before memory does.
    if config.model.n_layer as usize > MOST_OF_HEADER / (64 * LayerSlot::ALL.len()) {
        return Err(safetensors::SafeTensorError::HeaderTooLarge.into());
    }
    let planned = plan(config);
    let header = header(&planned)?;
    if header.len() > MOST_OF_HEADER {
        return Err(safetensors::SafeTensorError::HeaderTooLarge.into());
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| InitError::Io { path, source }
    };
    let (config_path, model_path) = (folder.join(CONFIG), folder.join(MODEL));
    let made = NewFolders::make(folder).map_err(at(folder))?;
    if !permit.force
        && let Some(found) = stranger(folder).map_err(at(folder))?
    {
        return Err(InitError::Taken { path: folder.to_owned(), found });
    }
    output::check(&config_path, permit, is_our_config)?;
    let mut model = Output::begin(&model_path, permit, is_our_model)?;
    let total = header.len() as u64 + planned.iter().map(|tensor| 4 * tensor.len() as u64).sum::<u64>();
    let mut written = 0;
    let mut put = |bytes: &[u8]| {
        model.file().write_all(bytes).map_err(at(&model_path))?;
        written += bytes.len() as u64;
        progress(written, total);
        Ok::<(), InitError>(())
    };
    put(&header)?;
    let draws = Draws::new(seed);
    let mut buffer = vec![[0; 4]; BUFFER];
    let mut first = 0;
    for tensor in &planned {
        for start in (0..tensor.len()).step_by(BUFFER) {
            let elements = &mut buffer[..BUFFER.min(tensor.len() - start)];
            draws.fill(first + start as u64, tensor.distribution, elements);
            put(elements.as_flattened())?;
        }
        first += (tensor.len() as u64).next_multiple_of(2);
    }
    let mut config_file = Output::begin(&config_path, permit, is_our_config)?;
    config_file.file().write_all(text(config).as_bytes()).map_err(at(&config_path))?;
    // A folder without tensors is no checkpoint yet.
    config_file.finish()?;
    model.finish()?;
    made.keep();
    Ok(())
}

const CONFIG: &str = "config.json";
const MODEL: &str = "model.safetensors";

/// What the header of an initialised checkpoint says of it, until somebody else writes the tensors anew.
const ORIGIN: (&str, &str) = ("created_by", "emberlm init");

/// The text of `config.json`.
fn text(config: &InitConfig) -> String {
    format!("{:#}\n", config.to_json())
}

/// Whether a file is an initialised checkpoint's config.
fn is_our_config(path: &Path) -> bool {
    let Ok(found) = read::text(path, MOST_OF_CONFIG) else { return false };
    let named = InitConfig::names().filter_map(InitConfig::named).any(|config| found == text(&config));
    named || InitConfig::read(path).is_ok_and(|config| found == text(&config))
}

/// Whether a file holds an initialised checkpoint's tensors.
fn is_our_model(path: &Path) -> bool {
    let says = |map: &[u8]| {
        let (_, metadata) = safetensors::SafeTensors::read_metadata(map).ok()?;
        Some(metadata.metadata().as_ref()?.get(ORIGIN.0)? == ORIGIN.1)
    };
    mapped::map(path).is_ok_and(|map| says(&map) == Some(true))
}

/// Something in the folder that is no part of what is written to it.
fn stranger(folder: &Path) -> std::io::Result<Option<String>> {
    let names = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<std::io::Result<Vec<_>>>()?;
    Ok(names.into_iter().find(|name| name != CONFIG && name != MODEL && !name.ends_with(".emberlm-part")))
}

/// Folders that were made for a file, and go again if they stay empty.
struct NewFolders {
    _guard: signals::Guard,
    folders: Vec<PathBuf>,
}

impl NewFolders {
    /// Makes the folder at `path` and those above it that are missing.
    fn make(path: &Path) -> std::io::Result<Self> {
        let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !read::is_there(folder);
        let folders: Vec<PathBuf> = path.ancestors().take_while(missing).map(Path::to_owned).collect();
        let (folders, _guard) = signals::guarded(|| {
            std::fs::create_dir_all(path)?;
            let made = folders.clone();
            let undo: signals::Undo = Box::new(move || Self::remove(&made));
            Ok::<_, std::io::Error>((folders, undo))
        })?;
        Ok(Self { _guard, folders })
    }

    fn keep(mut self) {
        self.folders.clear();
    }

    fn remove(folders: &[PathBuf]) {
        // One that somebody has put something into stays.
        let _ = folders.iter().try_for_each(std::fs::remove_dir);
    }
}

impl Drop for NewFolders {
    fn drop(&mut self) {
        Self::remove(&self.folders);
    }
}

/// Every tensor in the order in which it is written.
fn plan(config: &InitConfig) -> Vec<Planned> {
    let (layout, prefix) = config.layout();
    let map = layout.name_map().expect("the built-in maps are tested");
    let architecture = Architecture { config: config.model, frequencies: Vec::new(), tied: config.tied };
    let mut planned = Vec::new();
    for slot in Slot::all(&config.model) {
        let absent = match slot {
            slot if slot.presence(&config.model) == Presence::Never => true,
            Slot::LmHead => config.tied,
            Slot::LmHeadBias => true,
            Slot::Layer(_, LayerSlot::AttnQkvBias) => !config.qkv_bias,
            Slot::Layer(_, LayerSlot::AttnProjBias | LayerSlot::FcBias | LayerSlot::MlpProjBias) => {
                config.family == Family::Llama
            }
            _ => false,
        };
        if absent {
            continue;
        }
        let (_, cols) = architecture.shape(slot);
        let names = map.place(slot, prefix).expect("the layout names every tensor").names;
        let parts = architecture.parts(slot);
        let parts = if names.len() == 1 { vec![parts.iter().sum()] } else { parts };
        let distribution = distribution(slot, config);
        planned.extend(names.into_iter().zip(parts).map(|(name, part)| {
            let shape = if slot.is_matrix() { vec![part, cols] } else { vec![part] };
            Planned { name, shape, distribution }
        }));
    }
    planned
}

/// PyTorch's default for the module that a tensor belongs to.
fn distribution(slot: Slot, config: &InitConfig) -> Distribution {
    use LayerSlot::{Ln1Bias, Ln1Weight, Ln2Bias, Ln2Weight, MlpProjBias, MlpProjWeight};
    match slot {
        Slot::Wte | Slot::Wpe => Distribution::Normal,
        Slot::LnFWeight | Slot::LnEWeight | Slot::Layer(_, Ln1Weight | Ln2Weight) => Distribution::Constant(1.0),
        Slot::LnFBias | Slot::LnEBias | Slot::Layer(_, Ln1Bias | Ln2Bias) => Distribution::Constant(0.0),
        Slot::Layer(_, MlpProjWeight | MlpProjBias) => linear(config.model.n_ff),
        Slot::LmHead | Slot::LmHeadBias | Slot::Layer(..) => linear(config.model.n_embd),
    }
}

fn linear(fan_in: u32) -> Distribution {
    Distribution::Uniform { bound: 1.0 / f64::from(fan_in).sqrt() }
}

/// A safetensors header for the tensors one after another, its length first.
fn header(planned: &[Planned]) -> Result<Vec<u8>, InitError> {
    let mut start = 0;
    let infos = planned.iter().map(|tensor| {
        let end = start + 4 * tensor.len();
        let info = TensorInfo { dtype: Dtype::F32, shape: tensor.shape.clone(), data_offsets: (start, end) };
        start = end;
        (tensor.name.clone(), info)
    });
    let tensors = serde_json::to_string(&Metadata::new(None, infos.collect())?);
    let tensors = tensors.map_err(safetensors::SafeTensorError::from)?;
    // Metadata of more than one key have no order of their own.
    let about = json!({ORIGIN.0: ORIGIN.1, "format": "pt"});
    let mut json = format!("{{\"__metadata__\":{about},{}", &tensors[1..]).into_bytes();
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.extend(json);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{Checkpoint, Layout, Options};
    use emberlm_core::config::Config;

    const CONFIG: InitConfig = InitConfig::of_gpt2(
        Config { n_vocab: 71, n_ctx: 9, n_embd: 15, n_layer: 2, n_ff: 40, ..Config::GPT2 }.with_heads(3),
    );

    fn written(config: &InitConfig, seed: u64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(config, seed, folder.path(), &Permit::default(), &mut |_, _| {}).unwrap();
        folder
    }

    #[test]
    fn checkpoints_open_as_what_was_asked_for() {
        for (qkv_bias, tied) in [(false, false), (true, false), (false, true)] {
            let config = InitConfig { qkv_bias, tied, ..CONFIG };
            let folder = written(&config, 0);
            let checkpoint = Checkpoint::open(folder.path(), &Options::default()).unwrap();
            assert_eq!(*checkpoint.config(), config.model);
            assert_eq!(checkpoint.layout().layout, Layout::Scratch);
            assert_eq!(checkpoint.is_tied(), tied);
            assert_eq!(checkpoint.has(Slot::Layer(1, LayerSlot::AttnQkvBias)), qkv_bias);
            assert!(checkpoint.notes().is_empty());
        }
    }

    #[test]
    fn families_open_as_what_they_are() {
        for (name, layout) in [("tinystories-1m", Layout::GptNeo), ("smollm2-135m", Layout::Llama)] {
            let mut config = InitConfig::named(name).unwrap();
            // As it is but smaller.
            (config.model.n_vocab, config.model.n_ctx, config.model.n_layer) = (71, 40, 2);
            let folder = written(&config, 0);
            let checkpoint = Checkpoint::open(folder.path(), &Options::default()).unwrap();
            assert_eq!((*checkpoint.config(), &checkpoint.layout().layout), (config.model, &layout), "{name}");
            assert!(checkpoint.is_tied() && checkpoint.notes().is_empty(), "{:?}", checkpoint.notes());
        }
    }

    #[test]
    fn tensors_have_pytorchs_ranges() {
        let folder = written(&CONFIG, 3);
        let checkpoint = Checkpoint::open(folder.path(), &Options::default()).unwrap();
        for slot in Slot::all(&CONFIG.model) {
            let Some(tensor) = checkpoint.tensor(slot) else { continue };
            let largest = tensor.data.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
            match distribution(slot, &CONFIG) {
                Distribution::Constant(value) => assert!(tensor.data.iter().all(|x| *x == value), "{slot}"),
                Distribution::Normal => assert!((2.0..6.0).contains(&largest), "{slot}: {largest}"),
                Distribution::Uniform { bound } => {
                    let from_mlp = matches!(slot, Slot::Layer(_, LayerSlot::MlpProjWeight | LayerSlot::MlpProjBias));
                    let fan_in: f64 = if from_mlp { 40.0 } else { 15.0 };
                    assert_eq!(bound, 1.0 / fan_in.sqrt(), "{slot}");
                    let largest = f64::from(largest);
                    assert!(largest <= bound && largest > 0.7 * bound, "{slot}: {largest} of {bound}");
                }
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_bytes_on_any_number_of_threads() {
        let bytes = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let folder = pool.install(|| written(&InitConfig::named("nano-char").unwrap(), seed));
            std::fs::read(folder.path().join("model.safetensors")).unwrap()
        };
        let one = bytes(1, 5);
        assert!(one == bytes(3, 5));
        assert!(one != bytes(1, 6));
    }

    #[test]
    fn progress_ends_at_the_files_length() {
        let folder = tempfile::tempdir().unwrap();
        let mut seen = Vec::new();
        write(&CONFIG, 0, folder.path(), &Permit::default(), &mut |written, total| seen.push((written, total)))
            .unwrap();
        let len = std::fs::metadata(folder.path().join("model.safetensors")).unwrap().len();
        assert_eq!(seen.last(), Some(&(len, len)));
        assert!(seen.is_sorted());
    }

    #[test]
    fn nothing_appears_for_a_faulty_config_or_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut faulty = CONFIG;
        faulty.model.n_head = 4;
        let target = folder.path().join("model");
        assert!(matches!(write(&faulty, 0, &target, &Permit::default(), &mut |_, _| {}), Err(InitError::Config(_))));
        assert!(!target.exists());
        std::fs::write(&target, "a file").unwrap();
        assert!(matches!(write(&CONFIG, 0, &target, &Permit::default(), &mut |_, _| {}), Err(InitError::Io { .. })));
    }
}
