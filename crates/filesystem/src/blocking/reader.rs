//! A file as `std::io::Read` and `Seek`. Owns the reading ahead that keeps a remote file's bytes coming while the
//! thread works on those it has.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::StreamExt;
use tokio::sync::mpsc::{self, error::TryRecvError};

use super::{runtime, wait_for};
use crate::error::{FsError, Result};

/// Pieces read ahead; HDFS's are packets of 64 KiB, so about 2 MiB.
const PIECES_AHEAD: usize = 32;

/// How much is asked for at a time once the expected range is through.
const WINDOW: u64 = 1 << 20;

/// An open file at a position.
pub struct Reader {
    source: Source,
    length: u64,
    position: u64,
    /// Where the reader expects to stop; see [`Reader::expect_until`].
    expected_end: u64,
}

enum Source {
    Local(File),
    Remote(RemoteSource),
}

struct RemoteSource {
    reader: Arc<dyn crate::Reader>,
    /// The rest of the piece being read.
    piece: Bytes,
    /// Later pieces, in order, ending at the end of the file; `None` until the first read after a seek.
    ahead: Option<mpsc::Receiver<Result<Bytes>>>,
}

impl Reader {
    pub(super) fn local(file: File, length: u64) -> Self {
        Self { source: Source::Local(file), length, position: 0, expected_end: length }
    }

    pub(super) fn remote(reader: Arc<dyn crate::Reader>) -> Self {
        let length = reader.length();
        let source = Source::Remote(RemoteSource { reader, piece: Bytes::new(), ahead: None });
        Self { source, length, position: 0, expected_end: length }
    }

    /// The file's length when it was opened, bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Says where reading will probably stop, so that no more than a little after `offset` is fetched unasked.
    pub fn expect_until(&mut self, offset: u64) {
        self.expected_end = offset.min(self.length);
    }

    fn target(&self, position: SeekFrom) -> Option<u64> {
        match position {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        }
    }
}

impl RemoteSource {
    fn read(&mut self, buffer: &mut [u8], position: u64, expected_end: u64) -> Result<usize> {
        while self.piece.is_empty() {
            let ahead = match &mut self.ahead {
                Some(ahead) => ahead,
                None => self.ahead.insert(read_ahead(Arc::clone(&self.reader), position, expected_end)?),
            };
            match next_piece(ahead)? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }

    fn forget(&mut self) {
        self.piece = Bytes::new();
        self.ahead = None;
    }
}

/// The next piece, mostly there already; `None` behind the last.
fn next_piece(ahead: &mut mpsc::Receiver<Result<Bytes>>) -> Result<Option<Bytes>> {
    match ahead.try_recv() {
        Ok(piece) => piece.map(Some),
        Err(TryRecvError::Disconnected) => Ok(None),
        Err(TryRecvError::Empty) => wait_for(async { ahead.recv().await.transpose() }),
    }
}

/// Starts a task that fetches from `position` on, first to `expected_end`, then in small windows to the end of the file. It
/// stops when the receiver is gone.
fn read_ahead(
    reader: Arc<dyn crate::Reader>,
    position: u64,
    expected_end: u64,
) -> Result<mpsc::Receiver<Result<Bytes>>> {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    runtime()?.spawn(async move {
        let (mut start, mut end) = (position, expected_end.max(position.saturating_add(WINDOW)));
        while start < reader.length() {
            let fetched = tokio::select! {
                fetched = forward(&*reader, start..end, &sender) => fetched,
                () = sender.closed() => return,
            };
            match fetched {
                // A file that got shorter would otherwise be asked for its rest for ever.
                Some(count) if count > 0 => start += count,
                _ => return,
            }
            end = start.saturating_add(WINDOW);
        }
    });
    Ok(receiver)
}

/// Sends the pieces of `range`; how many bytes that were, or `None` after an error or when nobody listens.
async fn forward(
    reader: &dyn crate::Reader,
    range: std::ops::Range<u64>,
    sender: &mpsc::Sender<Result<Bytes>>,
) -> Option<u64> {
    let mut pieces = reader.stream(range);
    let mut count = 0;
    while let Some(piece) = pieces.next().await {
        let failed = piece.is_err();
        count += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if sender.send(piece).await.is_err() || failed {
            return None;
        }
    }
    Some(count)
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = match &mut self.source {
            Source::Local(file) => file.read(buffer)?,
            Source::Remote(remote) => remote.read(buffer, self.position, self.expected_end)?,
        };
        if count == 0 && self.position < self.length {
            return Err(truncated(self.position, self.length));
        }
        self.position += count as u64;
        Ok(count)
    }
}

fn truncated(position: u64, length: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the file ends at byte {position}, it had {length} when it was opened"),
    )
}

impl Seek for Reader {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let invalid = || FsError::InvalidPath {
            path: format!("{position:?}"),
            reason: "the position is before the start of the file".to_owned(),
        };
        let target = self.target(position).ok_or_else(invalid)?;
        match &mut self.source {
            Source::Local(file) => drop(file.seek(SeekFrom::Start(target))?),
            Source::Remote(remote) if target != self.position => remote.forget(),
            Source::Remote(_) => {}
        }
        self.position = target;
        Ok(target)
    }
}
