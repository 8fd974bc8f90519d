//! Where the application master is: the one that started this container, until a later attempt has said where it is.

use anyhow::{Context, Result};
use kvick_core::ha::{Epoch, LEADER_FILE, Leader, RecordFile, epoch_of_directory};
use kvick_filesystem::{FileSystems, FsError};

/// Looks for the leader in the application's directory on the file system.
pub struct Leaders {
    filesystems: FileSystems,
    directory: Option<String>,
    known: Leader,
}

impl Leaders {
    /// Begins with the application master that started this container. Without a directory there is never another.
    pub fn new(filesystems: FileSystems, directory: Option<String>, known: Leader) -> Leaders {
        Leaders { filesystems, directory, known }
    }

    /// The one that is to be obeyed, as far as is known.
    pub fn known(&self) -> &Leader {
        &self.known
    }

    /// Looks for a later one. Says whether there is another than before.
    ///
    /// # Errors
    /// The directory or the leader's file cannot be read.
    pub async fn look(&mut self) -> Result<bool> {
        let Some(directory) = &self.directory else { return Ok(false) };
        let (fs, root) = self.filesystems.locate(directory)?;
        let mut epochs: Vec<(Epoch, String)> = match fs.list(&root).await {
            Ok(entries) => entries
                .iter()
                .filter_map(|entry| {
                    Some((epoch_of_directory(entry.path.name())?, entry.path.name().to_string()))
                })
                .collect(),
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        epochs.sort();
        for (_, name) in epochs.iter().rev().filter(|(epoch, _)| *epoch >= self.known.epoch) {
            let file = root.join(name).join(LEADER_FILE);
            let bytes = match fs.read(&file).await {
                Ok(bytes) => bytes,
                // That attempt has begun, and has not said yet where it is.
                Err(FsError::NotFound { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let leader = RecordFile::<Leader>::decode(&bytes).with_context(|| format!("{file}"))?.body;
            let news = leader != self.known;
            self.known = leader;
            return Ok(news);
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn leader(epoch: u64) -> Leader {
        Leader { epoch: Epoch::of_attempt(epoch), address: format!("host:{epoch}") }
    }

    fn publish(root: &Path, leader: &Leader, bytes: Option<&[u8]>) {
        let dir = root.join(leader.epoch.key());
        std::fs::create_dir_all(&dir).unwrap();
        let whole = RecordFile { epoch: leader.epoch.attempt, body: leader.clone() }.encode().unwrap();
        std::fs::write(dir.join(LEADER_FILE), bytes.unwrap_or(&whole)).unwrap();
    }

    #[tokio::test]
    async fn the_latest_leader_that_has_said_so_is_found_and_never_an_earlier_one() {
        let dir = tempfile::tempdir().unwrap();
        let place = format!("file://{}", dir.path().join("ha").display());
        let systems = FileSystems::new(kvick_filesystem::Context::default());
        let mut leaders = Leaders::new(systems, Some(place), leader(2));
        assert!(!leaders.look().await.unwrap(), "there is no directory yet");
        publish(&dir.path().join("ha"), &leader(1), None);
        assert!(!leaders.look().await.unwrap());
        publish(&dir.path().join("ha"), &leader(3), None);
        std::fs::create_dir(dir.path().join("ha/0000000004")).unwrap();
        assert!(leaders.look().await.unwrap());
        assert_eq!(leaders.known(), &leader(3));
        publish(&dir.path().join("ha"), &leader(5), Some(b"KVICKHA\n"));
        assert!(leaders.look().await.unwrap_err().to_string().contains("0000000005"));
        assert_eq!(leaders.known(), &leader(3));
    }
}
