//! How a record is written into a file.

use crate::error::BoxError;
use crate::text;
use serde::Serialize;

/// Appends records to a file, one after the other. A function that appends a record to bytes is one.
pub trait Encoder<T>: Clone + Send + 'static {
    /// Appends a record, with whatever separates it from the next.
    ///
    /// # Errors
    /// The record cannot be written.
    fn encode(&mut self, record: &T, out: &mut Vec<u8>) -> Result<(), BoxError>;
}

impl<T, F> Encoder<T> for F
where
    F: FnMut(&T, &mut Vec<u8>) -> Result<(), BoxError> + Clone + Send + 'static,
{
    fn encode(&mut self, record: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        self(record, out)
    }
}

/// A line of text for each record, as `print` writes it (Flink's `SimpleStringEncoder`).
#[derive(Debug, Clone, Copy, Default)]
#[doc(alias = "SimpleStringEncoder")]
pub struct TextEncoder;

impl<T: Serialize> Encoder<T> for TextEncoder {
    #[inline]
    fn encode(&mut self, record: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        text::append(out, record)?;
        out.push(b'\n');
        Ok(())
    }
}

/// A line of JSON for each record.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonEncoder;

impl<T: Serialize> Encoder<T> for JsonEncoder {
    fn encode(&mut self, record: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        serde_json::to_writer(&mut *out, record)?;
        out.push(b'\n');
        Ok(())
    }
}

/// A line of comma-separated values for each record, without a header.
#[derive(Debug, Clone, Copy, Default)]
pub struct CsvEncoder;

impl<T: Serialize> Encoder<T> for CsvEncoder {
    fn encode(&mut self, record: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(out);
        writer.serialize(record)?;
        writer.flush()?;
        Ok(())
    }
}
