//! What of the configuration decides how checkpoints are taken and kept (`execution.checkpointing.*`, `state.*`).

use crate::config::options::{self, ConfigOption};
use crate::config::{ConfigError, ConfigValue, Configuration};
use crate::ids::JobId;
use crate::time::Millis;

/// The shortest interval and timeout that Flink accepts (`CheckpointConfig.MINIMAL_CHECKPOINT_TIME`), in milliseconds.
const SHORTEST: u64 = 10;

/// State kept by the application master itself may be this large per piece, in bytes (`JobManagerCheckpointStorage`).
const JOB_MANAGER_LIMIT: u64 = 5 << 20;

/// What a restored record may count for (`execution.checkpointing.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointMode {
    /// Barriers are aligned: a record is in exactly one checkpoint's state.
    ExactlyOnce,
    /// Barriers do not block: records behind a barrier may be in the state as well.
    AtLeastOnce,
}

/// What becomes of completed checkpoints when the job ends otherwise than by finishing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointRetention {
    /// They are removed in any case.
    None,
    /// They are kept when the job fails.
    DeleteOnCancellation,
    /// They are kept when the job fails or is cancelled.
    RetainOnCancellation,
}

/// Where the state of checkpoints goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointStorage {
    /// Into the acknowledgements, and from there into the application master's memory.
    JobManager {
        /// The most that one piece of state may have, in bytes.
        max_state_bytes: u64,
    },
    /// Into files.
    FileSystem {
        /// `execution.checkpointing.dir`.
        dir: String,
        /// Whether each job has a directory of its own below it.
        create_subdir: bool,
    },
}

/// How the checkpoints of a job are taken and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointSettings {
    /// Time from one periodic checkpoint to the next; none are taken without.
    pub interval: Option<Millis>,
    /// Exactly once or at least once.
    pub mode: CheckpointMode,
    /// After this time a checkpoint is given up.
    pub timeout: Millis,
    /// Least time from the completion of a checkpoint to the next periodic one.
    pub min_pause: Millis,
    /// How many may be under way at once, at least 1.
    pub max_concurrent: usize,
    /// How many in a row may fail before the job does.
    pub tolerable_failures: u32,
    /// What is kept when the job ends.
    pub retention: CheckpointRetention,
    /// How many completed checkpoints are kept while it runs, at least 1.
    pub retained: usize,
    /// Whether barriers overtake records.
    pub unaligned: bool,
    /// With [`CheckpointSettings::unaligned`]: only after this time of alignment.
    pub aligned_timeout: Millis,
    /// Whether checkpoints go on once tasks have finished.
    pub after_tasks_finish: bool,
    /// Whether a checkpoint may refer to files of the one before.
    pub incremental: bool,
    /// Where state goes.
    pub storage: CheckpointStorage,
    /// Where savepoints go for which no place is named.
    pub savepoint_dir: Option<String>,
    /// State up to this size, in bytes, stands in the metadata itself.
    pub inline_threshold: u64,
    /// How many checkpoints the statistics remember (`web.checkpoints.history`).
    pub history: usize,
}

/// What precedes the number in the name of a checkpoint's directory (`AbstractFsCheckpointStorageAccess.CHECKPOINT_DIR_PREFIX`).
pub const CHECKPOINT_PREFIX: &str = "chk-";

impl CheckpointSettings {
    /// The directory of a job's checkpoints; none where state is inline.
    pub fn job_directory(&self, job: JobId) -> Option<String> {
        match &self.storage {
            CheckpointStorage::JobManager { .. } => None,
            CheckpointStorage::FileSystem { dir, create_subdir } => {
                let dir = dir.trim_end_matches('/');
                Some(if *create_subdir { format!("{dir}/{job}") } else { dir.to_string() })
            }
        }
    }

