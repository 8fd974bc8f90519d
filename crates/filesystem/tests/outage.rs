//! The file system against an HDFS that fails: its own cluster, which these tests start, break and stop. `KVICK_LIVE=1` is
//! needed. One test function, since every step depends on the state the one before left.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{context, live, timed};
use kvick_filesystem::{Context, CreateOptions, FileSystem, FileSystems, FsError, FsPath};

/// A cluster in a directory of its own; stopped when the test ends, however it ends.
struct Cluster {
    dir: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let cluster = Self { dir: tempfile::tempdir().unwrap() };
        cluster.run(&["start"]);
        cluster
    }

    fn run(&self, arguments: &[&str]) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../integration/cluster.sh");
        let output =
            Command::new(script).args(arguments).env("KVICK_CLUSTER_DIR", self.dir.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn namenode(&self) -> String {
        let env = self.run(&["env"]);
        env.lines().find_map(|line| line.strip_prefix("export KVICK_NAMENODE=")).unwrap().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.run(&["stop"]);
    }
}

fn hasty(namenode: &str) -> Context {
    Context {
        patience: Duration::from_secs(1),
        call_timeout: Duration::from_secs(2),
        data_timeout: Duration::from_secs(10),
        ..context(namenode)
    }
}

fn connect(context: Context) -> (Arc<dyn FileSystem>, FsPath) {
    FileSystems::new(context).locate("/tmp/outage").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_noticed_in_seconds_and_told_apart() {
    if !live() {
        return;
    }
    let cluster = Cluster::start();
    let namenode = cluster.namenode();
    let (fs, dir) = connect(hasty(&namenode));
    fs.mkdirs(&dir, 0o755).await.unwrap();

    safe_mode_is_told(&cluster, &*fs, &dir).await;
    a_silent_namenode_times_out(&cluster, &*fs, &dir).await;
    a_dead_namenode_is_unreachable(&cluster, &*fs, &dir, &namenode).await;
    a_restarting_namenode_is_waited_for(&cluster, &namenode, &dir).await;
    a_dead_datanode_is_told(&cluster, &*fs, &dir).await;
}

async fn safe_mode_is_told(cluster: &Cluster, fs: &dyn FileSystem, dir: &FsPath) {
    cluster.run(&["hdfs", "dfsadmin", "-safemode", "enter"]);
    let error = fs.mkdirs(&dir.join("x"), 0o755).await.unwrap_err();
    assert!(matches!(error, FsError::SafeMode { .. }) && error.is_transient(), "{error}");
    assert!(fs.stat(dir).await.unwrap().is_directory, "reading goes on");
    cluster.run(&["hdfs", "dfsadmin", "-safemode", "leave"]);
    fs.mkdirs(&dir.join("x"), 0o755).await.unwrap();
}

async fn a_silent_namenode_times_out(cluster: &Cluster, fs: &dyn FileSystem, dir: &FsPath) {
    cluster.run(&["signal", "STOP", "namenode"]);
    let (answer, time) = timed(fs.stat(dir)).await;
    let error = answer.unwrap_err();
    assert!(
        matches!(error, FsError::TimedOut { seconds: 2, .. }) && time < Duration::from_secs(4),
        "{error} after {time:?}"
    );
    cluster.run(&["signal", "CONT", "namenode"]);
    fs.stat(dir).await.unwrap();
}

async fn a_dead_namenode_is_unreachable(
    cluster: &Cluster,
    fs: &dyn FileSystem,
    dir: &FsPath,
    namenode: &str,
) {
    cluster.run(&["kill", "namenode"]);
    for _ in 0..2 {
        let (answer, time) = timed(fs.mkdirs(&dir.join("y"), 0o755)).await;
        let error = answer.unwrap_err();
        assert!(
            matches!(error, FsError::Unreachable { .. }) && error.to_string().contains(namenode),
            "{error}"
        );
        assert!(time < Duration::from_secs(4), "{time:?}");
    }
}

async fn a_restarting_namenode_is_waited_for(cluster: &Cluster, namenode: &str, dir: &FsPath) {
    let (patient, _) = connect(Context { patience: Duration::from_secs(60), ..hasty(namenode) });
    let dir = dir.clone();
    let waiting = tokio::spawn(async move { patient.stat(&dir).await });
    // Lets the task make its first, refused try before this thread is busy with the restart.
    tokio::task::yield_now().await;
    tokio::task::block_in_place(|| cluster.run(&["restart", "namenode"]));
    assert!(waiting.await.unwrap().unwrap().is_directory);
}

async fn a_dead_datanode_is_told(cluster: &Cluster, fs: &dyn FileSystem, dir: &FsPath) {
    let (written, _) =
        timed(fs.write(&dir.join("before"), Bytes::from_static(b"x"), &CreateOptions::default())).await;
    written.unwrap();
    cluster.run(&["kill", "datanode"]);
    let (written, time) =
        timed(fs.write(&dir.join("after"), Bytes::from_static(b"x"), &CreateOptions::default())).await;
    let (read, read_time) = timed(fs.read(&dir.join("before"))).await;
    let (written, read) = (written.unwrap_err(), read.unwrap_err());
    eprintln!("without a DataNode: {written} ({time:?}); {read} ({read_time:?})");
    assert!(matches!(written, FsError::NoDataNode { .. } | FsError::Unreachable { .. }), "{written}");
    assert!(time < Duration::from_secs(20) && read_time < Duration::from_secs(20), "{time:?}, {read_time:?}");
    cluster.run(&["restart", "datanode"]);
    assert_eq!(fs.read(&dir.join("before")).await.unwrap(), &b"x"[..]);
}
