//! How a container ended, in words that say what to do: what YARN says of it, and where its logs are.

use kvick_core::failure::{Failure, FailureKind};
use kvick_yarn::ids::ContainerId;
use kvick_yarn::records::{ContainerStatus, exit_status};

/// Shells and YARN add this to the number of the signal that ended a process.
const SIGNAL_BASE: i32 = 128;

/// The failure of a container that has ended; of the kind [`FailureKind::Withdrawn`] if it was the cluster's doing.
pub fn failure(status: &ContainerStatus) -> Failure {
    let mut detail = status.diagnostics.trim().to_string();
    if !detail.is_empty() {
        detail.push('\n');
    }
    detail.push_str(&logs_command(&status.id));
    Failure::new(kind(status.exit_status), cause(status)).with_detail(detail)
}

/// The command that shows a container's logs, once YARN has gathered them or while it runs.
pub fn logs_command(id: &ContainerId) -> String {
    let application = id.attempt_id.application_id;
    format!("More: yarn logs -applicationId {application} -containerId {id}")
}

/// Bad disks are the node's failure: it counts against the node.
fn kind(status: i32) -> FailureKind {
    let withdrawn = exit_status::is_not_its_fault(status) && status != exit_status::DISKS_FAILED;
    if withdrawn { FailureKind::Withdrawn } else { FailureKind::ExecutorLost }
}

/// The words of Flink's `YarnResourceManagerDriver` for a container's end, and more where it has none.
fn cause(status: &ContainerStatus) -> String {
    let id = &status.id;
    match status.exit_status {
        0 => format!("Container {id} exited normally."),
        exit_status::PREEMPTED => format!("Container {id} was preempted by yarn."),
        exit_status::INVALID => format!("Container {id} was invalid."),
        exit_status::ABORTED => format!(
            "Container {id} killed by YARN, either due to being released by the application or being 'lost' due to node \
             failures etc."
        ),
        exit_status::DISKS_FAILED => format!(
            "Container {id} is failed because threshold number of the nodemanager-local-directories or threshold number \
             of the nodemanager-log-directories have become bad."
        ),
        exit_status::EXCEEDED_MEMORY => format!(
            "Container {id} was killed by YARN: it used more memory than it has. Give task executors more with \
             taskmanager.memory.process.size, or more of it to what grows (taskmanager.memory.jvm-overhead.max)."
        ),
        exit_status::EXCEEDED_VIRTUAL_MEMORY => format!(
            "Container {id} was killed by YARN: it used more virtual memory than it may. Give task executors more with \
             taskmanager.memory.process.size, or have the cluster raise yarn.nodemanager.vmem-pmem-ratio or switch \
             yarn.nodemanager.vmem-check-enabled off."
        ),
        code => {
            let signal = signal_name(code).map(|name| format!(" ({name})")).unwrap_or_default();
            format!("Container {id} marked as failed. Exit code: {code}{signal}.")
        }
    }
}

/// The signal behind an exit code, where it is one that ends processes in practice.
fn signal_name(code: i32) -> Option<&'static str> {
    Some(match code.checked_sub(SIGNAL_BASE)? {
        1 => "SIGHUP",
        2 => "SIGINT",
        6 => "SIGABRT",
        7 => "SIGBUS",
        9 => "SIGKILL: from outside, or the machine had no memory left",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_yarn::records::ContainerState;

    fn ended(exit_status: i32) -> Failure {
        failure(&ContainerStatus {
            id: "container_1700000000001_0007_01_000003".parse().unwrap(),
            state: ContainerState::Complete,
            exit_status,
            diagnostics: "[2026-11-21] Killed by external signal\n".to_string(),
        })
    }

    #[test]
    fn the_end_of_a_container_names_the_signal_the_words_of_yarn_and_where_its_logs_are() {
        let killed = ended(137);
        assert!(killed.message.contains("Exit code: 137 (SIGKILL"), "{killed}");
        assert!(
            killed.detail.starts_with("[2026-11-21] Killed by external signal\nMore: yarn logs "),
            "{killed}"
        );
        let command = "-applicationId application_1700000000001_0007 -containerId container_1700000000001_0007_01_000003";
        assert!(killed.detail.ends_with(command), "{killed}");
    }

    #[test]
    fn what_the_cluster_did_is_not_the_containers_failure_but_bad_disks_count_against_their_node() {
        let withdrawn =
            [exit_status::PREEMPTED, exit_status::ABORTED, exit_status::KILLED_BY_RESOURCE_MANAGER];
        assert!(withdrawn.iter().all(|status| ended(*status).kind == FailureKind::Withdrawn));
        let failed = [1, 137, exit_status::DISKS_FAILED, exit_status::EXCEEDED_MEMORY];
        assert!(failed.iter().all(|status| ended(*status).kind == FailureKind::ExecutorLost));
    }
}
