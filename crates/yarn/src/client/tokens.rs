//! Delegation tokens of the ResourceManager and of HDFS, with the service names that Hadoop looks them up by.
//! Owns these names; keeps and renews nothing.

use super::{ClientError, Result, YarnClient};
use crate::conf::HadoopConf;
use crate::credentials::Token;
use crate::proto::common;
use crate::rpc::{Address, Identity, RpcClient};
use std::time::Duration;
use tokio::time::Instant;

/// Java name of HDFS's protocol, of which only delegation tokens are used here.
const HDFS_PROTOCOL: &str = "org.apache.hadoop.hdfs.protocol.ClientProtocol";

impl YarnClient {
    /// A token by which its bearer is this user to the ResourceManager, its service filled in as Hadoop does.
    ///
    /// # Errors
    /// When the ResourceManager gives none (on a token's connection it never does) or the call fails.
    pub async fn delegation_token(&self, renewer: &str, conf: &HadoopConf) -> Result<Token> {
        const ACT: &str = "cannot get a ResourceManager delegation token";
        let request = common::GetDelegationTokenRequest { renewer: renewer.to_owned() };
        let answer: common::GetDelegationTokenResponse =
            self.call(ACT, "getDelegationToken", &request).await?;
        let token = answer.token.as_ref().ok_or(ClientError::Incomplete { act: ACT, missing: "token" })?;
        let mut services = Vec::new();
        for address in self.rpc.targets() {
            services.push(token_service(conf, address).await);
        }
        Ok(Token { service: services.join(","), ..Token::from(token) })
    }
}

/// As whom to call: by token if there is one for the purpose, by name on an insecure cluster.
pub(super) fn identity(conf: &HadoopConf, user: &str, token: Option<&Token>) -> Identity {
    match token {
        Some(token) => Identity::Token { token: token.clone(), user: user.to_owned() },
        None if conf.is_secure() => Identity::Kerberos,
        None => Identity::simple(user),
    }
}

/// A token's service for an address: `ip:port`, or `host:port` in lower case if the cluster says so (`SecurityUtil.buildTokenService`).
async fn token_service(conf: &HadoopConf, address: &Address) -> String {
    let by_name = format!("{}:{}", address.host.to_ascii_lowercase(), address.port);
    if !conf.get_bool("hadoop.security.token.service.use_ip", true) {
        return by_name;
    }
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    let found = found.ok().and_then(|mut addresses| addresses.next());
    found.map_or(by_name, |address| format!("{}:{}", address.ip(), address.port()))
}

/// HDFS delegation tokens for the NameNodes behind `authority` (the part of an `hdfs://` URL after the slashes), ready for
/// [`Credentials`](crate::credentials::Credentials): the token under the service name that Hadoop uses and, where that differs, a copy under `host:port` as the
/// URL has it, by which hdfs-native looks for it. Empty when the NameNode gives none (an insecure one does not).
///
/// # Errors
/// When the call fails.
pub async fn hdfs_delegation_tokens(
    conf: &HadoopConf,
    authority: &str,
    user: &str,
    renewer: &str,
    patience: Duration,
) -> Result<Vec<Token>> {
    let targets = conf.name_node_addresses(authority)?;
    let rpc = RpcClient::new(HDFS_PROTOCOL, targets.clone(), identity(conf, user, None), conf.rpc_options()?);
    let request = common::GetDelegationTokenRequest { renewer: renewer.to_owned() };
    let answer = rpc.call("getDelegationToken", &request, Instant::now() + patience).await;
    let act = "cannot get an HDFS delegation token";
    let answer: common::GetDelegationTokenResponse =
        answer.map_err(|source| ClientError::Call { act, source })?;
    let Some(token) = answer.token.as_ref().map(Token::from) else {
        return Ok(Vec::new());
    };
    if conf.is_name_service(authority) {
        return Ok(vec![Token { service: format!("ha-hdfs:{authority}"), ..token }]);
    }
    let mut tokens = Vec::new();
    for address in &targets {
        tokens.push(Token { service: token_service(conf, address).await, ..token.clone() });
        tokens.push(Token { service: address.to_string(), ..token.clone() });
    }
    tokens.dedup_by(|a, b| a.service == b.service);
    Ok(tokens)
}
