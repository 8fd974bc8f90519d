//! The lines of a split, each line of a file in exactly one of its splits.
//!
//! Owns Hadoop's rule (`org.apache.hadoop.mapreduce.lib.input.LineRecordReader`): a split that does not begin the file skips
//! to behind the first line feed; every split reads on past its end to finish the line it is in. A line that begins
//! exactly where a split ends therefore belongs to that split, and the next one skips it.
//!
//! Lines end with a line feed; a carriage return before it is taken off. The bytes are lent from the read buffer: no
//! allocation and one copy per byte, from the file into that buffer.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use crate::blocking::{self, FileSystem};
use crate::error::{FsError, Result};
use crate::path::FsPath;
use crate::splits::Split;

/// The read buffer at the beginning, bytes. It grows when a line does not fit.
const BUFFER: usize = 256 << 10;

/// No line may be longer, bytes: a file without line feeds is most likely no text, and would fill the memory.
const LONGEST_LINE: usize = 256 << 20;

/// Reads lines from an input that stands at the split's start.
pub struct LineReader<R> {
    input: R,
    buffer: Vec<u8>,
    /// The unread bytes are `buffer[begin..end]`.
    begin: usize,
    end: usize,
    /// Where `buffer[begin]` stands in the file.
    offset: u64,
    /// The last offset at which a line of this split may begin.
    last_start: u64,
    /// The rest of a line that the split before this one reads is still to be passed over.
    skip_first: bool,
    path: FsPath,
}

/// Opens a split's file and reads its lines.
///
/// # Errors
/// Those of opening the file.
pub fn open(fs: &FileSystem, split: &Split) -> Result<LineReader<blocking::Reader>> {
    let input = open_at(fs, &split.path, split.start, split.end())?;
    Ok(LineReader::new(input, split.path.clone(), split.start, split.end()))
}

/// Goes on reading a split at `position`, which [`LineReader::position`] told earlier.
///
/// # Errors
/// Those of opening the file.
pub fn resume(fs: &FileSystem, split: &Split, position: u64) -> Result<LineReader<blocking::Reader>> {
    let input = open_at(fs, &split.path, position, split.end())?;
    Ok(LineReader::resumed(input, split.path.clone(), position, split.end()))
}

fn open_at(fs: &FileSystem, path: &FsPath, start: u64, end: u64) -> Result<blocking::Reader> {
    let mut input = fs.open(path)?;
    // The end of the last line is most likely a little behind the split's end.
    input.expect_until(end.saturating_add(BUFFER as u64));
    input.seek(SeekFrom::Start(start)).map_err(|error| FsError::from_io("seek in", path, &error))?;
    Ok(input)
}

impl<R: Read> LineReader<R> {
    /// The lines of the range from `start` to `end` of a file; `input` stands at `start`. `path` is for errors only.
    pub fn new(input: R, path: FsPath, start: u64, end: u64) -> Self {
        Self { skip_first: start > 0, ..Self::resumed(input, path, start, end) }
    }

    /// The same from a position at which a line begins.
    pub fn resumed(input: R, path: FsPath, position: u64, end: u64) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER],
            begin: 0,
            end: 0,
            offset: position,
            last_start: end,
            skip_first: false,
            path,
        }
    }

    #[cfg(test)]
    fn with_buffer(self, size: usize) -> Self {
        Self { buffer: vec![0; size], ..self }
    }

    /// Where the next line begins, for [`resume`]; after [`LineReader::new`] only once a line has been asked for.
    pub fn position(&self) -> u64 {
        self.offset
    }

    /// The next line without its end, or `None` behind the split's last.
    ///
    /// # Errors
    /// The input's; [`FsError::Unsupported`] for a line that is too long.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>> {
        if self.skip_first {
            self.pass_over_first()?;
        }
        if self.offset > self.last_start {
            return Ok(None);
        }
        let Some((length, taken)) = self.find_line()? else {
            return Ok(None);
        };
        let start = self.begin;
        self.take(taken);
        Ok(Some(without_carriage_return(&self.buffer[start..start + length])))
    }

    /// The next line as text; bytes that are not UTF-8 become U+FFFD, as Java's decoder does.
    ///
    /// # Errors
    /// As [`LineReader::next_line`].
    pub fn next_text(&mut self) -> Result<Option<Cow<'_, str>>> {
        Ok(self.next_line()?.map(String::from_utf8_lossy))
    }

    /// Passes over the rest of the first line without keeping it, so that its length does not matter.
    fn pass_over_first(&mut self) -> Result<()> {
        loop {
            if let Some(feed) = memchr::memchr(b'\n', &self.buffer[self.begin..self.end]) {
                self.take(feed + 1);
                break;
            }
            self.take(self.end - self.begin);
            if self.fill()? == 0 {
                break;
            }
        }
        self.skip_first = false;
        Ok(())
    }

    /// How long the line at the front is, without and with its line feed; `None` at the end of the file.
    fn find_line(&mut self) -> Result<Option<(usize, usize)>> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.begin..self.end];
            if let Some(feed) = memchr::memchr(b'\n', &unread[searched..]) {
                return Ok(Some((searched + feed, searched + feed + 1)));
            }
            searched = unread.len();
            if self.fill()? == 0 {
                // A last line without a line feed is a line; nothing at all is none.
                return Ok((searched > 0).then_some((searched, searched)));
            }
        }
    }

    fn take(&mut self, count: usize) {
        self.begin += count;
        self.offset += count as u64;
    }

    /// Reads more behind the unread bytes; how many came, 0 at the end of the file.
    fn fill(&mut self) -> Result<usize> {
        self.make_room()?;
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    fn make_room(&mut self) -> Result<()> {
        if self.begin > 0 {
            self.buffer.copy_within(self.begin..self.end, 0);
            self.end -= self.begin;
            self.begin = 0;
        }
        if self.end < self.buffer.len() {
            return Ok(());
        }
        if self.end >= LONGEST_LINE {
            return Err(self.too_long());
        }
        self.buffer.resize((self.buffer.len() * 2).min(LONGEST_LINE), 0);
        Ok(())
    }

    fn too_long(&self) -> FsError {
        let reason = format!(
            "the line that begins at byte {} is longer than {LONGEST_LINE} bytes; is it a text file?",
            self.offset
        );
        FsError::Unsupported { operation: "read", path: self.path.to_string(), reason }
    }

    /// An error that was ours before it became `std`'s is given back as it was.
    fn failed(&self, error: io::Error) -> FsError {
        match error.downcast::<FsError>() {
            Ok(own) => own,
            Err(error) => FsError::from_io("read", &self.path, &error),
        }
    }
}

