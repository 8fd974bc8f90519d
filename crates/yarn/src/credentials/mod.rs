//! Tokens and secrets, and the files that carry them (`HADOOP_TOKEN_FILE_LOCATION`).
//! Owns the set of tokens and its two file formats; knows nothing of how a token is obtained or used.

mod writable;

use crate::proto::common as pb;
use bytes::Bytes;
use prost::Message;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Kind of the token by which a master authenticates to the ResourceManager's scheduler port.
pub const AM_RM_TOKEN: &str = "YARN_AM_RM_TOKEN";
/// Kind of the token by which a master authenticates to a NodeManager.
pub const NM_TOKEN: &str = "NMToken";
/// Kind of the token by which a client authenticates to the ResourceManager without Kerberos.
pub const RM_DELEGATION_TOKEN: &str = "RM_DELEGATION_TOKEN";
/// Kind of the token by which anyone authenticates to HDFS without Kerberos.
pub const HDFS_DELEGATION_TOKEN: &str = "HDFS_DELEGATION_TOKEN";

/// What a token file begins with.
const MAGIC: &[u8; 4] = b"HDTS";

/// Why credentials could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file could not be read.
    #[error("cannot read the token file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file could not be written.
    #[error("cannot write the token file {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The bytes are no credentials.
    #[error("malformed credentials at byte {at}: {reason}")]
    Malformed {
        /// Offset of the byte that cannot be right.
        at: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A secret that is needed is not there.
    #[error("the credentials hold no {0}")]
    NoSecret(String),
    /// A secret that should be text is not UTF-8.
    #[error("{0} in the credentials is no text")]
    NoText(String),
}

/// A token: opaque identifier, the secret that proves it, what it is for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token {
    /// Who and what, opaque to its bearer.
    pub identifier: Bytes,
    /// The secret.
    pub password: Bytes,
    /// Which service understands it, as [`AM_RM_TOKEN`].
    pub kind: String,
    /// Which instance of the service, as `10.0.0.1:8020`; may be empty.
    pub service: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password is a secret and stays out of logs.
        write!(f, "Token({} for '{}', {} bytes)", self.kind, self.service, self.identifier.len())
    }
}

impl From<&pb::Token> for Token {
    fn from(token: &pb::Token) -> Self {
        Self {
            identifier: token.identifier.clone(),
            password: token.password.clone(),
            kind: token.kind.clone(),
            service: token.service.clone(),
        }
    }
}

impl From<&Token> for pb::Token {
    fn from(token: &Token) -> Self {
        Self {
            identifier: token.identifier.clone(),
            password: token.password.clone(),
            kind: token.kind.clone(),
            service: token.service.clone(),
        }
    }
}

/// Tokens and secrets, each under an alias.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    tokens: Vec<(String, Token)>,
    secrets: BTreeMap<String, Bytes>,
}

