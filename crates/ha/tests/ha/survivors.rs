//! From where jobs go on whose application has ended without a word.

use crate::files::store;
use crate::leader;
use kvick_core::checkpoint::ClaimMode;
use kvick_core::checkpoint::metadata::METADATA_FILE;
use kvick_core::graph::JobGraph;
use kvick_core::ha::{Change, Contents, Record, RecordKey, StoredCheckpoint, StoredJob, StoredSource};
use kvick_core::ids::JobId;
use kvick_core::job::{Artifact, JobSubmission, ProgramSpec};
use kvick_core::time::Millis;
use kvick_filesystem::{Context, FileSystems};
use kvick_ha::{HaStore, RestartFrom, survivors};
use std::collections::BTreeMap;
use std::path::Path;

fn accepted(id: u128, source: Option<String>) -> Change {
    let jar =
        Artifact { name: "job.jar".into(), uri: "file:/job.jar".into(), sha256: String::new(), size: 1 };
    let submission = JobSubmission {
        job_id: JobId(id),
        ordinal: 0,
        program: ProgramSpec { jar, entry: None, args: Vec::new() },
        graph: JobGraph { name: format!("job {id}"), ..JobGraph::default() },
        config: Default::default(),
        once: BTreeMap::new(),
        earlier: Vec::new(),
    };
    let source = source.map(|directory| StoredSource {
        directory,
        claim: ClaimMode::NoClaim,
        allow_non_restored: false,
    });
    Change::Put(Record::Job(Box::new(StoredJob { submission, submitted: Millis(0), source })))
}

fn completed(job: u128, id: u64, directory: Option<String>) -> Change {
    Change::Put(Record::Checkpoint(Box::new(StoredCheckpoint {
        job_id: JobId(job),
        checkpoint: id,
        external_path: directory.clone().unwrap_or_default(),
        directory,
        owned: true,
        referable: true,
        metadata: None,
        going: None,
    })))
}

/// A directory with the metadata of a checkpoint in it.
fn checkpoint(dir: &Path, name: &str) -> String {
    std::fs::create_dir_all(dir.join(name)).unwrap();
    std::fs::write(dir.join(name).join(METADATA_FILE), "whole").unwrap();
    format!("file://{}/{name}", dir.display())
}

#[tokio::test]
async fn each_job_that_had_not_ended_goes_on_from_the_newest_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| checkpoint(dir.path(), name);
    let (older, savepoint) = (path("chk-4"), path("savepoint"));
    let lost = format!("file://{}/chk-5", dir.path().display());
    let store = store(dir.path());
    store.take_over(&leader(1)).await.unwrap();
    let changes = [
        accepted(1, None),
        completed(1, 4, Some(older.clone())),
        completed(1, 5, Some(lost)),
        accepted(2, Some(savepoint.clone())),
        accepted(3, None),
        accepted(4, None),
        completed(4, 1, None),
        accepted(5, None),
        Change::Remove(RecordKey::Job(JobId(5))),
    ];
    store.write(&changes).await.unwrap();
    let contents = crate::files::store(dir.path()).contents().await.unwrap();
    let left = survivors(&contents, &FileSystems::new(Context::default())).await;
    let from: Vec<(u128, &RestartFrom)> = left.iter().map(|left| (left.job.0, &left.from)).collect();
    let expected = [
        (1, &RestartFrom::Checkpoint { id: 4, path: older }),
        (2, &RestartFrom::Source { path: savepoint }),
        (3, &RestartFrom::Beginning),
        (4, &RestartFrom::RecordsOnly),
    ];
    assert_eq!(from, expected);
    assert_eq!(left[0].name, "job 1");
}

#[tokio::test]
async fn an_application_that_has_tidied_up_has_left_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(store(dir.path()).contents().await.unwrap(), Contents::default());
}
