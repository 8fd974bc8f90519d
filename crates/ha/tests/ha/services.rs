//! Changes in order, together, and again until they are written.

use crate::{completed, leader, subsumed};
use async_trait::async_trait;
use kvick_core::ha::{Change, Contents, Leader};
use kvick_ha::{HaError, HaServices, HaStore};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use zookeeper_client::Error;

/// A store whose writes wait to be let through, and that does as it is told: the last outcome is the first.
struct Gate {
    open: Semaphore,
    writes: Mutex<Vec<Vec<Change>>>,
    outcomes: Mutex<Vec<HaError>>,
    /// How takeovers fail, before one succeeds.
    takeovers: Mutex<Vec<HaError>>,
}

#[async_trait]
impl HaStore for Gate {
    async fn take_over(&self, _leader: &Leader) -> Result<Contents, HaError> {
        self.takeovers.lock().unwrap().pop().map_or_else(|| Ok(Contents::default()), Err)
    }

    async fn leader(&self) -> Result<Option<Leader>, HaError> {
        Ok(None)
    }

    async fn write(&self, changes: &[Change]) -> Result<(), HaError> {
        self.open.acquire().await.unwrap().forget();
        self.writes.lock().unwrap().push(changes.to_vec());
        self.outcomes.lock().unwrap().pop().map_or(Ok(()), Err)
    }

    async fn contents(&self) -> Result<Contents, HaError> {
        Ok(Contents::default())
    }

    async fn clean_up(&self) -> Result<(), HaError> {
        Ok(())
    }
}

fn closed() -> Gate {
    Gate {
        open: Semaphore::new(0),
        writes: Mutex::default(),
        outcomes: Mutex::default(),
        takeovers: Mutex::default(),
    }
}

async fn gate(outcomes: Vec<HaError>) -> (Arc<Gate>, HaServices) {
    let gate = Arc::new(Gate { outcomes: Mutex::new(outcomes), ..closed() });
    let (services, _) = HaServices::take_over(gate.clone(), &leader(1)).await.unwrap();
    (gate, services)
}

#[tokio::test]
async fn changes_that_wait_are_written_together_and_in_order() {
    let (gate, services) = gate(Vec::new()).await;
    let first = services.write(vec![completed(1)]);
    tokio::task::yield_now().await;
    let others: Vec<_> = (2..6).map(|id| services.write(vec![completed(id)])).collect();
    gate.open.add_permits(9);
    first.await.unwrap();
    for other in others {
        other.await.unwrap();
    }
    let writes = gate.writes.lock().unwrap().clone();
    assert_eq!(writes.concat(), (1..6).map(completed).collect::<Vec<_>>());
    assert!(writes.len() <= 2, "{} writes", writes.len());
}

#[tokio::test]
async fn a_first_attempt_writes_as_soon_as_it_leads_and_ends_if_it_may_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = || Arc::new(crate::files::store(dir.path()));
    let first = HaServices::begin(store(), leader(1));
    first.write(vec![completed(4)]).await.unwrap();
    let (_second, contents) = HaServices::take_over(store(), &leader(2)).await.unwrap();
    assert_eq!(crate::checkpoints(&contents), [4]);
    let late = HaServices::begin(store(), leader(1));
    assert!(late.fenced().await.why.contains("attempt 2"));
    assert!(late.write(vec![completed(5)]).await.is_err());
}

#[tokio::test]
async fn a_write_that_fails_is_repeated_but_not_against_a_successor() {
    let fenced = HaError::Fenced { by: leader(2).epoch, own: leader(1).epoch };
    let (gate, services) = gate(vec![fenced, HaError::Lost("the disk is full".into())]).await;
    gate.open.add_permits(9);
    assert!(services.write(vec![completed(1)]).await.unwrap_err().is_fenced());
    let fence = services.fenced().await;
    assert!(fence.why.contains("attempt 2") && !fence.replaced, "{fence:?}");
    assert_eq!(gate.writes.lock().unwrap().len(), 2);
    assert!(services.write(vec![completed(2)]).await.is_err(), "nothing is promised after that");
}

#[tokio::test]
async fn a_store_that_is_gone_is_not_waited_for_and_gets_what_it_missed_once_it_is_back() {
    let gone = || HaError::Gone { directory: "hdfs:///ha/application_1_2".into() };
    let (gate, services) = gate(vec![gone(), gone()]).await;
    gate.open.add_permits(9);
    let error = services.write(vec![completed(1), completed(2)]).await.unwrap_err();
    assert!(error.to_string().contains("hdfs:///ha/application_1_2"), "{error}");
    assert!(services.write(vec![subsumed(1)]).await.is_err());
    services.write(vec![completed(3)]).await.unwrap();
    let last = gate.writes.lock().unwrap().last().cloned().unwrap();
    assert_eq!(last, [subsumed(1), completed(2), completed(3)]);
}

#[tokio::test]
async fn a_store_that_a_first_attempt_cannot_use_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("application"), "a file where the directory should be").unwrap();
    let services = HaServices::begin(Arc::new(crate::files::store(dir.path())), leader(1));
    assert!(services.unusable().await.contains("application"));
    assert!(services.write(vec![completed(1)]).await.is_err(), "and nobody waits for it");
}

#[tokio::test]
async fn a_takeover_is_tried_again_when_the_connection_to_zookeeper_is_lost_and_not_when_it_is_refused() {
    let lost = |source| HaError::ZooKeeper { quorum: "zoo:2181".into(), act: "read".into(), source };
    let takeovers = vec![lost(Error::SessionExpired), lost(Error::ConnectionLoss)];
    let gate = Arc::new(Gate { takeovers: Mutex::new(takeovers), ..closed() });
    HaServices::take_over(gate.clone(), &leader(2)).await.unwrap();
    assert!(gate.takeovers.lock().unwrap().is_empty());
    gate.takeovers.lock().unwrap().push(lost(Error::NoAuth));
    assert!(HaServices::take_over(gate, &leader(2)).await.is_err());
}
