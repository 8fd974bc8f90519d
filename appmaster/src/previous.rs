//! Containers of an earlier attempt: whether their task executors may still come forward. What is known to be gone need not be
//! waited for.

use crate::handle::ClusterHandle;
use crate::input::Input;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::ExecutorId;
use kvick_core::master::Effect;
use kvick_yarn::ids::{ContainerId, NodeId};
use kvick_yarn::nm::NmClients;
use kvick_yarn::records::{ContainerState, ContainerStatus};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

/// How long a node may take to answer, and a task executor there to come forward although its node does not answer: they look
/// for the next application master every 200 ms.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Pause between two questions. A node calls a container running whose process is gone, as long as it cleans up after it.
const PAUSE: Duration = Duration::from_millis(300);

/// Asks the node for a container until its task executor has come forward or need not. Returns how it has ended, if it has; if
/// the node does not know or answer, its task executor is given up unless it comes forward by itself.
pub async fn look_after(
    nodes: &NmClients,
    node: &NodeId,
    id: ContainerId,
    cluster: &ClusterHandle,
) -> Option<ContainerStatus> {
    let executor = ExecutorId(id.to_string());
    loop {
        let until = Instant::now() + PATIENCE;
        let answer = nodes.statuses(node, &[id]).await.pop().map(|(_, answer)| answer);
        let why = match answer {
            Some(Ok(status)) if status.state == ContainerState::Complete => return Some(status),
            Some(Ok(_)) if is_awaited(cluster, &executor).await => {
                sleep(PAUSE).await;
                continue;
            }
            Some(Ok(_)) => return None,
            Some(Err(error)) => error.to_string(),
            None => "it was not asked".to_string(),
        };
        debug!("container {id} of an earlier attempt: {why}");
        sleep_until(until).await;
        give_up(cluster, executor, why);
        return None;
    }
}

/// Whether a container that YARN did not name when this attempt registered is of use: its task executor has come forward, or is
/// waited for from now on.
pub async fn is_of_use(cluster: &ClusterHandle, id: ContainerId) -> bool {
    let executor = ExecutorId(id.to_string());
    let answer = cluster.ask(move |cluster, now| cluster.master.found_late(now, &executor));
    answer.await.unwrap_or_default()
}

/// Whether a task executor has not come forward, and is waited for.
async fn is_awaited(cluster: &ClusterHandle, executor: &ExecutorId) -> bool {
    let executor = executor.clone();
    let answer =
        cluster.ask(move |cluster, _| cluster.master.resources().starting().any(|id| *id == executor));
    answer.await.unwrap_or_default()
}

fn give_up(cluster: &ClusterHandle, executor: ExecutorId, why: String) {
    cluster.send(Input::Request(Box::new(move |cluster, now| {
        if !cluster.master.resources().starting().any(|id| *id == executor) {
            return;
        }
        let text = format!(
            "container {executor} of an earlier attempt is gone: its node says nothing of it ({why})"
        );
        let failure = Failure::new(FailureKind::Withdrawn, text.clone());
        cluster.effects.push(Effect::ReleaseContainer { executor: executor.clone(), reason: text });
        cluster.with_master(|master, fx| master.container_ended(now, &executor, failure, fx));
    })));
}
