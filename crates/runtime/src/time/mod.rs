//! Time as operators see it: the machine's clock, and event time by timestamps and watermarks.

pub(crate) mod alignment;
mod clock;
mod per_split;
mod watermark;

pub use clock::Clock;
pub use per_split::{PerSplit, SplitTurn};
pub use watermark::{
    BoundedOutOfOrderness, Extract, IngestionTime, NoWatermarks, Punctuated, RecordTimestamps,
    TimestampAssigner, WatermarkGenerator, WatermarkOutput, WatermarkStrategy,
};
