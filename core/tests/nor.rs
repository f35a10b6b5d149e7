//! A model behind a NOR flash that reads whole units only, and fails.
#![cfg(feature = "embedded-storage")]

use embedded_storage::nor_flash::{ErrorType, NorFlashErrorKind, ReadNorFlash, check_read};
use emberlm_core::blob::OpenError;
use emberlm_core::config::TokenId;
use emberlm_core::include_blob;
use emberlm_core::kernel::Portable;
use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::loss::CrossEntropy;
use emberlm_core::model::Model;
use emberlm_core::score::{ScoreError, score_window};
use emberlm_core::scratch::{Batch, Scratch, ScratchSize};
use emberlm_core::session::{ForwardError, Session};
use emberlm_core::source::{Aligned, Copying, MIN_BUFFER, Mapped, Nor, Source};

/// A flash that takes units of 16 bytes, and so many reads.
struct Flash<'m> {
    memory: &'m [u8],
    reads_left: usize,
}

impl ErrorType for Flash<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash<'_> {
    const READ_SIZE: usize = 16;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        self.reads_left = self.reads_left.checked_sub(1).ok_or(NorFlashErrorKind::Other)?;
        bytes.copy_from_slice(&self.memory[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.memory.len()
    }
}

static BLOB: &[u8] = include_blob!("../examples/letters.blob");

const TOKENS: [TokenId; 4] = [3, 1, 4, 1];

/// The bits of the tokens' losses.
fn losses(source: impl Source) -> Result<Vec<u32>, ScoreError> {
    let model = Model::open(source).map_err(ScoreError::Open)?;
    let config = *model.config();
    let batch = Batch { window: TOKENS.len(), ..Batch::of(2) };
    let size = ScratchSize::new(&config, batch);
    let kv_size = KvSize::new(KvType::I8, TOKENS.len(), 2);
    let mut kv = vec![0; kv_size.largest_layer_words(&config)];
    let (mut floats, mut words) = (vec![0.0; size.floats], vec![0; size.words]);
    let kv = KvCache::one_layer(kv_size, &config, &mut kv).unwrap();
    let scratch = Scratch::new(&config, batch, &mut floats, &mut words).unwrap();
    let mut session = Session::new(model, Portable, kv, scratch).unwrap();
    let (mut sinks, mut losses) = ([CrossEntropy::new(0); 2], Vec::new());
    score_window(&mut session, &TOKENS, 0, &mut sinks, |nll| losses.push(nll.to_bits()))?;
    Ok(losses)
}

#[test]
fn a_model_in_a_flash_gives_the_bits_of_one_in_memory_or_the_error_of_any_read() {
    let (mut buffer, mut n_reads) = (Aligned([0; MIN_BUFFER]), 0);
    let want = losses(Mapped::new(BLOB).unwrap()).unwrap();
    let mut memory = BLOB.to_vec();
    memory.resize(BLOB.len().next_multiple_of(16), 0xFF);
    loop {
        let flash = Flash { memory: &memory, reads_left: n_reads };
        let have = losses(Copying::new(Nor::new(flash), &mut buffer.0).unwrap());
        match have {
            Ok(losses) => break assert_eq!(losses, want),
            Err(ScoreError::Open(OpenError::Read(_)) | ScoreError::Forward(ForwardError::Read(_))) => n_reads += 1,
            Err(other) => panic!("{other:?} after {n_reads} reads"),
        }
    }
    assert!(n_reads > 100, "{n_reads}");
}
