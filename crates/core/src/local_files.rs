//! Where workers put what lasts no longer than they do, or than their job, and how it is named: so that a task executor knows
//! what a worker has left that was killed. Names alone; nothing here touches a disk.

use crate::config::Configuration;
use crate::ids::JobId;

/// The directory for local copies of checkpoints: in it one for each job, and in that one for each task executor.
pub const LOCAL_STATE: &str = "kvick-local-state";

/// The beginning of the name of a directory that a process of this job makes for itself.
pub fn owner(kind: &str, job: JobId, detail: &str) -> String {
    format!("kvick-{kind}-{job}-{detail}")
}

/// The name of such a directory: the `number`th of this process.
pub fn directory_name(owner: &str, pid: u32, number: u64) -> String {
    format!("{owner}-{pid}-{number}")
}

/// Whether a directory of this name was made by that process for this job.
pub fn made_by(name: &str, job: JobId, pid: u32) -> bool {
    let mut parts = name.rsplitn(3, '-');
    let is_number = parts.next().is_some_and(|number| number.parse::<u64>().is_ok());
    let is_process = parts.next().is_some_and(|process| process.parse() == Ok(pid));
    let owner = parts.next().unwrap_or_default();
    let is_jobs = owner.starts_with("kvick-") && owner.contains(&format!("-{job}-"));
    is_number && is_process && is_jobs
}

/// `execution.checkpointing.local-backup.dirs` (or the older `taskmanager.state.local.root-dirs`): where local copies are; the
/// directories for temporary files where not set.
pub fn local_state_dirs(config: &Configuration, tmp_dirs: &[String]) -> Vec<String> {
    let keys = ["execution.checkpointing.local-backup.dirs", "taskmanager.state.local.root-dirs"];
    keys.iter().find_map(|key| config.raw(key)).map_or_else(|| tmp_dirs.to_vec(), listed)
}

/// `state.backend.rocksdb.localdir`: where stores are, instead of the directories for temporary files; none where not set.
pub fn store_dirs(config: &Configuration) -> Vec<String> {
    config.raw("state.backend.rocksdb.localdir").map(listed).unwrap_or_default()
}

fn listed(directories: &str) -> Vec<String> {
    let all = directories.split([',', ':']).map(str::trim);
    all.filter(|directory| !directory.is_empty()).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_has_made_is_known_by_its_name_and_nothing_else_is() {
        let (job, other) = (JobId(7), JobId(8));
        let name = directory_name(&owner("spill", job, "000a-3-0"), 41, 12);
        assert!(made_by(&name, job, 41), "{name}");
        assert!(!made_by(&name, job, 12) && !made_by(&name, job, 4) && !made_by(&name, other, 41));
        for name in ["kvick-local-state", "41-12", &format!("mine-{job}-x-41-12"), &format!("{name}.old")] {
            assert!(!made_by(name, job, 41), "{name}");
        }
    }
}
