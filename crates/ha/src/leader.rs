//! The leader's file: how a task executor that lost its application master finds the next one, whatever keeps the records.

use super::HaError;
use kvick_core::ha::{Epoch, LEADER_FILE, Leader, RecordFile, epoch_of_directory};
use kvick_filesystem::{CreateOptions, FileSystem, FsPath};

/// Says where the leader is, below the application's directory.
///
/// # Errors
/// Those of the file system; an attempt that says it twice is none.
pub async fn publish(fs: &dyn FileSystem, root: &FsPath, leader: &Leader) -> Result<(), HaError> {
    let file = root.join(&leader.epoch.key()).join(LEADER_FILE);
    let bytes = RecordFile { epoch: leader.epoch.attempt, body: leader.clone() }.encode()?;
    // Others read it as the same user; an attempt that registers anew may have another address.
    fs.write(&file, bytes.into(), &CreateOptions::overwriting().mode(0o600)).await?;
    Ok(())
}

/// The attempts that have a directory, in order.
pub(super) async fn epochs(fs: &dyn FileSystem, root: &FsPath) -> Result<Vec<Epoch>, HaError> {
    let entries = match fs.list(root).await {
        Ok(entries) => entries,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut epochs: Vec<Epoch> =
        entries.iter().filter_map(|entry| epoch_of_directory(entry.path.name())).collect();
    epochs.sort_unstable();
    Ok(epochs)
}

/// The latest leader whose file can be read.
pub(super) async fn latest(fs: &dyn FileSystem, root: &FsPath) -> Result<Option<Leader>, HaError> {
    for epoch in epochs(fs, root).await?.into_iter().rev() {
        let file = root.join(&epoch.key()).join(LEADER_FILE);
        match fs.read(&file).await {
            Ok(bytes) => match RecordFile::<Leader>::decode(&bytes) {
                Ok(record) => return Ok(Some(record.body)),
                Err(error) => tracing::warn!("the leader's file {file} is passed over: {error}"),
            },
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}