    /// Reads the settings of a job: what the program itself configured is stronger than what the client did.
    ///
    /// # Errors
    /// The first value that is not of its option's type, or out of its range.
    pub fn from_config(
        program: &Configuration,
        client: &Configuration,
    ) -> Result<CheckpointSettings, ConfigError> {
        let mut config = client.clone();
        config.overlay(program);
        let mode = mode(&config)?;
        let storage = storage(&config)?;
        // Without alignment there is nothing to overtake.
        let unaligned = config.get(&options::UNALIGNED)? && mode == CheckpointMode::ExactlyOnce;
        Ok(CheckpointSettings {
            interval: interval(&config)?,
            mode,
            timeout: at_least(&config, &options::CHECKPOINT_TIMEOUT, "a duration of at least 10 ms", |v| {
                v.as_millis() >= u128::from(SHORTEST)
            })?
            .into(),
            min_pause: config.get(&options::CHECKPOINT_MIN_PAUSE)?.into(),
            max_concurrent: concurrent(&config, unaligned)?,
            tolerable_failures: config.get(&options::CHECKPOINT_TOLERABLE)?,
            retention: retention(&config)?,
            retained: count(&config, &options::CHECKPOINT_RETAINED)?,
            unaligned,
            aligned_timeout: config.get(&options::ALIGNED_TIMEOUT)?.into(),
            after_tasks_finish: config.get(&options::CHECKPOINT_AFTER_FINISH)?,
            incremental: config.get(&options::INCREMENTAL)?,
            storage,
            savepoint_dir: config.get(&options::SAVEPOINT_DIR)?,
            inline_threshold: config.get(&options::INLINE_THRESHOLD)?.0,
            history: config.get(&options::WEB_CHECKPOINTS)? as usize,
        })
    }
}

impl Default for CheckpointSettings {
    /// The defaults of the options: no periodic checkpoints, state in the application master's memory.
    fn default() -> Self {
        CheckpointSettings {
            interval: None,
            mode: CheckpointMode::ExactlyOnce,
            timeout: Millis(600_000),
            min_pause: Millis(0),
            max_concurrent: 1,
            tolerable_failures: 0,
            retention: CheckpointRetention::None,
            retained: 1,
            unaligned: false,
            aligned_timeout: Millis(0),
            after_tasks_finish: true,
            incremental: false,
            storage: CheckpointStorage::JobManager { max_state_bytes: JOB_MANAGER_LIMIT },
            savepoint_dir: None,
            inline_threshold: 20 << 10,
            history: 10,
        }
    }
}

fn interval(config: &Configuration) -> Result<Option<Millis>, ConfigError> {
    let fits = |v: &Option<std::time::Duration>| v.is_none_or(|v| v.as_millis() >= u128::from(SHORTEST));
    let value = at_least(config, &options::CHECKPOINT_INTERVAL, "a duration of at least 10 ms", fits)?;
    Ok(value.map(Millis::from))
}

fn count(config: &Configuration, option: &ConfigOption<u32>) -> Result<usize, ConfigError> {
    at_least(config, option, "a whole number of at least 1", |v| *v >= 1).map(|v| v as usize)
}

/// Barriers that overtake records cannot overtake each other (`CheckpointCoordinatorConfiguration`).
fn concurrent(config: &Configuration, unaligned: bool) -> Result<usize, ConfigError> {
    let option = &options::CHECKPOINT_CONCURRENT;
    match count(config, option)? {
        1 => Ok(1),
        _ if unaligned => Err(config.unexpected(option, "1, as unaligned checkpoints are enabled")),
        several => Ok(several),
    }
}

fn mode(config: &Configuration) -> Result<CheckpointMode, ConfigError> {
    match word(config, &options::CHECKPOINT_MODE)?.as_str() {
        "EXACTLY_ONCE" => Ok(CheckpointMode::ExactlyOnce),
        "AT_LEAST_ONCE" => Ok(CheckpointMode::AtLeastOnce),
        _ => Err(config.unexpected(&options::CHECKPOINT_MODE, "EXACTLY_ONCE or AT_LEAST_ONCE")),
    }
}

fn retention(config: &Configuration) -> Result<CheckpointRetention, ConfigError> {
    let option = &options::CHECKPOINT_RETENTION;
    match word(config, option)?.as_str() {
        "NO_EXTERNALIZED_CHECKPOINTS" => Ok(CheckpointRetention::None),
        "DELETE_ON_CANCELLATION" => Ok(CheckpointRetention::DeleteOnCancellation),
        "RETAIN_ON_CANCELLATION" => Ok(CheckpointRetention::RetainOnCancellation),
        _ => {
            let words = "NO_EXTERNALIZED_CHECKPOINTS, DELETE_ON_CANCELLATION or RETAIN_ON_CANCELLATION";
            Err(config.unexpected(option, words))
        }
    }
}

