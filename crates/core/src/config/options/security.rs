//! Options of security: Kerberos, delegation tokens, TLS.

use std::time::Duration;

super::options! {
    /// Kerberos principal.
    KERBEROS_PRINCIPAL: Option<String> = "security.kerberos.login.principal", none, NotYet;
    /// Keytab of the principal.
    KERBEROS_KEYTAB: Option<String> = "security.kerberos.login.keytab", none, NotYet;
    /// Whether the ticket cache is used.
    KERBEROS_CACHE: bool = "security.kerberos.login.use-ticket-cache", "true", NotYet;
    /// Login contexts that get the credentials.
    KERBEROS_CONTEXTS: Option<String> = "security.kerberos.login.contexts", none, NotYet;
    /// Time between logins.
    KERBEROS_RELOGIN: Duration = "security.kerberos.relogin.period", "1 min", NotYet;
    /// File systems for which tokens are obtained.
    KERBEROS_FILE_SYSTEMS: Option<String> = "security.kerberos.access.hadoopFileSystems", none, NotYet;
    /// Location of krb5.conf.
    KERBEROS_CONF: Option<String> = "security.kerberos.krb5-conf.path", none, NotYet;
    /// Whether delegation tokens are obtained.
    TOKENS: bool = "security.delegation.tokens.enabled" | "security.kerberos.fetch.delegation-token", "true", NotYet;
    /// Part of a token's life after which it is renewed.
    TOKENS_RENEWAL: f64 = "security.delegation.tokens.renewal.time-ratio", "0.75", NotYet;
    /// Wait before a renewal is tried again.
    TOKENS_RETRY: Duration = "security.delegation.tokens.renewal.retry.backoff", "1 h", NotYet;
    /// TLS between processes.
    SSL_INTERNAL: bool = "security.ssl.internal.enabled" | "security.ssl.enabled", "false", NotYet;
    /// TLS of the REST API.
    SSL_REST: bool = "security.ssl.rest.enabled", "false", NotYet;
    /// Whether clients of the REST API need a certificate.
    SSL_REST_AUTH: bool = "security.ssl.rest.authentication-enabled", "false", NotYet;
    /// Version of TLS.
    SSL_PROTOCOL: String = "security.ssl.protocol", "TLSv1.2", NotYet;
}
