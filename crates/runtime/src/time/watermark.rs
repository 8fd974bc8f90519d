//! Where event time comes from: timestamps of records, and watermarks that say how far the stream has come.

use super::alignment::WatermarkAlignment;
use super::per_split::{PerSplit, SplitTurn};
use std::time::Duration;

/// How often workers tell each other how far aligned streams are, where a strategy does not say: Flink's default.
const DEFAULT_UPDATE_INTERVAL: Duration = Duration::from_secs(1);
/// More often would only keep the application master busy.
const SHORTEST_UPDATE_INTERVAL: Duration = Duration::from_millis(10);

/// Takes the watermarks of a generator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatermarkOutput {
    watermark: Option<i64>,
    idle: Option<bool>,
}

impl WatermarkOutput {
    /// Says that no record with an earlier or equal timestamp (epoch milliseconds) will follow. Of several the largest
    /// counts, and one that is not larger than the last one emitted says nothing.
    #[inline]
    pub fn emit_watermark(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(Some(watermark));
        self.idle = Some(false);
    }

    /// Says that nobody needs to wait for this stream until it has records again.
    pub fn mark_idle(&mut self) {
        self.idle = Some(true);
    }

    /// Takes [`WatermarkOutput::mark_idle`] back.
    pub fn mark_active(&mut self) {
        self.idle = Some(false);
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.watermark.is_none() && self.idle.is_none()
    }

    pub(crate) fn take(&mut self) -> (Option<i64>, Option<bool>) {
        (self.watermark.take(), self.idle.take())
    }
}

/// Makes watermarks. Each subtask has its own clone.
pub trait WatermarkGenerator<T>: Clone + Send + 'static {
    /// Sees each record with its timestamp, and may emit a watermark that takes effect right behind it.
    fn on_event(&mut self, event: &T, timestamp: i64, output: &mut WatermarkOutput);

    /// Called every `pipeline.auto-watermark-interval` (200 ms).
    fn on_periodic_emit(&mut self, output: &mut WatermarkOutput);
}

/// Watermarks that stay behind the largest timestamp by a fixed span.
#[derive(Debug, Clone, Copy)]
pub struct BoundedOutOfOrderness {
    largest: i64,
    delay: i64,
}

impl BoundedOutOfOrderness {
    /// Records come at most so much later than others with a larger timestamp.
    pub fn new(delay: Duration) -> BoundedOutOfOrderness {
        let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX / 2);
        BoundedOutOfOrderness { largest: i64::MIN, delay }
    }
}

impl<T> WatermarkGenerator<T> for BoundedOutOfOrderness {
    #[inline]
    fn on_event(&mut self, _event: &T, timestamp: i64, _output: &mut WatermarkOutput) {
        self.largest = self.largest.max(timestamp);
    }

    fn on_periodic_emit(&mut self, output: &mut WatermarkOutput) {
        if self.largest != i64::MIN {
            output.emit_watermark(self.largest.saturating_sub(self.delay).saturating_sub(1));
        }
    }
}

/// No watermarks before the end of the input.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWatermarks;

impl<T> WatermarkGenerator<T> for NoWatermarks {
    #[inline]
    fn on_event(&mut self, _event: &T, _timestamp: i64, _output: &mut WatermarkOutput) {}

    fn on_periodic_emit(&mut self, _output: &mut WatermarkOutput) {}
}

/// Watermarks that certain records carry.
#[derive(Debug, Clone, Copy)]
pub struct Punctuated<F>(F);

impl<T, F: FnMut(&T, i64) -> Option<i64> + Clone + Send + 'static> WatermarkGenerator<T> for Punctuated<F> {
    #[inline]
    fn on_event(&mut self, event: &T, timestamp: i64, output: &mut WatermarkOutput) {
        if let Some(watermark) = (self.0)(event, timestamp) {
            output.emit_watermark(watermark);
        }
    }

    fn on_periodic_emit(&mut self, _output: &mut WatermarkOutput) {}
}

/// Tells the event time of a record. Each subtask has its own clone.
pub trait TimestampAssigner<T>: Clone + Send + 'static {
    /// The record's event time in epoch milliseconds. `recorded` is what the source gave it, `now` the machine's time. `None`
    /// fails the task: the record has none.
    fn extract_timestamp(&mut self, record: &T, recorded: Option<i64>, now: i64) -> Option<i64>;

    /// Whether `now` is looked at: otherwise the clock is not read.
    const USES_CLOCK: bool = false;
}

/// The timestamps that the source gave.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordTimestamps;

impl<T> TimestampAssigner<T> for RecordTimestamps {
    #[inline]
    fn extract_timestamp(&mut self, _record: &T, recorded: Option<i64>, _now: i64) -> Option<i64> {
        recorded
    }
}

/// The time at which records arrive.
#[derive(Debug, Clone, Copy, Default)]
pub struct IngestionTime;

impl<T> TimestampAssigner<T> for IngestionTime {
    const USES_CLOCK: bool = true;

    #[inline]
    fn extract_timestamp(&mut self, _record: &T, _recorded: Option<i64>, now: i64) -> Option<i64> {
        Some(now)
    }
}

/// What a function of the record says.
#[derive(Debug, Clone, Copy)]
pub struct Extract<F>(F);

impl<T, F: FnMut(&T) -> i64 + Clone + Send + 'static> TimestampAssigner<T> for Extract<F> {
    #[inline]
    fn extract_timestamp(&mut self, record: &T, _recorded: Option<i64>, _now: i64) -> Option<i64> {
        Some((self.0)(record))
    }
}

