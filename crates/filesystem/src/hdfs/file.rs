//! Open HDFS files. Owns the time limit on every piece of data; knows nothing of names.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use hdfs_native::file::{FileReader, FileWriter};
use hdfs_native::{Client, HdfsError};

use super::{Endpoint, close, error};
use crate::error::Result;
use crate::filesystem::{Reader, Writer};
use crate::path::FsPath;

/// How much is sent within one time limit, so that the limit does not depend on how much a caller writes at once.
const PIECE: usize = 4 << 20;

/// How long a sync may take at most. `hdfs-native` 0.14.8 waits for ever in `hsync` when a DataNode of the pipeline goes away
/// under it: its packet sender idles, and whoever is to end the pipeline waits for the sender. Nothing more can come of such
/// a writer, so the sooner this is told the better; a sync that works takes milliseconds.
const SYNC_LIMIT: Duration = Duration::from_secs(15);

/// What both ends of a file share.
struct Transfer {
    path: FsPath,
    endpoint: Arc<Endpoint>,
}

impl Transfer {
    async fn bounded<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = std::result::Result<T, HdfsError>>,
    ) -> Result<T> {
        self.bounded_by(self.endpoint.data_timeout, operation, work).await
    }

    async fn bounded_by<T>(
        &self,
        limit: Duration,
        operation: &'static str,
        work: impl Future<Output = std::result::Result<T, HdfsError>>,
    ) -> Result<T> {
        match tokio::time::timeout(limit, work).await {
            Ok(outcome) => {
                outcome.map_err(|error| error::convert_transfer(operation, &self.path, &self.endpoint, error))
            }
            Err(_) => Err(error::timed_out(operation, &self.path, &self.endpoint, limit)),
        }
    }
}

pub(super) struct HdfsReader {
    reader: FileReader,
    transfer: Arc<Transfer>,
}

impl HdfsReader {
    pub(super) fn new(reader: FileReader, path: FsPath, endpoint: Arc<Endpoint>) -> Self {
        Self { reader, transfer: Arc::new(Transfer { path, endpoint }) }
    }

    /// Offset and length of `range` within the file; beyond it the client would panic.
    fn cut(&self, range: &Range<u64>) -> (usize, usize) {
        let length = self.reader.file_length();
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(length);
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
        (start, end - start)
    }
}

#[async_trait]
impl Reader for HdfsReader {
    fn length(&self) -> u64 {
        self.reader.file_length() as u64
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes> {
        let (start, length) = self.cut(&range);
        self.transfer.bounded("read", self.reader.read_range(start, length)).await
    }

    fn stream(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let (start, length) = self.cut(&range);
        let pieces = self.reader.read_range_stream(start, length).boxed();
        let transfer = Arc::clone(&self.transfer);
        futures::stream::try_unfold((pieces, transfer), |(mut pieces, transfer)| async move {
            let next = transfer.bounded("read", async { pieces.next().await.transpose() }).await?;
            Ok(next.map(|piece| (piece, (pieces, transfer))))
        })
        .boxed()
    }
}

pub(super) struct HdfsWriter {
    client: Client,
    writer: FileWriter,
    transfer: Transfer,
    length: u64,
}

impl HdfsWriter {
    pub(super) fn new(client: Client, writer: FileWriter, path: FsPath, endpoint: Arc<Endpoint>) -> Self {
        Self { client, writer, transfer: Transfer { path, endpoint }, length: 0 }
    }
}

#[async_trait]
impl Writer for HdfsWriter {
    async fn write(&mut self, mut data: Bytes) -> Result<()> {
        self.length += data.len() as u64;
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(PIECE));
            self.transfer.bounded("write", self.writer.write_bytes(piece)).await?;
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<()> {
        // Nothing has been written yet: the NameNode would refuse to sync a file without a block.
        if self.length == 0 {
            return Ok(());
        }
        let limit = self.transfer.endpoint.data_timeout.min(SYNC_LIMIT);
        self.transfer.bounded_by(limit, "sync", self.writer.hsync()).await
    }

    async fn close(&mut self) -> Result<()> {
        let closing = close::close(&self.client, &mut self.writer, self.transfer.path.path(), self.length);
        self.transfer.bounded("close", closing).await
    }
}
