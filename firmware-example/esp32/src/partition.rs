//! Where the model lies in the flash.

use esp_bootloader_esp_idf::partitions::{
    Error, FlashRegion, FlashStorage, PARTITION_TABLE_MAX_LEN, read_partition_table,
};

/// The partition's name in `partitions.csv`.
const LABEL: &str = "model";

/// The model's partition, by its name in the table that lies in `flash`.
///
/// # Errors
/// The flash cannot be read, or has no table or no such partition.
pub fn model_partition<'f, 'd>(flash: &'f mut FlashStorage<'d>) -> Result<FlashRegion<'f, 'd>, Error> {
    let mut buffer = [0; PARTITION_TABLE_MAX_LEN];
    let table = read_partition_table(flash, &mut buffer)?;
    let entry = table.iter().find(|entry| entry.label_as_str() == LABEL).ok_or(Error::Invalid)?;
    Ok(entry.as_flash_region(flash))
}
