//! Where workers put what lasts no longer than they do, or than their job, and how it is named: so that a task executor knows
//! what a worker has left that was killed. Names alone; nothing here touches a disk.

use crate::config::options::ConfigOption;
use crate::config::{Configuration, options};
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
    directories(config, &options::LOCAL_DIRS).unwrap_or_else(|| tmp_dirs.to_vec())
}

/// `state.backend.rocksdb.localdir`: where stores are, instead of the directories for temporary files; none where not set.
pub fn store_dirs(config: &Configuration) -> Vec<String> {
    directories(config, &options::ROCKSDB_LOCAL_DIRS).unwrap_or_default()
}

/// `io.tmp.dirs` (or the older `taskmanager.tmp.dirs`): the directories for temporary files, where they are set.
pub fn tmp_dirs(config: &Configuration) -> Option<Vec<String>> {
    directories(config, &options::TMP_DIRS)
}

fn directories(config: &Configuration, option: &ConfigOption<Option<String>>) -> Option<Vec<String>> {
    let (_, listed) = config.entry(&option.info)?;
    let all = listed.split([',', ':']).map(str::trim);
    Some(all.filter(|directory| !directory.is_empty()).map(str::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_set_under_either_name() {
        let config: Configuration =
            [("taskmanager.tmp.dirs", "/a, /b:/c"), ("taskmanager.state.local.root-dirs", "/d")]
                .into_iter()
                .collect();
        assert_eq!(tmp_dirs(&config).unwrap(), ["/a", "/b", "/c"]);
        assert_eq!(local_state_dirs(&config, &[]), ["/d"]);
        assert_eq!(tmp_dirs(&Configuration::default()), None);
    }

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
