//! As whom a connection is opened.
//! Owns the choice of authentication; the exchange itself is the handshake's.

use crate::credentials::Token;

/// As whom to call.
#[derive(Debug, Clone)]
pub enum Identity {
    /// By name alone, as insecure clusters accept.
    Simple {
        /// The user.
        user: String,
    },
    /// By a token (DIGEST-MD5): what AMRM and NM ports always demand.
    Token {
        /// The token.
        token: Token,
        /// The user to be if the server turns out to know no tokens.
        user: String,
    },
    /// By Kerberos: not supported yet, every connection fails and says so.
    Kerberos,
}

impl Identity {
    /// The named user.
    pub fn simple(user: impl Into<String>) -> Self {
        Self::Simple { user: user.into() }
    }

    /// The bearer of a token.
    pub fn token(token: Token) -> Self {
        Self::Token { token, user: current_user() }
    }
}

/// The user as Hadoop sees it: `HADOOP_USER_NAME`, else the process's user (by `/etc/passwd`, else `USER`), else its number.
pub fn current_user() -> String {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    variable("HADOOP_USER_NAME")
        .or_else(system_user)
        .or_else(|| variable("USER"))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The name that `/etc/passwd` gives to the owner of this process.
fn system_user() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let entry = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&uid.as_str()))?;
    entry.first().map(|name| (*name).to_owned())
}
