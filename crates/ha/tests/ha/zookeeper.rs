//! The store in ZooKeeper, against a real ensemble.

use crate::{checkpoints, completed, failed, leader, leader_of, subsumed};
use kvick_core::ha::{Change, RecordKey};
use kvick_core::ids::JobId;
use kvick_filesystem::{Context, FileSystems, FsPath};
use kvick_ha::{HaStore, ZooKeeperSettings, ZooKeeperStore};
use std::path::Path;
use std::time::Duration;
use zookeeper_client::{Client, Error};

/// The ensemble that the environment names.
fn quorum() -> String {
    std::env::var("KVICK_TEST_ZOOKEEPER").expect("KVICK_TEST_ZOOKEEPER names no ensemble (host:port,…)")
}

fn store(dir: &Path, node: &str) -> ZooKeeperStore {
    let path = FsPath::local(&dir.join("application")).unwrap();
    let (fs, root) = FileSystems::new(Context::default()).locate(&path.to_string()).unwrap();
    let settings = ZooKeeperSettings {
        quorum: quorum(),
        root: format!("/kvick-test/{node}-{}", std::process::id()),
        session_timeout: Duration::from_secs(4),
        connection_timeout: Duration::from_secs(5),
        retry_wait: Duration::from_millis(200),
        retries: 3,
        creator_only: false,
    };
    ZooKeeperStore::new(settings, fs, root)
}

#[tokio::test]
#[ignore = "wants KVICK_TEST_ZOOKEEPER"]
async fn records_survive_large_ones_lie_in_files_and_the_end_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (store(dir.path(), "records"), store(dir.path(), "records"));
    first.take_over(&leader(1)).await.unwrap();
    first.write(&[completed(1), failed(8, 10), failed(9, 300_000)]).await.unwrap();
    first.write(&[completed(1), completed(2), subsumed(2), completed(3), subsumed(1)]).await.unwrap();
    let contents = second.take_over(&leader(2)).await.unwrap();
    assert_eq!(checkpoints(&contents), [3]);
    assert_eq!(contents.results[&JobId(9)].failure.as_ref().unwrap().message.len(), 300_000);
    assert_eq!(second.leader().await.unwrap(), Some(leader(2)));
    let client = Client::connect(&quorum()).await.unwrap();
    let root = format!("/kvick-test/records-{}", std::process::id());
    second.write(&[subsumed(3), Change::Remove(RecordKey::Result(JobId(8)))]).await.unwrap();
    assert_eq!(client.list_children(&format!("{root}/checkpoints")).await.unwrap(), Vec::<String>::new());
    second.write(&[completed(4)]).await.unwrap();
    assert_eq!(checkpoints(&second.contents().await.unwrap()), [4], "the node of the job is made anew");
    second.clean_up().await.unwrap();
    assert_eq!(client.get_data(&root).await.unwrap_err(), Error::NoNode);
    assert!(!dir.path().join("application").exists());
}

#[tokio::test]
#[ignore = "wants KVICK_TEST_ZOOKEEPER"]
async fn a_predecessor_with_a_living_session_is_fenced_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (store(dir.path(), "fence"), store(dir.path(), "fence"));
    first.take_over(&leader(1)).await.unwrap();
    first.write(&[completed(1)]).await.unwrap();
    second.take_over(&leader(2)).await.unwrap();
    assert!(first.write(&[completed(7)]).await.is_err(), "the first try finds the fence");
    assert!(first.write(&[completed(7)]).await.unwrap_err().is_fenced(), "the second names the successor");
    assert!(first.take_over(&leader(1)).await.unwrap_err().is_fenced());
    let third = store(dir.path(), "fence");
    assert_eq!(checkpoints(&third.take_over(&leader(3)).await.unwrap()), [1]);
    third.clean_up().await.unwrap();
}

#[tokio::test]
#[ignore = "wants KVICK_TEST_ZOOKEEPER, and a server of it to be stopped meanwhile (KVICK_TEST_ZOOKEEPER_KILL)"]
async fn one_server_may_die() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path(), "ensemble");
    first.take_over(&leader(1)).await.unwrap();
    first.write(&[completed(1)]).await.unwrap();
    let kill = std::env::var("KVICK_TEST_ZOOKEEPER_KILL").expect("a shell command that kills one server");
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let mut tries = 0;
    while let Err(error) = first.write(&[completed(2)]).await {
        tries += 1;
        assert!(tries < 100 && !error.is_fenced(), "{error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let second = store(dir.path(), "ensemble");
    assert_eq!(checkpoints(&second.take_over(&leader(2)).await.unwrap()), [1, 2]);
    second.clean_up().await.unwrap();
}

#[tokio::test]
#[ignore = "wants KVICK_TEST_ZOOKEEPER"]
async fn the_next_application_of_a_cluster_id_goes_on_whatever_attempt_the_one_before_came_to() {
    let dir = tempfile::tempdir().unwrap();
    let before = store(dir.path(), "applications");
    // As an engine wrote it that did not tell applications apart.
    store(dir.path(), "applications").take_over(&leader(4)).await.unwrap();
    before.take_over(&leader_of(7, 3)).await.unwrap();
    before.write(&[completed(1)]).await.unwrap();
    let next = store(dir.path(), "applications");
    assert_eq!(checkpoints(&next.take_over(&leader_of(8, 1)).await.unwrap()), [1]);
    assert!(before.write(&[completed(7)]).await.is_err(), "the first try finds the fence");
    let again = before.take_over(&leader_of(7, 4)).await.unwrap_err().fence().unwrap();
    assert!(again.replaced && again.why.contains("application_1410901177871_0008"), "{again:?}");
    next.write(&[completed(2)]).await.unwrap();
    assert_eq!(next.leader().await.unwrap(), Some(leader_of(8, 1)));
    // The same number of an attempt, another application.
    let last = store(dir.path(), "applications");
    assert_eq!(checkpoints(&last.take_over(&leader_of(9, 1)).await.unwrap()), [1, 2]);
    assert!(next.write(&[completed(3)]).await.is_err());
    last.clean_up().await.unwrap();
}