/// Where the event time of a stream comes from, and how it proceeds.
///
/// ```
/// use kvick_runtime::time::WatermarkStrategy;
/// use std::time::Duration;
///
/// struct Reading { millis: i64 }
///
/// let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(5))
///     .with_timestamp_assigner(|reading: &Reading| reading.millis)
///     .with_idleness(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone)]
pub struct WatermarkStrategy<G, A = RecordTimestamps> {
    pub(crate) generator: G,
    pub(crate) assigner: A,
    pub(crate) idleness: Option<Duration>,
    pub(crate) alignment: Option<WatermarkAlignment>,
    /// The source, where it has watermarks by split.
    pub(crate) turn: Option<SplitTurn>,
}

impl WatermarkStrategy<BoundedOutOfOrderness> {
    /// Records come at most so much later than others with a larger timestamp.
    pub fn for_bounded_out_of_orderness(delay: Duration) -> Self {
        WatermarkStrategy::for_generator(BoundedOutOfOrderness::new(delay))
    }

    /// Timestamps never decrease, within a subtask.
    pub fn for_monotonous_timestamps() -> Self {
        WatermarkStrategy::for_generator(BoundedOutOfOrderness::new(Duration::ZERO))
    }
}

impl WatermarkStrategy<BoundedOutOfOrderness, IngestionTime> {
    /// The event time of a record is when it arrives.
    pub fn for_ingestion_time() -> Self {
        let WatermarkStrategy { generator, idleness, alignment, .. } =
            WatermarkStrategy::for_monotonous_timestamps();
        WatermarkStrategy { generator, assigner: IngestionTime, idleness, alignment, turn: None }
    }
}

impl WatermarkStrategy<NoWatermarks> {
    /// No watermarks before the end of the input: for processing time alone.
    pub fn no_watermarks() -> Self {
        WatermarkStrategy::for_generator(NoWatermarks)
    }
}

impl<F> WatermarkStrategy<Punctuated<F>> {
    /// A record for which the function returns a watermark is followed by it.
    pub fn for_punctuated<T>(watermark: F) -> Self
    where
        F: FnMut(&T, i64) -> Option<i64> + Clone + Send + 'static,
    {
        WatermarkStrategy::for_generator(Punctuated(watermark))
    }
}

impl<G> WatermarkStrategy<G> {
    /// Watermarks of a generator of one's own.
    pub fn for_generator(generator: G) -> Self {
        WatermarkStrategy {
            generator,
            assigner: RecordTimestamps,
            idleness: None,
            alignment: None,
            turn: None,
        }
    }
}

impl<G, A> WatermarkStrategy<G, A> {
    /// Takes the event time (epoch milliseconds) from the record.
    pub fn with_timestamp_assigner<T, F>(self, extract: F) -> WatermarkStrategy<G, Extract<F>>
    where
        F: FnMut(&T) -> i64 + Clone + Send + 'static,
    {
        let WatermarkStrategy { generator, idleness, alignment, turn, .. } = self;
        WatermarkStrategy { generator, assigner: Extract(extract), idleness, alignment, turn }
    }

    /// The same strategy for each split of a source, which tells of its splits by `turn`.
    pub fn per_split(self, turn: SplitTurn) -> WatermarkStrategy<PerSplit<G>, A>
    where
        G: Clone,
    {
        let WatermarkStrategy { generator, assigner, idleness, alignment, .. } = self;
        let generator = PerSplit::new(generator, turn.clone(), idleness);
        WatermarkStrategy { generator, assigner, idleness, alignment, turn: Some(turn) }
    }

    /// A subtask without records for so long is not waited for.
    #[must_use]
    pub fn with_idleness(mut self, span: Duration) -> Self {
        self.idleness = Some(span);
        self
    }

    /// Streams of the job whose strategies name the same group wait for each other: a source whose watermark is more than
    /// `max_drift` ahead of the slowest of them reads nothing. Workers tell each other of their watermarks once in a second.
    ///
    /// A stream that is made in the middle of a job, behind an exchange, cannot stop its input and is only slowed down, to a few
    /// batches in a second. A stream without records holds the others up unless it is idle
    /// ([`WatermarkStrategy::with_idleness`]) or at its end.
    #[must_use]
    pub fn with_watermark_alignment(self, group: impl Into<String>, max_drift: Duration) -> Self {
        self.with_watermark_alignment_every(group, max_drift, DEFAULT_UPDATE_INTERVAL)
    }

    /// [`WatermarkStrategy::with_watermark_alignment`] with the interval at which workers tell each other. What a source may run
    /// ahead of sources in other workers in between limits how fast it can be: short intervals make for small drifts.
    #[must_use]
    pub fn with_watermark_alignment_every(
        mut self,
        group: impl Into<String>,
        max_drift: Duration,
        update_interval: Duration,
    ) -> Self {
        let max_drift = i64::try_from(max_drift.as_millis()).unwrap_or(i64::MAX);
        let update_interval = update_interval.max(SHORTEST_UPDATE_INTERVAL);
        self.alignment = Some(WatermarkAlignment { group: group.into(), max_drift, update_interval });
        self
    }

    /// The group whose streams this one waits for, where there is one.
    pub fn alignment_group(&self) -> Option<&str> {
        self.alignment.as_ref().map(|alignment| alignment.group.as_str())
    }
}
