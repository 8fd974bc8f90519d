//! How the HDFS client is set up: its address, its keys, its user. Knows `hdfs-native`'s builder; makes no connection.

use std::collections::BTreeMap;

use hdfs_native::{Client, ClientBuilder};

use crate::context::Context;
use crate::error::{FsError, Result};
use crate::path::FsPath;

/// The port of a NameNode's client protocol where none is written (`HdfsClientConfigKeys.DFS_NAMENODE_RPC_PORT_DEFAULT`).
const DEFAULT_PORT: u16 = 8020;

/// Where the HDFS client looks for delegation tokens, and nowhere else.
const TOKEN_FILE_VARIABLE: &str = "HADOOP_TOKEN_FILE_LOCATION";

/// Enough to build any number of equal clients.
pub(super) struct ClientSettings {
    url: String,
    keys: BTreeMap<String, String>,
    /// On a cluster without authentication only; with Kerberos a name given here would ask for impersonation.
    user: Option<String>,
}

impl ClientSettings {
    pub(super) fn new(context: &Context, path: &FsPath) -> Result<Self> {
        let secure = context
            .key("hadoop.security.authentication")
            .is_some_and(|kind| !kind.eq_ignore_ascii_case("simple"));
        if secure {
            check_token_file(context, path)?;
        }
        let logical = path.scheme() != "hdfs"
            || context.key(&format!("dfs.ha.namenodes.{}", path.authority())).is_some();
        Ok(Self {
            url: url(path, logical),
            keys: client_keys(context, logical),
            user: (!secure).then(|| context.effective_user()),
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.url
    }

    pub(super) fn build(&self) -> Result<Client> {
        // No directory has this name, so no configuration file is read: the keys given are the whole truth.
        let builder = ClientBuilder::new()
            .with_config_dir("/dev/null")
            .with_config(self.keys.clone())
            .with_url(self.url.as_str());
        let builder = match &self.user {
            Some(user) => builder.with_user(user.as_str()),
            None => builder,
        };
        builder.build().map_err(|error| FsError::Other {
            operation: "use",
            path: self.url.clone(),
            reason: error.to_string(),
        })
    }
}

/// A single NameNode gets its port; a name service or a mount table has none.
fn url(path: &FsPath, logical: bool) -> String {
    let authority = path.authority();
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    if logical || has_port {
        format!("{}://{authority}", path.scheme())
    } else {
        format!("{}://{authority}:{DEFAULT_PORT}", path.scheme())
    }
}

/// The caller's keys, trimmed as Java's readers do, with the client's own retries cut short: how long to try is decided here.
fn client_keys(context: &Context, logical: bool) -> BTreeMap<String, String> {
    let mut keys: BTreeMap<String, String> =
        context.hadoop.iter().map(|(key, value)| (key.clone(), value.trim().to_owned())).collect();
    let mut default = |key: &str, value: String| {
        keys.entry(key.to_owned()).or_insert(value);
    };
    default("dfs.client.socket-timeout", context.data_timeout.as_millis().to_string());
    default("dfs.client.failover.max.attempts", "8".to_owned());
    default("dfs.client.failover.sleep.base.millis", "200".to_owned());
    default("dfs.client.failover.sleep.max.millis", "2000".to_owned());
    if !logical {
        keys.insert("dfs.client.failover.max.attempts".to_owned(), "0".to_owned());
    }
    keys
}

fn check_token_file(context: &Context, path: &FsPath) -> Result<()> {
    let Some(wanted) = &context.token_file else {
        return Ok(());
    };
    let read = std::env::var_os(TOKEN_FILE_VARIABLE);
    if read.as_deref() == Some(wanted.as_os_str()) {
        return Ok(());
    }
    let reason = format!(
        "delegation tokens are read from the file that {TOKEN_FILE_VARIABLE} names; set it to {}",
        wanted.display()
    );
    Err(FsError::Unsupported { operation: "use", path: path.to_string(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(keys: &[(&str, &str)], path: &str) -> ClientSettings {
        let context = Context::new(keys.iter().copied()).with_user("ada");
        ClientSettings::new(&context, &context.resolve(path).unwrap()).unwrap()
    }

    #[test]
    fn only_a_single_name_node_gets_a_port() {
        assert_eq!(settings(&[], "hdfs://nn/x").address(), "hdfs://nn:8020");
        assert_eq!(settings(&[], "hdfs://nn:9000/x").address(), "hdfs://nn:9000");
        assert_eq!(settings(&[("dfs.ha.namenodes.ns", "a,b")], "hdfs://ns/x").address(), "hdfs://ns");
        assert_eq!(settings(&[], "viewfs://mounts/x").address(), "viewfs://mounts");
    }

    #[test]
    fn a_user_is_named_only_without_authentication() {
        assert_eq!(settings(&[], "hdfs://nn/x").user.as_deref(), Some("ada"));
        assert_eq!(settings(&[("hadoop.security.authentication", " kerberos")], "hdfs://nn/x").user, None);
    }

    #[test]
    fn a_token_file_that_would_not_be_read_is_refused() {
        let mut context = Context::new([("hadoop.security.authentication", "kerberos")]);
        context.token_file = Some("/nowhere/tokens".into());
        let error = ClientSettings::new(&context, &FsPath::new("hdfs", "nn", "/")).err().unwrap().to_string();
        assert!(error.contains("/nowhere/tokens") && error.contains(TOKEN_FILE_VARIABLE), "{error}");
    }
}
