//! The faults: what each is called, what it leaves alone, and where it cannot be done.

use super::daemons;
use anyhow::{Context, Result};

/// One list of all faults, so that none has a place in one list and not in another.
macro_rules! faults {
    ($($fault:ident: $name:literal, $meaning:literal;)+) => {
        /// Something that can go wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault {
            $(#[doc = $meaning] $fault,)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$fault),+];

            /// What it is called on the command line and in the table.
            pub fn name(self) -> &'static str {
                match self {
                    $(Fault::$fault => $name,)+
                }
            }

            /// What it is.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Fault::$fault => $meaning,)+
                }
            }
        }
    };
}

faults! {
    MasterKilled: "am-kill", "kill -9 of the application master";
    ExecutorKilled: "executor-kill", "kill -9 of a task executor";
    WorkerKilled: "worker-kill", "kill -9 of a worker";
    MasterPaused: "am-pause", "the application master paused for less than the time-outs";
    ExecutorPaused: "executor-pause", "a task executor paused for less than the time-outs";
    WorkerPaused: "worker-pause", "a worker paused for less than the time-outs";
    MasterHung: "am-hang", "the application master paused for longer than the time-outs";
    ExecutorHung: "executor-hang", "a task executor paused for longer than the time-outs";
    WorkerHung: "worker-hang", "a worker paused for longer than the time-outs";
    MasterAndExecutor: "am-executor-kill", "application master and task executor killed within a second";
    MasterInCheckpoint: "am-kill-checkpoint", "the application master killed during a checkpoint";
    MasterOutlived: "am-outlived", "the application master's node cut off; it wakes up beside its successor";
    NodeManagerRestarted: "nm-restart", "a NodeManager killed and started again, its containers live";
    NodeLost: "node-lost", "a NodeManager killed with all its containers";
    ResourceManagerRestarted: "rm-restart", "the active ResourceManager killed and started again";
    ResourceManagerFailover: "rm-failover", "the active ResourceManager killed, the other takes over";
    NameNodeRestarted: "nn-restart", "the NameNode killed and started again";
    NameNodeSafeMode: "nn-safemode", "the NameNode in safe mode for some seconds";
    DataNodeRestarted: "dn-restart", "the DataNode killed and started again";
    ZooKeeperKilled: "zk-kill", "a ZooKeeper server killed and started again";
    DiskFull: "disk-full", "the disk of a NodeManager's containers full";
    TokenRolled: "token-roll", "the AMRM token rolled over, then the ResourceManager restarted";
    MasterInDeployment: "am-kill-deployment", "the application master killed while a job is deployed";
    MasterInSavepoint: "am-kill-savepoint", "the application master killed while a savepoint is taken";
    MasterInCancellation: "am-kill-cancel", "the application master killed while a job is cancelled";
    MasterOfSession: "am-kill-session", "the application master of a session with three jobs killed";
    MasterOfApplication: "am-kill-application", "the application master killed in which main() runs";
    Preempted: "preemption", "another queue takes a container at work back, and ends";
    Decommissioned: "decommission", "a node with a task executor taken out of the cluster gracefully";
}

impl Fault {
    /// Those that are done to jobs of their own, at a moment or in a way that the job which runs all the time does not have.
    const APART: [Fault; 7] = [
        Fault::MasterInDeployment,
        Fault::MasterInSavepoint,
        Fault::MasterInCancellation,
        Fault::MasterOfSession,
        Fault::MasterOfApplication,
        Fault::Preempted,
        Fault::Decommissioned,
    ];

    /// The fault of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Fault> {
        let found = Fault::ALL.iter().copied().find(|fault| fault.name() == name);
        found.with_context(|| format!("there is no fault '{name}'; --list names them"))
    }

    /// Whether it is done to a job of its own, not to the one that runs all the time.
    pub fn has_own_job(self) -> bool {
        Fault::APART.contains(&self)
    }

    /// Whether other jobs notice nothing of it: one that runs all the time may go on meanwhile.
    pub fn spares_other_jobs(self) -> bool {
        // The container that is taken back, or what runs on the node, may be theirs.
        self.has_own_job() && !matches!(self, Fault::Preempted | Fault::Decommissioned)
    }

    /// Whether a running job's workers live through it, without a restart. YARN counts a node that is cut off as lost, with
    /// whatever else runs there; and task executors end whose master has not answered for `heartbeat.timeout`.
    pub fn spares_workers(self) -> bool {
        matches!(
            self,
            Fault::MasterKilled
                | Fault::MasterPaused
                | Fault::ExecutorPaused
                | Fault::WorkerPaused
                | Fault::MasterInCheckpoint
                | Fault::NodeManagerRestarted
                | Fault::ResourceManagerRestarted
                | Fault::ResourceManagerFailover
                | Fault::ZooKeeperKilled
                | Fault::TokenRolled
        )
    }

    /// Why this cluster, with this one of its daemons dead, does not allow it; nothing where it does.
    pub fn hindrance(self, roles: &[String], dead: Option<&str>) -> Option<&'static str> {
        let has = |role: &str| roles.iter().any(|one| one == role);
        let is_set = |name: &str| std::env::var_os(name).is_some();
        let why = match self {
            Fault::ResourceManagerFailover if !has("resourcemanager2") => "there is one ResourceManager",
            Fault::ZooKeeperKilled if !has("zookeeper3") => "there is no ensemble of ZooKeeper servers",
            Fault::ZooKeeperKilled if dead.is_some_and(|role| role.starts_with("zookeeper")) => {
                "without another ZooKeeper server there is no majority"
            }
            Fault::MasterOutlived | Fault::NodeLost | Fault::Preempted | Fault::Decommissioned
                if !has("nodemanager2") =>
            {
                "there is one NodeManager"
            }
            Fault::Preempted if !daemons::preempts() => "YARN takes no containers back",
            Fault::DiskFull if !is_set("KVICK_SMALL_DISK") => {
                "no small file system could be mounted for a NodeManager"
            }
            Fault::TokenRolled if !is_set("KVICK_TOKEN_ROLL_SECONDS") => {
                "the ResourceManager keeps its keys for a day"
            }
            _ => return None,
        };
        Some(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name_and_no_other() {
        for fault in Fault::ALL {
            assert_eq!(Fault::named(fault.name()).unwrap(), *fault);
        }
        assert!(Fault::named("am-kil").unwrap_err().to_string().contains("'am-kil'"));
    }

    #[test]
    fn a_second_zookeeper_server_is_not_killed_where_one_is_dead() {
        let roles: Vec<String> = (1..=3).map(|number| format!("zookeeper{number}")).collect();
        assert_eq!(Fault::ZooKeeperKilled.hindrance(&roles, None), None);
        let why = Fault::ZooKeeperKilled.hindrance(&roles, Some("zookeeper3"));
        assert!(why.is_some_and(|why| why.contains("majority")), "{why:?}");
    }
}
