//! Time as operators see it: the machine's clock, and event time by timestamps and watermarks, aligned where that is wanted.

pub(crate) mod alignment;
mod clock;
pub(crate) mod foresight;
mod per_split;
mod watermark;

pub use alignment::AlignmentGroups;
pub use clock::Clock;
pub use per_split::{PerSplit, SplitTurn};
pub use watermark::{
    BoundedOutOfOrderness, Extract, IngestionTime, NoWatermarks, Punctuated, RecordTimestamps,
    TimestampAssigner, WatermarkGenerator, WatermarkOutput, WatermarkStrategy,
};