fn without_carriage_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives bytes in portions of the sizes told, round and round: as sockets do.
    struct Portions<'a> {
        bytes: &'a [u8],
        sizes: Vec<usize>,
        turn: usize,
    }

    impl Read for Portions<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.turn += 1;
            let portion = self.sizes[self.turn % self.sizes.len()];
            let count = portion.min(buffer.len()).min(self.bytes.len());
            let (now, later) = self.bytes.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.bytes = later;
            Ok(count)
        }
    }

    fn path() -> FsPath {
        FsPath::new("file", "", "/input")
    }

    fn reader<'a>(content: &'a [u8], start: usize, end: usize, sizes: &[usize]) -> LineReader<Portions<'a>> {
        let input = Portions { bytes: &content[start..], sizes: sizes.to_vec(), turn: 0 };
        LineReader::new(input, path(), start as u64, end as u64)
    }

    fn rest<R: Read>(mut reader: LineReader<R>) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            lines.push(line.to_vec());
        }
        lines
    }

    /// What the lines of a whole text are, by the plainest means.
    fn expected(content: &[u8]) -> Vec<Vec<u8>> {
        let mut lines: Vec<_> =
            content.split(|byte| *byte == b'\n').map(|line| without_carriage_return(line).to_vec()).collect();
        if content.is_empty() || content.ends_with(b"\n") {
            lines.pop();
        }
        lines
    }

    #[test]
    fn a_line_that_begins_at_the_boundary_belongs_to_the_split_before() {
        let content = b"aa\nbb\ncc";
        assert_eq!(rest(reader(content, 0, 3, &[9])), [b"aa", b"bb"]);
        assert_eq!(rest(reader(content, 3, 8, &[9])), [b"cc"]);
    }

    #[test]
    fn carriage_returns_and_a_missing_last_feed() {
        assert_eq!(rest(reader(b"a\r\n\r\n\nb", 0, 7, &[1])), [&b"a"[..], b"", b"", b"b"]);
    }

    #[test]
    fn text_that_is_not_utf8_is_replaced_not_refused() {
        let mut lines = reader(b"gr\xfcn\nred\n", 0, 8, &[3]);
        assert_eq!(lines.next_text().unwrap().unwrap(), "gr\u{fffd}n");
        assert!(matches!(lines.next_text().unwrap().unwrap(), Cow::Borrowed("red")));
    }

    #[test]
    fn a_failing_input_names_the_file() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::ConnectionReset.into())
            }
        }
        let error = LineReader::new(Broken, path(), 0, 9).next_line().unwrap_err().to_string();
        assert!(error.contains("file:/input"), "{error}");
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let piece =
            proptest::sample::select(vec!["\n", "\r\n", "\r", "a", "word", "a long piece of a line "]);
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn splits_give_every_line_once_in_order(content in text(), size in 1_usize..40, buffer in 1_usize..30, sizes in proptest::collection::vec(1_usize..9, 1..4)) {
            let mut lines = Vec::new();
            for start in (0..content.len()).step_by(size) {
                let end = (start + size).min(content.len());
                lines.extend(rest(reader(&content, start, end, &sizes).with_buffer(buffer)));
            }
            prop_assert_eq!(lines, expected(&content));
        }

        #[test]
        fn reading_resumed_at_any_line_goes_on_as_if_never_stopped(content in text(), size in 1_usize..40, stop in 0_usize..20) {
            for start in (0..content.len()).step_by(size) {
                let end = (start + size).min(content.len());
                let mut first = reader(&content, start, end, &[5]);
                let mut lines = Vec::new();
                let mut position = None;
                for _ in 0..stop {
                    match first.next_line().unwrap() {
                        Some(line) => lines.push(line.to_vec()),
                        None => break,
                    }
                    position = Some(first.position());
                }
                let Some(position) = position else { continue };
                let again = &content[usize::try_from(position).unwrap()..];
                lines.extend(rest(LineReader::resumed(again, path(), position, end as u64)));
                prop_assert_eq!(lines, rest(reader(&content, start, end, &[64])));
            }
        }
    }
}
