//! Changes to records as one transaction of ZooKeeper's, with the nodes above them and the files of large records.

use super::super::HaError;
use super::{Node, Session, State, ZooKeeperStore};
use kvick_core::ha::{Change, Epoch, Record, RecordFile, RecordKey};
use kvick_core::ids::JobId;
use kvick_filesystem::CreateOptions;
use std::collections::{BTreeMap, BTreeSet};
use tracing::warn;
use zookeeper_client::{CreateMode, Error, MultiWriteError};

/// Records longer than this lie on the file system: ZooKeeper keeps everything in memory (`jute.maxbuffer`, 1 MiB).
const LARGEST_NODE: usize = 64 * 1024;

/// What becomes of a record's node: its content and the file that was written for it, or nothing any more.
type NodeChange = (RecordKey, Option<(Vec<u8>, Option<String>)>);

impl ZooKeeperStore {
    /// The content of a record's node, and the file that was written for it.
    async fn node(&self, state: &mut State, record: &Record) -> Result<(Vec<u8>, Option<String>), HaError> {
        let by = state.leader.as_ref().map_or(Epoch::of_attempt(0), |leader| leader.epoch);
        let epoch = by.attempt;
        let whole = RecordFile { epoch, body: record }.encode()?;
        if whole.len() <= LARGEST_NODE {
            let body = Node::Record(Box::new(record.clone()));
            return Ok((RecordFile { epoch, body }.encode()?, None));
        }
        state.files += 1;
        let key = record.key().to_string().replace('/', "-");
        let name = format!("records/{key}-{}-{}", by.key(), state.files);
        let options = CreateOptions::default().mode(0o600);
        self.fs.write(&self.directory.join(&name), whole.into(), &options).await?;
        Ok((RecordFile { epoch, body: Node::File(name.clone()) }.encode()?, Some(name)))
    }

    /// One transaction for all changes. Returns the files to which nothing points any more.
    pub(super) async fn commit(&self, state: &mut State, changes: &[Change]) -> Result<Vec<String>, HaError> {
        let mut contents = Vec::new();
        for change in last_of_each(changes) {
            contents.push(match change {
                Change::Put(record) => (record.key(), Some(self.node(state, record).await?)),
                Change::Remove(key) => (*key, None),
            });
        }
        let session = state
            .session
            .as_mut()
            .ok_or_else(|| HaError::Lost("this attempt has not taken over".to_string()))?;
        self.make_parents(session, &contents).await?;
        let old = self.transact(session, &contents).await?;
        let mut removed = BTreeSet::new();
        for (key, content) in contents {
            match content {
                Some((_, file)) => drop(session.nodes.insert(key, file)),
                None => {
                    session.nodes.remove(&key);
                    removed.insert(key);
                }
            }
        }
        self.remove_empty_parents(session, &removed).await;
        Ok(old)
    }

    /// Writes all or nothing, and nothing if another attempt has taken over. Returns the files to which nothing points any more.
    async fn transact(&self, session: &Session, contents: &[NodeChange]) -> Result<Vec<String>, HaError> {
        let client = session.client.clone();
        let mut transaction = client.new_multi_writer();
        let failed = |error| self.failed("prepare a write", error);
        transaction.add_check_version(&self.path("leader/epoch"), session.version).map_err(failed)?;
        let options = self.options(CreateMode::Persistent);
        let mut old = Vec::new();
        for (key, content) in contents {
            let path = self.path(&key.to_string());
            let known = session.nodes.get(key);
            match (content, known) {
                (Some((data, _)), Some(_)) => transaction.add_set_data(&path, data, None).map_err(failed)?,
                (Some((data, _)), None) => transaction.add_create(&path, data, &options).map_err(failed)?,
                (None, Some(_)) => transaction.add_delete(&path, None).map_err(failed)?,
                (None, None) => {}
            }
            old.extend(known.cloned().flatten());
        }
        match transaction.commit().await {
            Ok(_) => Ok(old),
            Err(
                MultiWriteError::RequestFailed { source } | MultiWriteError::OperationFailed { source, .. },
            ) => Err(self.failed("write", source)),
        }
    }

    /// The nodes above those that are to be made.
    async fn make_parents(&self, session: &mut Session, contents: &[NodeChange]) -> Result<(), HaError> {
        let options = self.options(CreateMode::Persistent);
        for (key, _) in contents.iter().filter(|(_, content)| content.is_some()) {
            let path = self.path(&key.to_string());
            let parent = path.rsplit_once('/').map_or("/", |(parent, _)| parent);
            if session.parents.insert(parent.to_string()) {
                let made = session.client.mkdir(parent, &options).await;
                made.map_err(|error| self.failed(&format!("make {parent}"), error))?;
            }
        }
        Ok(())
    }

    /// Removes the nodes of jobs that have no checkpoint any more: no checkpoint is ever recorded there again but by a job that goes
    /// on, for which the node is made anew.
    async fn remove_empty_parents(&self, session: &mut Session, removed: &BTreeSet<RecordKey>) {
        let mut jobs: BTreeSet<JobId> = removed.iter().filter_map(checkpointed).collect();
        jobs.retain(|job| !session.nodes.keys().any(|key| checkpointed(key) == Some(*job)));
        for job in jobs {
            let path = self.path(&format!("checkpoints/{job}"));
            session.parents.remove(&path);
            match session.client.delete(&path, None).await {
                Ok(()) | Err(Error::NoNode | Error::NotEmpty) => {}
                Err(error) => warn!("the empty node {path} stays: {error}"),
            }
        }
    }
}

/// The job of whose checkpoints this is one.
fn checkpointed(key: &RecordKey) -> Option<JobId> {
    match key {
        RecordKey::Checkpoint(job, _) => Some(*job),
        _ => None,
    }
}

/// The last change of each key: a transaction makes each node once.
fn last_of_each(changes: &[Change]) -> impl Iterator<Item = &Change> {
    let mut last = BTreeMap::new();
    for change in changes {
        last.insert(change.key(), change);
    }
    last.into_values()
}
