//! Records in ZooKeeper, fenced by a node that names the attempt.
//!
//! Below the application's node: `leader/epoch` holds the attempt that leads, `leader/connection_info` (ephemeral) where it
//! is; a record's node is named by its key. A record that is large lies in the application's directory on the file system,
//! with a pointer in its node.
//!
//! The fence: each write is one transaction that first checks the version of `leader/epoch`, which whoever takes over has
//! changed. So a predecessor need not have lost its session before its successor begins, and a session that expires costs
//! nothing but a new one.

mod commit;

use super::leader::{latest, publish};
use super::settings::ZooKeeperSettings;
use super::{HaError, HaStore};
use async_trait::async_trait;
use kvick_core::ha::{Change, Contents, Epoch, Leader, Record, RecordFile, RecordKey};
use kvick_filesystem::{FileSystem, FsPath};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Mutex;
use tracing::{info, warn};
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions as NodeOptions, Error};

/// What a record's node holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Node {
    /// The record itself.
    Record(Box<Record>),
    /// The name of its file below the application's directory.
    File(String),
}

/// Records of one application in ZooKeeper.
pub struct ZooKeeperStore {
    settings: ZooKeeperSettings,
    fs: Arc<dyn FileSystem>,
    directory: FsPath,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    leader: Option<Leader>,
    /// Counts the files of this attempt.
    files: u64,
}

/// A session that has taken over.
struct Session {
    client: Client,
    /// The version of the node that names the attempt as this attempt left it.
    version: i32,
    /// The records that have a node, and the files that they lie in.
    nodes: BTreeMap<RecordKey, Option<String>>,
    /// Directories that were made.
    parents: BTreeSet<String>,
}

impl ZooKeeperStore {
    /// Records below a node, and large ones below a directory that is the application's own.
    pub fn new(settings: ZooKeeperSettings, fs: Arc<dyn FileSystem>, directory: FsPath) -> ZooKeeperStore {
        ZooKeeperStore { settings, fs, directory, state: Mutex::default() }
    }

