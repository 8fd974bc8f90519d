//! The built-in sources.

mod collection;
mod socket;
mod text_file;

pub use collection::{CollectionSource, SequenceSource};
pub use socket::SocketSource;
pub use text_file::TextFileSource;
