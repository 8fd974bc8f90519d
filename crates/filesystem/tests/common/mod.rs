//! What the live tests share: whether they run at all, a client of the cluster, a directory of one's own.
#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses its part; a test may panic")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use kvick_filesystem::{Context, FileSystem, FileSystems, FsPath};

/// Live tests need `KVICK_LIVE=1`; without it they say so and pass.
pub fn live() -> bool {
    let wanted = std::env::var("KVICK_LIVE").is_ok_and(|value| value == "1");
    if !wanted {
        eprintln!("skipped: needs a cluster (integration/cluster.sh start), its `env`, and KVICK_LIVE=1");
    }
    wanted
}

/// The NameNode's `host:port` that `cluster.sh env` prints.
pub fn namenode() -> String {
    std::env::var("KVICK_NAMENODE").expect("KVICK_NAMENODE; eval \"$(integration/cluster.sh env)\"")
}

pub fn context(namenode: &str) -> Context {
    let default = format!("hdfs://{namenode}");
    Context::new([("fs.defaultFS", default.clone())]).with_default_scheme(default)
}

/// A directory of one test's own, removed at its end by [`Scratch::remove`].
pub struct Scratch {
    pub fs: Arc<dyn FileSystem>,
    pub root: FsPath,
}

impl Scratch {
    pub async fn new(test: &str) -> Self {
        let unique = format!("/tmp/kvick-live/{test}-{}-{}", std::process::id(), nanos());
        let (fs, root) = FileSystems::new(context(&namenode())).locate(&unique).unwrap();
        fs.mkdirs(&root, 0o755).await.unwrap();
        Self { fs, root }
    }

    pub async fn remove(self) {
        assert!(self.fs.delete(&self.root, true).await.unwrap());
    }
}

pub fn nanos() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
}

/// How long `work` took, beside its result.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    (work.await, started.elapsed())
}