impl Credentials {
    /// No tokens, no secrets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what [`encode`](Self::encode) or Hadoop (`Credentials.writeTokenStorageToStream`, formats 0 and 1) wrote.
    ///
    /// # Errors
    /// [`CredentialsError::Malformed`], with the offset of what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, CredentialsError> {
        let malformed = |at, reason: &str| CredentialsError::Malformed { at, reason: reason.to_owned() };
        if bytes.len() < 5 || &bytes[..4] != MAGIC {
            return Err(malformed(0, "a token file begins with 'HDTS' and a format byte"));
        }
        match bytes[4] {
            0 => writable::decode(bytes, 5),
            1 => decode_protobuf(&bytes[5..]),
            other => Err(malformed(4, &format!("format {other} is unknown; 0 and 1 are known"))),
        }
    }

    /// The bytes of a token file in format 0, which every Hadoop version reads.
    pub fn encode(&self) -> Vec<u8> {
        writable::encode(self)
    }

    /// The bytes of a token file in format 1 (protobuf), which Hadoop 3 reads.
    pub fn encode_protobuf(&self) -> Vec<u8> {
        let token = |(alias, token): &(String, Token)| pb::CredentialsEntry {
            alias: alias.clone(),
            token: Some(token.into()),
            secret: None,
        };
        let secret = |(alias, secret): (&String, &Bytes)| pb::CredentialsEntry {
            alias: alias.clone(),
            token: None,
            secret: Some(secret.clone()),
        };
        let message = pb::Credentials {
            tokens: self.tokens.iter().map(token).collect(),
            secrets: self.secrets.iter().map(secret).collect(),
        };
        let mut out = [MAGIC.as_slice(), &[1]].concat();
        out.extend(message.encode_length_delimited_to_vec());
        out
    }

    /// Reads a token file.
    ///
    /// # Errors
    /// When the file cannot be read or is malformed.
    pub fn read_file(path: impl AsRef<Path>) -> Result<Self, CredentialsError> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).map_err(|source| CredentialsError::Read { path: path.to_owned(), source })?;
        Self::decode(&bytes)
    }

    /// Writes a token file that only its owner can read, replacing an old one in a single step.
    ///
    /// # Errors
    /// When the file or its temporary neighbour cannot be written.
    pub fn write_file(&self, path: impl AsRef<Path>) -> Result<(), CredentialsError> {
        let path = path.as_ref();
        let failed = |source| CredentialsError::Write { path: path.to_owned(), source };
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        write_private(&temporary, &self.encode()).map_err(failed)?;
        std::fs::rename(&temporary, path).map_err(failed)
    }

    /// The credentials that the environment names (`HADOOP_TOKEN_FILE_LOCATION`), none if it names none.
    ///
    /// # Errors
    /// As [`read_file`](Self::read_file).
    pub fn from_environment() -> Result<Self, CredentialsError> {
        match std::env::var_os("HADOOP_TOKEN_FILE_LOCATION") {
            Some(path) => Self::read_file(PathBuf::from(path)),
            None => Ok(Self::default()),
        }
    }

    /// Every token with its alias, in file order.
    pub fn tokens(&self) -> impl Iterator<Item = (&str, &Token)> {
        self.tokens.iter().map(|(alias, token)| (alias.as_str(), token))
    }

    /// Every secret with its alias.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.secrets.iter().map(|(alias, secret)| (alias.as_str(), secret.as_ref()))
    }

    /// Whether there is neither token nor secret.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.secrets.is_empty()
    }

    /// Puts a token under an alias, in place of the one there.
    pub fn add_token(&mut self, alias: impl Into<String>, token: Token) {
        let alias = alias.into();
        match self.tokens.iter_mut().find(|(known, _)| *known == alias) {
            Some(slot) => slot.1 = token,
            None => self.tokens.push((alias, token)),
        }
    }

    /// Puts a secret under an alias, in place of the one there.
    pub fn add_secret(&mut self, alias: impl Into<String>, secret: impl Into<Bytes>) {
        self.secrets.insert(alias.into(), secret.into());
    }

    /// The secret under an alias.
    pub fn secret(&self, alias: &str) -> Option<&[u8]> {
        self.secrets.get(alias).map(AsRef::as_ref)
    }

    /// The secret under an alias, as text.
    ///
    /// # Errors
    /// It is not there, or is not UTF-8.
    pub fn secret_text(&self, alias: &str) -> Result<&str, CredentialsError> {
        let bytes = self.secret(alias).ok_or_else(|| CredentialsError::NoSecret(alias.to_string()))?;
        std::str::from_utf8(bytes).map_err(|_| CredentialsError::NoText(alias.to_string()))
    }

    /// The first token of a kind, whatever its service: how the AMRM token is found, whose service is empty.
    pub fn token_of_kind(&self, kind: &str) -> Option<&Token> {
        self.tokens.iter().map(|(_, token)| token).find(|token| token.kind == kind)
    }

    /// The token of a kind for a service; `service` may be one of several in the token's list (ResourceManager HA).
    pub fn token_for(&self, kind: &str, service: &str) -> Option<&Token> {
        let fits =
            |token: &&Token| token.kind == kind && token.service.split(',').any(|known| known == service);
        self.tokens.iter().map(|(_, token)| token).find(fits)
    }

    /// Takes away every token of a kind: a master must not pass its AMRM token on to its containers.
    pub fn remove_kind(&mut self, kind: &str) {
        self.tokens.retain(|(_, token)| token.kind != kind);
    }

    /// Adds everything of `other`, whose entries win.
    pub fn merge(&mut self, other: Self) {
        for (alias, token) in other.tokens {
            self.add_token(alias, token);
        }
        self.secrets.extend(other.secrets);
    }
}

/// Format 1: one length-delimited `CredentialsProto`.
fn decode_protobuf(bytes: &[u8]) -> Result<Credentials, CredentialsError> {
    let malformed = |reason: String| CredentialsError::Malformed { at: 5, reason };
    let message = pb::Credentials::decode_length_delimited(bytes).map_err(|e| malformed(e.to_string()))?;
    let mut credentials = Credentials::default();
    for entry in message.tokens {
        let token = entry.token.ok_or_else(|| malformed(format!("entry '{}' has no token", entry.alias)))?;
        credentials.tokens.push((entry.alias, Token::from(&token)));
    }
    for entry in message.secrets {
        let secret =
            entry.secret.ok_or_else(|| malformed(format!("entry '{}' has no secret", entry.alias)))?;
        credentials.secrets.insert(entry.alias, secret);
    }
    Ok(credentials)
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
