//! The built-in sources, and the interface of sources whose input is cut into splits.
//!
//! A source that fits none of these implements [`crate::task::Source`] itself.

mod collection;
mod files;
mod generator;
mod socket;
mod split;
#[cfg(test)]
mod tests;

pub use collection::{CollectionReader, CollectionSource, SequenceReader, SequenceSource};
pub use files::{
    CsvFormat, CsvReader, FileFormat, FileSource, FileSplit, JsonLines, LineFormat, Lines, LinesReader,
    TextLines,
};
pub use generator::{DataGeneratorSource, GeneratorReader};
pub use socket::SocketSource;
pub use split::{SplitReader, SplitSource, Splits};
