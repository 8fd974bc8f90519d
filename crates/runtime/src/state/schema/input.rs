//! Postcard's bytes, piece by piece: variable-length integers (7 bits a byte, the lowest first; signed ones zigzag), floats
//! in little endian, lengths before text. See the wire specification in postcard's documentation.

use serde::de;
use std::fmt;

/// Bytes that do not follow their schema, or a type that refuses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// The fields that lead there, the innermost first.
    path: Vec<String>,
    reason: String,
}

impl ReadError {
    /// The same within a field.
    pub(super) fn within(mut self, field: &str) -> ReadError {
        self.path.push(field.to_string());
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
            write!(f, "in {}: ", path.join("."))?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(reason: T) -> ReadError {
        ReadError { path: Vec::new(), reason: reason.to_string() }
    }
}

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'de>(pub &'de [u8]);

impl<'de> Input<'de> {
    pub fn take(&mut self, count: usize) -> Result<&'de [u8], ReadError> {
        let Some((taken, rest)) = self.0.split_at_checked(count) else {
            return Err(de::Error::custom(format!("{count} bytes expected, {} are left", self.0.len())));
        };
        self.0 = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    pub fn byte(&mut self) -> Result<u8, ReadError> {
        Ok(self.array::<1>()?[0])
    }

    /// An unsigned integer of at most `bits` bits.
    pub fn unsigned(&mut self, bits: u32) -> Result<u128, ReadError> {
        let mut value = 0u128;
        for shift in (0..bits).step_by(7) {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7f);
            if shift + 7 > bits && part >> (bits - shift) != 0 {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(de::Error::custom(format!("an integer has more than {bits} bits")))
    }

    /// A signed integer of at most `bits` bits.
    pub fn signed(&mut self, bits: u32) -> Result<i128, ReadError> {
        let zigzag = self.unsigned(bits)?;
        Ok((zigzag >> 1) as i128 ^ -((zigzag & 1) as i128))
    }

    /// A length. No more of anything than there are bytes left, unless it takes none.
    pub fn length(&mut self) -> Result<usize, ReadError> {
        usize::try_from(self.unsigned(64)?).map_err(de::Error::custom)
    }

    pub fn bytes(&mut self) -> Result<&'de [u8], ReadError> {
        let length = self.length()?;
        self.take(length)
    }

    pub fn text(&mut self) -> Result<&'de str, ReadError> {
        std::str::from_utf8(self.bytes()?).map_err(de::Error::custom)
    }

    pub fn char(&mut self) -> Result<char, ReadError> {
        let text = self.text()?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(de::Error::custom(format!("one character expected, found \"{text}\""))),
        }
    }

    /// `bool`, and whether an option has a value.
    pub fn bool(&mut self) -> Result<bool, ReadError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(de::Error::custom(format!("0 or 1 expected, found {other}"))),
        }
    }
}
