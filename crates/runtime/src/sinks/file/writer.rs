//! Writes the parts of one subtask: one open part for each bucket.

use super::part::PartFile;
use super::{BucketAssigner, BucketContext, Encoder, FileSink};
use crate::element::{Batch, NO_TIMESTAMP};
use crate::error::{TaskError, TaskResult};
use crate::hash::stable_hash;
use crate::log;
use crate::sinks::two_phase::{Prepare, TwoPhaseSink};
use crate::task::TaskContext;
use crate::time::Clock;
use kvick_filesystem::blocking::{FileSystem, FileSystems};
use kvick_filesystem::output::OutputFile;
use kvick_filesystem::{CreateOptions, FsError, FsPath};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Encoded bytes are handed to the file when there are so many.
const CHUNK: usize = 64 << 10;

/// A part in progress.
struct Part {
    file: OutputFile,
    begun: Instant,
    written: Instant,
}

/// Where the parts of an opened sink go.
struct Place {
    systems: Arc<FileSystems>,
    files: FileSystem,
    base: FsPath,
    uid: String,
}

/// Writes the parts of one subtask.
pub struct FileSinkWriter<E, B> {
    sink: FileSink<E, B>,
    place: Option<Place>,
    clock: Clock,
    next_number: u64,
    parts: BTreeMap<String, Part>,
    /// Closed since the last snapshot; and whether an earlier snapshot knows the part.
    closed: Vec<(PartFile, bool)>,
    /// The bucket to which `bytes` belong.
    bucket: String,
    bytes: Vec<u8>,
    /// How long the part of `bucket` is.
    length: u64,
    /// For the bucket of the next record.
    scratch: String,
    next_check: Option<Instant>,
}

impl<E, B> FileSinkWriter<E, B> {
    pub(super) fn new(sink: FileSink<E, B>) -> Self {
        FileSinkWriter {
            sink,
            place: None,
            clock: Clock::default(),
            next_number: 0,
            parts: BTreeMap::new(),
            closed: Vec::new(),
            bucket: String::new(),
            bytes: Vec::with_capacity(CHUNK + 4096),
            length: 0,
            scratch: String::new(),
            next_check: None,
        }
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) -> TaskError {
        TaskError::caused(format!("cannot write to {}", self.sink.path), error)
    }

    fn place(&self) -> TaskResult<&Place> {
        self.place.as_ref().ok_or_else(|| TaskError::failed("the file sink was not opened"))
    }

    fn begin_part(&mut self) -> TaskResult {
        check_bucket(&self.bucket)?;
        let place = self.place()?;
        let names = &self.sink.names;
        let name = format!("{}-{}-{}{}", names.prefix, place.uid, self.next_number, names.suffix);
        let target = place.base.join(&self.bucket).join(&name);
        let file = OutputFile::create(&place.files, &target, &CreateOptions::default());
        let file = file.map_err(|error| self.failed(&error))?;
        self.next_number += 1;
        let now = Instant::now();
        self.next_check.get_or_insert(now + self.sink.check_interval);
        self.parts.insert(self.bucket.clone(), Part { file, begun: now, written: now });
        Ok(())
    }

    /// Hands what is encoded to the part of its bucket.
    fn flush(&mut self) -> TaskResult {
        if self.bytes.is_empty() {
            return Ok(());
        }
        if !self.parts.contains_key(&self.bucket) {
            self.begin_part()?;
        }
        let Some(part) = self.parts.get_mut(&self.bucket) else { return Ok(()) };
        let written = part.file.write_all(&self.bytes);
        part.written = Instant::now();
        self.length = part.file.length();
        written.map_err(|error| self.failed(&error))?;
        self.bytes.clear();
        if self.length >= self.sink.policy.max_part_size {
            self.close_part(&self.bucket.clone())?;
        }
        Ok(())
    }

    fn change_bucket(&mut self) -> TaskResult {
        self.flush()?;
        std::mem::swap(&mut self.bucket, &mut self.scratch);
        self.length = self.parts.get(&self.bucket).map_or(0, |part| part.file.length());
        Ok(())
    }

    fn close_part(&mut self, bucket: &str) -> TaskResult {
        if bucket == self.bucket {
            self.length = 0;
        }
        let Some(part) = self.parts.remove(bucket) else { return Ok(()) };
        let known = part.file.is_persisted();
        let pending = part.file.prepare().map_err(|error| self.failed(&error))?;
        self.closed.push((PartFile::of(bucket, &pending), known));
        Ok(())
    }

    fn close_all(&mut self) -> TaskResult {
        let buckets: Vec<String> = self.parts.keys().cloned().collect();
        buckets.iter().try_for_each(|bucket| self.close_part(bucket))
    }

    /// Goes on with the parts of a checkpoint. Of two in one bucket (there were more subtasks) one is closed.
    fn resume(&mut self, restored: Vec<PartFile>, systems: &FileSystems) -> TaskResult {
        settle_all(&restored, systems);
        for state in restored {
            let Some(file) = state.resume(systems)? else { continue };
            let now = Instant::now();
            self.close_part(&state.bucket)?;
            self.parts.insert(state.bucket, Part { file, begun: now, written: now });
            self.next_check.get_or_insert(now + self.sink.check_interval);
        }
        Ok(())
    }

    /// What an earlier attempt that no checkpoint knows of has left behind is as if never written.
    fn undo(&self, place: &Place, lineage: &str) -> Result<(), FsError> {
        let begins = format!("{}-{lineage}", self.sink.names.prefix);
        let mut directories = vec![place.base.clone()];
        while let Some(directory) = directories.pop() {
            let entries = match place.files.list(&directory) {
                Err(error) if error.is_not_found() => continue,
                entries => entries?,
            };
            for entry in entries {
                let name = entry.path.name();
                if entry.is_directory {
                    directories.push(entry.path);
                } else if name.strip_prefix('.').unwrap_or(name).starts_with(&begins) {
                    place.files.delete(&entry.path, false)?;
                    log::info(&format!("removed {}, which a failed attempt had written", entry.path));
                }
            }
        }
        Ok(())
    }
}

