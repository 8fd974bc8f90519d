//! Authentication and protection of a connection (SASL), without any input or output: bytes in, bytes out.
//! Owns DIGEST-MD5 (RFC 2831) and its security layers; knows nothing of sockets or of Hadoop's frames.

pub mod digest_md5;
pub mod layer;

/// Why authentication failed before or without a word from the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// The server offers nothing we have credentials for.
    #[error("the server accepts {offered}, but we have {have}{hint}")]
    NoCommonMethod {
        /// What the server offers.
        offered: String,
        /// What we could have answered.
        have: &'static str,
        /// What to do about it; empty when there is nothing to say.
        hint: &'static str,
    },
    /// Kerberos is needed or was asked for.
    #[error(
        "Kerberos authentication is not supported yet: run with delegation tokens (HADOOP_TOKEN_FILE_LOCATION)"
    )]
    KerberosUnsupported,
    /// The server's challenge is not what RFC 2831 allows.
    #[error("malformed DIGEST-MD5 challenge: {0}")]
    Challenge(String),
    /// The server offers no protection that we know.
    #[error("no common DIGEST-MD5 {what}: the server offers '{offered}', we know {known}")]
    NoCommonProtection {
        /// `qop` or `cipher`.
        what: &'static str,
        /// The server's list.
        offered: String,
        /// Ours.
        known: &'static str,
    },
    /// The server did not prove that it knows the token's password.
    #[error("the server did not prove that it knows the token: it may be an impostor")]
    ServerNotAuthenticated,
    /// The exchange went another way than it can go.
    #[error("unexpected SASL message: {0}")]
    Unexpected(String),
    /// A protected message is broken, replayed or forged.
    #[error("a protected message was refused: {0}")]
    Integrity(&'static str),
    /// The system has no random numbers.
    #[error("no random numbers from the system: {0}")]
    Random(String),
}

/// `N` random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], SaslError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| SaslError::Random(e.to_string()))?;
    Ok(bytes)
}
