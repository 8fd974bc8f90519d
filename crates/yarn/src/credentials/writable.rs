//! Format 0 of a token file: Hadoop's `Writable` encoding (`WritableUtils.readVLong`, `Text`, `Token.write`).
//! Owns bytes only; the meaning of tokens is its parent's.

use super::{Credentials, CredentialsError, MAGIC, Token};
use bytes::Bytes;

/// A cursor that names the place of what is wrong.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn malformed(&self, reason: impl Into<String>) -> CredentialsError {
        CredentialsError::Malformed { at: self.at, reason: reason.into() }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], CredentialsError> {
        let rest = &self.bytes[self.at..];
        if length > rest.len() {
            return Err(self.malformed(format!("{length} bytes are needed, {} are left", rest.len())));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// `WritableUtils.readVLong`: one byte in -112..=127 is the value; else it tells sign and length of what follows.
    fn vlong(&mut self) -> Result<i64, CredentialsError> {
        let first = i64::from(self.take(1)?[0] as i8);
        if first >= -112 {
            return Ok(first);
        }
        let negative = first < -120;
        let length = if negative { -120 - first } else { -112 - first };
        let magnitude =
            self.take(length as usize)?.iter().fold(0i64, |value, byte| value << 8 | i64::from(*byte));
        Ok(if negative { !magnitude } else { magnitude })
    }

    fn length(&mut self) -> Result<usize, CredentialsError> {
        let value = self.vlong()?;
        usize::try_from(value).map_err(|_| self.malformed(format!("{value} is no length")))
    }

    fn buffer(&mut self) -> Result<&'a [u8], CredentialsError> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<String, CredentialsError> {
        let bytes = self.buffer()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.malformed("a text is not UTF-8"))
    }

    fn token(&mut self) -> Result<Token, CredentialsError> {
        Ok(Token {
            identifier: Bytes::copy_from_slice(self.buffer()?),
            password: Bytes::copy_from_slice(self.buffer()?),
            kind: self.text()?,
            service: self.text()?,
        })
    }
}

/// Reads what follows the format byte at `at`.
pub(super) fn decode(bytes: &[u8], at: usize) -> Result<Credentials, CredentialsError> {
    let mut reader = Reader { bytes, at };
    let mut credentials = Credentials::default();
    for _ in 0..reader.length()? {
        let alias = reader.text()?;
        credentials.tokens.push((alias, reader.token()?));
    }
    for _ in 0..reader.length()? {
        let alias = reader.text()?;
        credentials.secrets.insert(alias, Bytes::copy_from_slice(reader.buffer()?));
    }
    Ok(credentials)
}

/// `WritableUtils.writeVLong`.
pub(super) fn put_vlong(out: &mut Vec<u8>, value: i64) {
    if (-112..=127).contains(&value) {
        out.push(value as u8);
        return;
    }
    let (magnitude, base) = if value < 0 { (!value, -120i64) } else { (value, -112) };
    let length = (8 - magnitude.leading_zeros() as usize / 8).max(1);
    out.push((base - length as i64) as u8);
    out.extend_from_slice(&magnitude.to_be_bytes()[8 - length..]);
}

fn put_buffer(out: &mut Vec<u8>, bytes: &[u8]) {
    put_vlong(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// The whole file in format 0.
pub(super) fn encode(credentials: &Credentials) -> Vec<u8> {
    let mut out = [MAGIC.as_slice(), &[0]].concat();
    put_vlong(&mut out, credentials.tokens.len() as i64);
    for (alias, token) in &credentials.tokens {
        for part in [
            alias.as_bytes(),
            &token.identifier,
            &token.password,
            token.kind.as_bytes(),
            token.service.as_bytes(),
        ] {
            put_buffer(&mut out, part);
        }
    }
    put_vlong(&mut out, credentials.secrets.len() as i64);
    for (alias, secret) in &credentials.secrets {
        put_buffer(&mut out, alias.as_bytes());
        put_buffer(&mut out, secret);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_values_are_one_byte_and_long_ones_tell_their_length() {
        let encoded = |value| {
            let mut out = Vec::new();
            put_vlong(&mut out, value);
            out
        };
        assert_eq!(encoded(127), [127]);
        assert_eq!(encoded(-112), [0x90]);
        assert_eq!(encoded(128), [0x8f, 0x80]);
        assert_eq!(encoded(-113), [0x87, 0x70]);
        assert_eq!(encoded(0x01a1_fd09_1d13), [0x8a, 0x01, 0xa1, 0xfd, 0x09, 0x1d, 0x13]);
    }

    proptest! {
        #[test]
        fn vlongs_round_trip(value: i64) {
            let mut out = Vec::new();
            put_vlong(&mut out, value);
            let mut reader = Reader { bytes: &out, at: 0 };
            prop_assert_eq!(reader.vlong().unwrap(), value);
            prop_assert_eq!(reader.at, out.len());
        }
    }
}
