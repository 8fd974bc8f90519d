//! Delegation tokens of the ResourceManager and of HDFS, with the service names that Hadoop looks them up by.
//! Owns these names; keeps nothing, and renews only what it is told to.

use super::{ClientError, Result, YarnClient};
use crate::conf::HadoopConf;
use crate::credentials::Token;
use crate::proto::common;
use crate::rpc::{Address, Identity, RpcClient};
use prost::Message;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
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

    /// Renews a ResourceManager delegation token; tells until when it is now good. Only its renewer may do so.
    ///
    /// # Errors
    /// When the ResourceManager refuses it or the call fails.
    pub async fn renew_delegation_token(&self, token: &Token) -> Result<SystemTime> {
        let request = common::RenewDelegationTokenRequest { token: token.into() };
        let answer: common::RenewDelegationTokenResponse =
            self.call("cannot renew the delegation token", "renewDelegationToken", &request).await?;
        Ok(UNIX_EPOCH + Duration::from_millis(answer.new_expiry_time))
    }

    /// Makes a ResourceManager delegation token worthless. Only its owner and its renewer may do so.
    ///
    /// # Errors
    /// When the ResourceManager refuses it or the call fails.
    pub async fn cancel_delegation_token(&self, token: &Token) -> Result<()> {
        let request = common::CancelDelegationTokenRequest { token: token.into() };
        let _: common::CancelDelegationTokenResponse =
            self.call("cannot cancel the delegation token", "cancelDelegationToken", &request).await?;
        Ok(())
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
    let hdfs = Hdfs { conf, authority, user, patience };
    let request = common::GetDelegationTokenRequest { renewer: renewer.to_owned() };
    let act = "cannot get an HDFS delegation token";
    let answer: common::GetDelegationTokenResponse = hdfs.call(act, "getDelegationToken", &request).await?;
    let Some(token) = answer.token.as_ref().map(Token::from) else {
        return Ok(Vec::new());
    };
    if conf.is_name_service(authority) {
        return Ok(vec![Token { service: format!("ha-hdfs:{authority}"), ..token }]);
    }
    let mut tokens = Vec::new();
    for address in &conf.name_node_addresses(authority)? {
        tokens.push(Token { service: token_service(conf, address).await, ..token.clone() });
        tokens.push(Token { service: address.to_string(), ..token.clone() });
    }
    tokens.dedup_by(|a, b| a.service == b.service);
    Ok(tokens)
}

/// Renews an HDFS delegation token of the NameNodes behind `authority`; tells until when it is now good. Only its renewer,
/// as whom `user` calls, may do so.
///
/// # Errors
/// When the NameNode refuses it or the call fails.
pub async fn renew_hdfs_delegation_token(
    conf: &HadoopConf,
    authority: &str,
    user: &str,
    token: &Token,
    patience: Duration,
) -> Result<SystemTime> {
    let hdfs = Hdfs { conf, authority, user, patience };
    let request = common::RenewDelegationTokenRequest { token: token.into() };
    let act = "cannot renew the HDFS delegation token";
    let answer: common::RenewDelegationTokenResponse =
        hdfs.call(act, "renewDelegationToken", &request).await?;
    Ok(UNIX_EPOCH + Duration::from_millis(answer.new_expiry_time))
}

/// Makes an HDFS delegation token of the NameNodes behind `authority` worthless. Only its owner and its renewer may do so.
///
/// # Errors
/// When the NameNode refuses it or the call fails.
pub async fn cancel_hdfs_delegation_token(
    conf: &HadoopConf,
    authority: &str,
    user: &str,
    token: &Token,
    patience: Duration,
) -> Result<()> {
    let hdfs = Hdfs { conf, authority, user, patience };
    let request = common::CancelDelegationTokenRequest { token: token.into() };
    let act = "cannot cancel the HDFS delegation token";
    let _: common::CancelDelegationTokenResponse = hdfs.call(act, "cancelDelegationToken", &request).await?;
    Ok(())
}

/// The NameNodes behind an authority, as a user sees them.
struct Hdfs<'a> {
    conf: &'a HadoopConf,
    authority: &'a str,
    user: &'a str,
    patience: Duration,
}

impl Hdfs<'_> {
    async fn call<Q: Message, R: Message + Default>(
        &self,
        act: &'static str,
        method: &str,
        request: &Q,
    ) -> Result<R> {
        let targets = self.conf.name_node_addresses(self.authority)?;
        let identity = identity(self.conf, self.user, None);
        let rpc = RpcClient::new(HDFS_PROTOCOL, targets, identity, self.conf.rpc_options()?);
        let answer = rpc.call(method, request, Instant::now() + self.patience).await;
        answer.map_err(|source| ClientError::Call { act, source })
    }
}
