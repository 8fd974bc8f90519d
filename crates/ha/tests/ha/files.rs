//! The store in a directory.

use crate::{checkpoints, completed, failed, leader, leader_of, subsumed};
use kvick_core::ha::Contents;
use kvick_filesystem::{Context, FileSystems, FsPath};
use kvick_ha::{FileStore, HaStore};
use std::path::{Path, PathBuf};

/// The store of an application below a directory.
pub fn store(dir: &Path) -> FileStore {
    let path = FsPath::local(&dir.join("application")).unwrap();
    let (fs, root) = FileSystems::new(Context::default()).locate(&path.to_string()).unwrap();
    FileStore::new(fs, root)
}

async fn read_by(dir: &Path, epoch: u64) -> Contents {
    store(dir).take_over(&leader(epoch)).await.unwrap()
}

/// Files of an attempt, by name.
fn files(dir: &Path, epoch: u64) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join(format!("application/{epoch:010}"))).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        !path.ends_with("leader") && !path.file_name().unwrap().to_string_lossy().starts_with('.')
    });
    files.sort();
    files
}

#[tokio::test]
async fn a_successor_reads_what_was_written_and_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path());
    assert_eq!(first.take_over(&leader(1)).await.unwrap(), Contents::default());
    first.write(&[completed(1), completed(2)]).await.unwrap();
    first.write(&[subsumed(1), failed(9, 3)]).await.unwrap();
    assert_eq!(first.leader().await.unwrap(), Some(leader(1)));
    let contents = read_by(dir.path(), 2).await;
    assert_eq!((checkpoints(&contents), contents.results.len()), (vec![2], 1));
    assert_eq!(first.leader().await.unwrap(), Some(leader(2)));
}

#[tokio::test]
async fn a_predecessor_that_lives_on_is_told_and_confuses_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (store(dir.path()), store(dir.path()));
    first.take_over(&leader(1)).await.unwrap();
    first.write(&[completed(1)]).await.unwrap();
    second.take_over(&leader(2)).await.unwrap();
    assert!(first.write(&[completed(7)]).await.unwrap_err().is_fenced());
    assert!(first.write(&[subsumed(1)]).await.unwrap_err().is_fenced());
    assert!(first.take_over(&leader(1)).await.unwrap_err().is_fenced());
    assert!(first.clean_up().await.unwrap_err().is_fenced());
    second.write(&[completed(2)]).await.unwrap();
    assert_eq!(checkpoints(&read_by(dir.path(), 3).await), [1, 2]);
    assert_eq!(store(dir.path()).leader().await.unwrap(), Some(leader(3)));
}

#[tokio::test]
async fn a_torn_or_missing_file_costs_only_what_was_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path());
    first.take_over(&leader(1)).await.unwrap();
    for id in 1..=3 {
        first.write(&[completed(id)]).await.unwrap();
    }
    let all = files(dir.path(), 1);
    assert_eq!(all.len(), 4, "{all:?}");
    let torn = std::fs::read(&all[3]).unwrap();
    std::fs::write(&all[3], &torn[..torn.len() - 1]).unwrap();
    std::fs::remove_file(&all[1]).unwrap();
    assert_eq!(checkpoints(&read_by(dir.path(), 2).await), [2]);
}

#[tokio::test]
async fn a_snapshot_that_is_torn_is_replaced_by_the_journal_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path());
    first.take_over(&leader(1)).await.unwrap();
    first.write(&[completed(5)]).await.unwrap();
    read_by(dir.path(), 2).await;
    std::fs::write(&files(dir.path(), 2)[0], b"KVICK").unwrap();
    assert_eq!(checkpoints(&read_by(dir.path(), 3).await), [5]);
}

#[tokio::test]
async fn a_journal_does_not_grow_for_ever_and_loses_nothing_when_it_is_tidied_up() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path());
    first.take_over(&leader(1)).await.unwrap();
    for id in 1..=450 {
        first.write(&[completed(id), subsumed(id - 1)]).await.unwrap();
    }
    let files = files(dir.path(), 1);
    assert!(files.len() < 210, "{} files", files.len());
    let snapshots = files.iter().filter(|path| path.extension().is_some_and(|e| e == "snapshot"));
    let newest = snapshots.max().unwrap();
    // Even the newest snapshot may be lost.
    std::fs::write(newest, b"").unwrap();
    assert_eq!(checkpoints(&read_by(dir.path(), 2).await), [450]);
}

#[tokio::test]
async fn an_attempt_that_died_before_its_first_snapshot_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path());
    first.take_over(&leader(1)).await.unwrap();
    first.write(&[completed(5)]).await.unwrap();
    std::fs::create_dir(dir.path().join("application/0000000002")).unwrap();
    assert_eq!(checkpoints(&read_by(dir.path(), 3).await), [5]);
}

#[tokio::test]
async fn an_application_that_has_ended_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path());
    first.take_over(&leader(1)).await.unwrap();
    first.write(&[completed(5)]).await.unwrap();
    first.clean_up().await.unwrap();
    assert!(!dir.path().join("application").exists());
}

#[tokio::test]
async fn a_directory_that_was_removed_is_told_and_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path());
    first.take_over(&leader(1)).await.unwrap();
    first.write(&[completed(1)]).await.unwrap();
    std::fs::remove_dir_all(dir.path().join("application")).unwrap();
    let error = first.write(&[completed(2)]).await.unwrap_err();
    assert!(error.to_string().contains("is gone") && error.to_string().contains("0000000001"), "{error}");
    assert!(
        !dir.path().join("application").exists(),
        "a journal without its beginning would be taken for nothing"
    );
}

#[tokio::test]
async fn who_only_looks_takes_nothing_over() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path());
    first.take_over(&leader(1)).await.unwrap();
    first.write(&[completed(1)]).await.unwrap();
    assert_eq!(checkpoints(&store(dir.path()).contents().await.unwrap()), [1]);
    first.write(&[completed(2)]).await.unwrap();
    assert_eq!(checkpoints(&store(dir.path()).contents().await.unwrap()), [1, 2]);
}

#[tokio::test]
async fn the_next_application_of_a_cluster_id_goes_on_whatever_attempt_the_one_before_came_to() {
    let dir = tempfile::tempdir().unwrap();
    let before = store(dir.path());
    // As an engine wrote it that did not tell applications apart.
    store(dir.path()).take_over(&leader(4)).await.unwrap();
    before.take_over(&leader_of(7, 3)).await.unwrap();
    before.write(&[completed(1)]).await.unwrap();
    let next = store(dir.path());
    assert_eq!(checkpoints(&next.take_over(&leader_of(8, 1)).await.unwrap()), [1]);
    assert!(before.write(&[completed(7)]).await.unwrap_err().is_fenced());
    let again = before.take_over(&leader_of(7, 4)).await.unwrap_err().fence().unwrap();
    assert!(again.replaced && again.why.contains("application_1410901177871_0008"), "{again:?}");
    next.write(&[completed(2)]).await.unwrap();
    assert_eq!(next.leader().await.unwrap(), Some(leader_of(8, 1)));
    // The same number of an attempt, another application.
    let last = store(dir.path());
    assert_eq!(checkpoints(&last.take_over(&leader_of(9, 1)).await.unwrap()), [1, 2]);
    assert!(next.write(&[completed(3)]).await.is_err());
    last.clean_up().await.unwrap();
}