    fn failed(&self, act: &str, source: Error) -> HaError {
        HaError::ZooKeeper { quorum: self.settings.quorum.clone(), act: act.to_string(), source }
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.settings.root)
    }

    fn options(&self, mode: CreateMode) -> NodeOptions<'static> {
        mode.with_acls(if self.settings.creator_only { Acls::creator_all() } else { Acls::anyone_all() })
    }

    async fn connect(&self) -> Result<Client, HaError> {
        let mut tries = 0;
        loop {
            let connector = Client::connector()
                .with_session_timeout(self.settings.session_timeout)
                .with_connection_timeout(self.settings.connection_timeout);
            match connector.connect(&self.settings.quorum).await {
                Ok(client) => return Ok(client),
                Err(error) if tries < self.settings.retries => {
                    tries += 1;
                    warn!("ZooKeeper at {} does not answer, trying again: {error}", self.settings.quorum);
                    tokio::time::sleep(self.settings.retry_wait).await;
                }
                Err(error) => return Err(self.failed("connect", error)),
            }
        }
    }

    /// A new session that leads, and all records.
    async fn lead(&self, leader: &Leader) -> Result<(Session, Contents), HaError> {
        let client = self.connect().await?;
        let persistent = self.options(CreateMode::Persistent);
        let made = client.mkdir(&self.path("leader"), &persistent).await;
        made.map_err(|error| self.failed("make the application's node", error))?;
        let version = self.claim(&client, leader.epoch).await?;
        let contents = self.read_all(&client).await?;
        self.announce(&client, leader).await?;
        let mut session = Session { client, version, nodes: BTreeMap::new(), parents: BTreeSet::new() };
        let mut all = Contents::default();
        for (key, (record, file)) in contents {
            session.nodes.insert(key, file);
            record.into_iter().for_each(|record| all.apply(Change::Put(record)));
        }
        Ok((session, all))
    }

    /// Puts this attempt's key into the node of the leader's; returns the node's version. Whoever wrote it before is
    /// fenced from then on.
    async fn claim(&self, client: &Client, own: Epoch) -> Result<i32, HaError> {
        let (path, key) = (self.path("leader/epoch"), own.key());
        let failed = |error| self.failed("become the leader", error);
        for _ in 0..10 {
            match client.get_data(&path).await {
                Ok((data, stat)) => {
                    // One that cannot be read was none.
                    let by = String::from_utf8_lossy(&data).parse().unwrap_or(Epoch::of_attempt(0));
                    if by > own {
                        return Err(HaError::Fenced { by, own });
                    }
                    match client.set_data(&path, key.as_bytes(), Some(stat.version)).await {
                        Ok(stat) => return Ok(stat.version),
                        Err(Error::BadVersion | Error::NoNode) => {}
                        Err(error) => return Err(failed(error)),
                    }
                }
                Err(Error::NoNode) => {
                    let options = self.options(CreateMode::Persistent);
                    match client.create(&path, key.as_bytes(), &options).await {
                        Ok((stat, _)) => return Ok(stat.version),
                        Err(Error::NodeExists) => {}
                        Err(error) => return Err(failed(error)),
                    }
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(Error::BadVersion))
    }

    /// Says where the leader is, for as long as its session lives.
    async fn announce(&self, client: &Client, leader: &Leader) -> Result<(), HaError> {
        let failed = |error| self.failed("name the leader", error);
        let path = self.path("leader/connection_info");
        let data = RecordFile { epoch: leader.epoch.attempt, body: leader }.encode()?;
        // One of an earlier session may still be there; the new one must not go with it.
        match client.delete(&path, None).await {
            Ok(()) | Err(Error::NoNode) => {}
            Err(error) => return Err(failed(error)),
        }
        client.create(&path, &data, &self.options(CreateMode::Ephemeral)).await.map_err(failed)?;
        Ok(())
    }

    /// All records by key, with their files; those that cannot be read are named in the log and stay without content.
    async fn read_all(
        &self,
        client: &Client,
    ) -> Result<BTreeMap<RecordKey, (Option<Record>, Option<String>)>, HaError> {
        let mut records = BTreeMap::new();
        for key in self.keys(client).await? {
            let path = self.path(&key.to_string());
            let data = match client.get_data(&path).await {
                Ok((data, _)) => data,
                Err(Error::NoNode) => continue,
                Err(error) => return Err(self.failed(&format!("read {path}"), error)),
            };
            records.insert(key, self.record(&path, &data).await?);
        }
        Ok(records)
    }

    /// The record in a node, and the file that it lies in.
    async fn record(&self, path: &str, data: &[u8]) -> Result<(Option<Record>, Option<String>), HaError> {
        let name = match RecordFile::<Node>::decode(data) {
            Ok(RecordFile { body: Node::Record(record), .. }) => return Ok((Some(*record), None)),
            Ok(RecordFile { body: Node::File(name), .. }) => name,
            Err(error) => {
                warn!("the record in {path} is passed over: {error}");
                return Ok((None, None));
            }
        };
        let file = self.directory.join(&name);
        let record = match self.fs.read(&file).await {
            Ok(bytes) => RecordFile::<Record>::decode(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.is_not_found() => Err(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        let whole = record.map(|record| record.body);
        let whole = whole.inspect_err(|error| warn!("the record in {file} is passed over: {error}"));
        Ok((whole.ok(), Some(name)))
    }

    async fn keys(&self, client: &Client) -> Result<Vec<RecordKey>, HaError> {
        let mut names = Vec::new();
        for family in ["jobgraphs", "results", "restarts", "clients", "program"] {
            names.extend(self.children(client, family).await?);
        }
        for job in self.children(client, "checkpoints").await? {
            names.extend(self.children(client, &job).await?);
        }
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    async fn children(&self, client: &Client, name: &str) -> Result<Vec<String>, HaError> {
        match client.list_children(&self.path(name)).await {
            Ok(children) => Ok(children.iter().map(|child| format!("{name}/{child}")).collect()),
            Err(Error::NoNode) => Ok(Vec::new()),
            Err(error) => Err(self.failed(&format!("list {name}"), error)),
        }
    }

    async fn remove_files(&self, names: Vec<String>) {
        for name in names {
            if let Err(error) = self.fs.delete(&self.directory.join(&name), false).await {
                warn!("a file that is not needed any more stays: {error}");
            }
        }
    }

    async fn remove_tree(&self, client: &Client, root: &str) -> Result<(), HaError> {
        let mut all = vec![root.to_string()];
        let mut next = 0;
        while next < all.len() {
            let node = all[next].clone();
            match client.list_children(&node).await {
                Ok(children) => all.extend(children.iter().map(|child| format!("{node}/{child}"))),
                Err(Error::NoNode) => {}
                Err(error) => return Err(self.failed(&format!("list {node}"), error)),
            }
            next += 1;
        }
        for node in all.iter().rev() {
            match client.delete(node, None).await {
                Ok(()) | Err(Error::NoNode) => {}
                Err(error) => return Err(self.failed(&format!("remove {node}"), error)),
            }
        }
        Ok(())
    }
}

/// Whether ZooKeeper may do later what it did not do now: nobody answered, or the session was lost on the way.
pub(super) fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::NoHosts
            | Error::Timeout
            | Error::ConnectionLoss
            | Error::SessionExpired
            | Error::SessionMoved
            | Error::ClientClosed
            | Error::Throttled
    )
}

#[async_trait]
impl HaStore for ZooKeeperStore {
    async fn take_over(&self, leader: &Leader) -> Result<Contents, HaError> {
        let mut state = self.state.lock().await;
        let (session, contents) = self.lead(leader).await?;
        publish(self.fs.as_ref(), &self.directory, leader).await?;
        state.session = Some(session);
        state.leader = Some(leader.clone());
        info!("leading in {} of ZooKeeper at {}", self.settings.root, self.settings.quorum);
        Ok(contents)
    }

    async fn leader(&self) -> Result<Option<Leader>, HaError> {
        latest(self.fs.as_ref(), &self.directory).await
    }

    async fn contents(&self) -> Result<Contents, HaError> {
        let client = self.connect().await?;
        let mut contents = Contents::default();
        for (record, _) in self.read_all(&client).await?.into_values() {
            record.into_iter().for_each(|record| contents.apply(Change::Put(record)));
        }
        Ok(contents)
    }

    async fn write(&self, changes: &[Change]) -> Result<(), HaError> {
        let mut state = self.state.lock().await;
        if state.session.is_none()
            && let Some(leader) = state.leader.clone()
        {
            state.session = Some(self.lead(&leader).await?.0);
        }
        match self.commit(&mut state, changes).await {
            Ok(old) => {
                self.remove_files(old).await;
                Ok(())
            }
            Err(error) => {
                // What became of it is not known, or the session or the leadership is gone: the next try begins with a new
                // session, which either finds a later attempt, or leads again and sees what there is.
                state.session = None;
                Err(error)
            }
        }
    }

    async fn clean_up(&self) -> Result<(), HaError> {
        let mut state = self.state.lock().await;
        let client = match state.session.take() {
            Some(session) => session.client,
            None => self.connect().await?,
        };
        if let Some(leader) = &state.leader {
            self.claim(&client, leader.epoch).await?;
        }
        self.remove_tree(&client, &self.settings.root).await?;
        self.fs.delete(&self.directory, true).await?;
        Ok(())
    }
}