/// Files where a directory is set, memory where none is, unless the storage is named.
fn storage(config: &Configuration) -> Result<CheckpointStorage, ConfigError> {
    let option = &options::CHECKPOINT_STORAGE;
    let dir = config.get(&options::CHECKPOINT_DIR)?;
    let named = config.get(option)?.map(|name| name.trim().to_ascii_lowercase());
    let create_subdir = config.get(&options::CHECKPOINT_SUBDIR)?;
    match (named.as_deref(), dir) {
        (Some("jobmanager"), _) | (None, None) => {
            Ok(CheckpointStorage::JobManager { max_state_bytes: JOB_MANAGER_LIMIT })
        }
        (Some("filesystem") | None, Some(dir)) => Ok(CheckpointStorage::FileSystem { dir, create_subdir }),
        (Some("filesystem"), None) => {
            Err(config.unexpected(option, "jobmanager, as execution.checkpointing.dir is not set"))
        }
        (Some(_), _) => Err(config.unexpected(option, "jobmanager or filesystem")),
    }
}

fn word(config: &Configuration, option: &ConfigOption<String>) -> Result<String, ConfigError> {
    Ok(config.get(option)?.trim().to_ascii_uppercase().replace('-', "_"))
}

fn at_least<T: ConfigValue>(
    config: &Configuration,
    option: &ConfigOption<T>,
    expected: &'static str,
    fits: impl FnOnce(&T) -> bool,
) -> Result<T, ConfigError> {
    let value = config.get(option)?;
    if fits(&value) { Ok(value) } else { Err(config.unexpected(option, expected)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<CheckpointSettings, ConfigError> {
        CheckpointSettings::from_config(&Configuration::default(), &pairs.iter().copied().collect())
    }

    #[test]
    fn an_empty_configuration_gives_the_defaults() {
        assert_eq!(read(&[]), Ok(CheckpointSettings::default()));
    }

    #[test]
    fn old_and_new_names_count_and_the_program_wins_over_the_client() {
        let client: Configuration = [
            ("execution.checkpointing.interval", "10 s"),
            ("state.checkpoints.dir", "hdfs:///c"),
            ("state.checkpoints.num-retained", "3"),
            ("execution.checkpointing.externalized-checkpoint-retention", "retain_on_cancellation"),
        ]
        .into_iter()
        .collect();
        let program: Configuration = [("execution.checkpointing.interval", "1 s")].into_iter().collect();
        let settings = CheckpointSettings::from_config(&program, &client).unwrap();
        assert_eq!(settings.interval, Some(Millis(1000)));
        assert_eq!(settings.retained, 3);
        assert_eq!(settings.retention, CheckpointRetention::RetainOnCancellation);
        let dir = "hdfs:///c".to_string();
        assert_eq!(settings.storage, CheckpointStorage::FileSystem { dir, create_subdir: true });
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_key() {
        for (key, value) in [
            ("execution.checkpointing.interval", "5 ms"),
            ("execution.checkpointing.timeout", "0"),
            ("execution.checkpointing.mode", "TWICE"),
            ("execution.checkpointing.max-concurrent-checkpoints", "0"),
            ("execution.checkpointing.num-retained", "0"),
            ("execution.checkpointing.storage", "filesystem"),
            ("execution.checkpointing.storage", "tape"),
            ("execution.checkpointing.externalized-checkpoint-retention", "KEEP"),
        ] {
            let error = read(&[(key, value)]).unwrap_err();
            assert_eq!((error.key.as_str(), error.value.as_str()), (key, value));
        }
    }

    #[test]
    fn barriers_that_do_not_align_cannot_overtake() {
        let pairs = [
            ("execution.checkpointing.mode", "AT_LEAST_ONCE"),
            ("execution.checkpointing.unaligned.enabled", "true"),
        ];
        assert!(!read(&pairs).unwrap().unaligned);
    }

    #[test]
    fn unaligned_checkpoints_are_taken_one_at_a_time() {
        let several = ("execution.checkpointing.max-concurrent-checkpoints", "2");
        let unaligned = ("execution.checkpointing.unaligned", "true");
        assert_eq!(read(&[several]).unwrap().max_concurrent, 2);
        assert!(read(&[unaligned]).unwrap().unaligned);
        assert_eq!(read(&[several, unaligned]).unwrap_err().key, several.0);
    }
}
