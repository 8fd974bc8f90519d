//! Part files in buckets, exactly once: Flink's `FileSink` for row formats.
//!
//! A part's life: *in progress* while it is written, under a hidden name; *pending* once it is closed, under the same name;
//! *finished* under its own name, once the checkpoint that it belongs to is complete. A part that is still being written
//! when a checkpoint is taken stays in progress: its length goes into the checkpoint, and after a failure it is gone on with
//! from there (in a copy, see `kvick_filesystem::output`). A savepoint, and the end of the input, close all parts.
//!
//! What readers of the directory see are finished parts only. What failed attempts leave behind is hidden. Names are
//! `<prefix>-<uid>-<n><suffix>` and `.<prefix>-<uid>-<n><suffix>.inprogress.<unique>`; the uid is new for every attempt, so
//! nobody takes another one's name.

mod bucket;
mod encoder;
mod part;
mod pattern;
mod policy;
#[cfg(test)]
mod tests;
mod writer;

pub use bucket::{BasePathBucketAssigner, BucketAssigner, BucketContext, DateTimeBucketAssigner};
pub use encoder::{CsvEncoder, Encoder, JsonEncoder, TextEncoder};
pub use part::PartFile;
pub use policy::{OutputFileConfig, RollingPolicy};
pub use writer::FileSinkWriter;

use std::time::Duration;

/// Writes records into part files of a directory.
///
/// ```
/// use kvick_runtime::sinks::{FileSink, OutputFileConfig, RollingPolicy, TextEncoder};
/// use std::time::Duration;
///
/// let sink = FileSink::for_row_format("hdfs:///out", TextEncoder)
///     .with_bucket_assigner(|record: &(String, u64)| record.0.clone())
///     .with_rolling_policy(RollingPolicy::default().with_rollover_interval(Duration::from_secs(600)))
///     .with_output_file_config(OutputFileConfig { prefix: "counts".into(), suffix: ".txt".into() });
/// # drop(sink);
/// ```
#[derive(Debug, Clone)]
pub struct FileSink<E, B> {
    path: String,
    encoder: E,
    assigner: B,
    policy: RollingPolicy,
    names: OutputFileConfig,
    check_interval: Duration,
    ignore_missing: bool,
}

impl<E> FileSink<E, DateTimeBucketAssigner> {
    /// Parts under a path, with a bucket for every hour.
    #[doc(alias = "forRowFormat")]
    pub fn for_row_format(path: impl Into<String>, encoder: E) -> Self {
        FileSink {
            path: path.into(),
            encoder,
            assigner: DateTimeBucketAssigner::default(),
            policy: RollingPolicy::default(),
            names: OutputFileConfig::default(),
            check_interval: Duration::from_secs(60),
            ignore_missing: false,
        }
    }
}

impl<E, B> FileSink<E, B> {
    /// Chooses the bucket of each record: [`BasePathBucketAssigner`] for none, [`DateTimeBucketAssigner`], a function.
    #[must_use]
    #[doc(alias = "withBucketAssigner")]
    pub fn with_bucket_assigner<A>(self, assigner: A) -> FileSink<E, A> {
        let FileSink { path, encoder, policy, names, check_interval, ignore_missing, .. } = self;
        FileSink { path, encoder, assigner, policy, names, check_interval, ignore_missing }
    }

    /// When parts are closed.
    #[must_use]
    #[doc(alias = "withRollingPolicy")]
    pub fn with_rolling_policy(mut self, policy: RollingPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// What parts are called.
    #[must_use]
    #[doc(alias = "withOutputFileConfig")]
    pub fn with_output_file_config(mut self, names: OutputFileConfig) -> Self {
        self.names = names;
        self
    }

    /// How often the rules of time are looked at; every minute by default.
    #[must_use]
    #[doc(alias = "withBucketCheckInterval")]
    pub fn with_bucket_check_interval(mut self, interval: Duration) -> Self {
        self.check_interval = interval;
        self
    }

    /// A part that a checkpoint says is to be committed, and that is neither pending nor finished, was lost, or was committed
    /// before and taken away by a reader. By default that fails the job; with this it is taken for read.
    #[must_use]
    pub fn ignore_missing_pending_files(mut self) -> Self {
        self.ignore_missing = true;
        self
    }

    /// The sink of one subtask.
    pub fn writer(self) -> FileSinkWriter<E, B> {
        FileSinkWriter::new(self)
    }
}