/// How many files are taken over from their old writers at once.
const SETTLED_AT_ONCE: usize = 16;

/// Taking a file over from a writer that is gone may take seconds: for many files it is asked for together. Whoever then
/// opens the file meets the failures.
fn settle_all(parts: &[PartFile], systems: &FileSystems) {
    for some in parts.chunks(SETTLED_AT_ONCE).filter(|_| parts.len() > 1) {
        std::thread::scope(|scope| {
            for part in some {
                scope.spawn(|| part.settle(systems));
            }
        });
    }
}

/// The same for all attempts of a subtask.
fn lineage(context: &TaskContext) -> String {
    let hash = stable_hash(&(context.job.job_id.0, context.operator.id.0, context.subtask()));
    format!("{:012x}", hash >> 16)
}

/// New for every attempt.
fn uid(context: &TaskContext) -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_nanos());
    let hash = stable_hash(&(nanos, std::process::id(), context.execution.attempt));
    format!("{}{:08x}", lineage(context), hash as u32)
}

/// A bucket is a directory under the output path and nowhere else.
fn check_bucket(bucket: &str) -> TaskResult {
    if bucket.split('/').any(|segment| matches!(segment, "." | "..")) || bucket.contains('\0') {
        return Err(TaskError::failed(format!(
            "the bucket assigner gave \"{bucket}\", which is no directory under the output path"
        )));
    }
    Ok(())
}

impl<T, E: Encoder<T>, B: BucketAssigner<T>> TwoPhaseSink<T> for FileSinkWriter<E, B> {
    type Committable = PartFile;
    type State = PartFile;

    fn open(&mut self, context: &mut TaskContext, restored: Vec<PartFile>) -> TaskResult {
        self.clock = context.clock.clone();
        let systems = Arc::clone(&context.job.files);
        let (files, base) = systems.locate(&self.sink.path).map_err(|error| self.failed(&error))?;
        let place = Place { systems: Arc::clone(&systems), files, base, uid: uid(context) };
        if context.execution.attempt > 0 && !context.is_restored() {
            self.undo(&place, &lineage(context)).map_err(|error| self.failed(&error))?;
        }
        place.files.mkdirs(&place.base, 0o755).map_err(|error| self.failed(&error))?;
        self.place = Some(place);
        self.resume(restored, &systems)
    }

    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        let stamps = batch.timestamps.take();
        let mut stamps = stamps.iter().flatten().copied();
        let processing_time = self.clock.now();
        for record in batch.records.drain(..) {
            let timestamp = stamps.next().filter(|at| *at != NO_TIMESTAMP);
            let context = BucketContext { timestamp, processing_time };
            self.scratch.clear();
            self.sink.assigner.assign(&record, &context, &mut self.scratch);
            if self.scratch != self.bucket {
                self.change_bucket()?;
            }
            let encoded = self.sink.encoder.encode(&record, &mut self.bytes);
            encoded.map_err(|error| self.failed(error.as_ref()))?;
            let size = self.length + self.bytes.len() as u64;
            if self.bytes.len() >= CHUNK || size >= self.sink.policy.max_part_size {
                self.flush()?;
            }
        }
        self.flush()
    }

    fn prepare(&mut self, why: Prepare) -> TaskResult<Vec<PartFile>> {
        if why != Prepare::Checkpoint || self.sink.policy.on_checkpoint {
            self.close_all()?;
        }
        Ok(std::mem::take(&mut self.closed).into_iter().map(|(part, _)| part).collect())
    }

    fn state(&mut self) -> TaskResult<Vec<PartFile>> {
        let mut all = Vec::with_capacity(self.parts.len());
        for (bucket, part) in &mut self.parts {
            match part.file.persist() {
                Ok(point) => all.push(PartFile::of(bucket, &point)),
                Err(error) => {
                    let message = format!("cannot write to {}", self.sink.path);
                    return Err(TaskError::caused(message, &error));
                }
            }
        }
        Ok(all)
    }

    fn commit(&mut self, committable: &PartFile) -> TaskResult {
        committable.commit(&self.place()?.systems, self.sink.ignore_missing)
    }

    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        if self.next_check.is_some_and(|due| due <= now) {
            let policy = self.sink.policy;
            let is_due = |part: &Part| {
                now.saturating_duration_since(part.begun) >= policy.rollover_interval
                    || now.saturating_duration_since(part.written) >= policy.inactivity_interval
            };
            let due: Vec<String> = self
                .parts
                .iter()
                .filter(|(_, part)| is_due(part))
                .map(|(bucket, _)| bucket.clone())
                .collect();
            due.iter().try_for_each(|bucket| self.close_part(bucket))?;
            self.next_check = (!self.parts.is_empty()).then(|| now + self.sink.check_interval);
        }
        Ok(self.next_check)
    }

    /// What no snapshot has seen is removed; everything else is somebody's to commit or to go on with.
    fn close(&mut self) {
        self.parts.clear();
        if let Some(place) = self.place.take() {
            let unknown = std::mem::take(&mut self.closed).into_iter().filter(|(_, known)| !known);
            for (part, _) in unknown {
                let path = place.systems.resolve(&part.in_progress);
                if let Err(error) = path.and_then(|path| place.files.delete(&path, false)) {
                    log::warn(&format!("the unfinished part {} stays behind: {error}", part.in_progress));
                }
            }
        }
    }
}
