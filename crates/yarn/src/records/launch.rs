//! How a container is started: files, environment, command, credentials.

use crate::credentials::Credentials;
use crate::proto::yarn as pb;
use std::collections::BTreeMap;

/// What a URL of a local resource can lack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{url}' is no URL of a local resource: {reason}")]
pub struct LocalResourceError {
    url: String,
    reason: &'static str,
}

/// What becomes of a local resource on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LocalResourceType {
    /// Linked into the working directory as it is.
    File,
    /// Unpacked into a directory (by suffix: .jar .zip .tar .tar.gz .tgz), which is linked.
    Archive,
}

/// Who shares a localised file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Everyone on the node; the file must be readable by all, and its directories open to all.
    Public,
    /// The user's applications on the node.
    Private,
    /// This application.
    Application,
}

/// A file that the NodeManager fetches before it starts a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalResource {
    /// Full URL, as `hdfs://nameservice/path`.
    pub url: String,
    /// Length, bytes.
    pub size: u64,
    /// Modification time, ms since 1970: must be the file's to the millisecond, or the container fails (exit -1000).
    pub timestamp: u64,
    /// What becomes of it.
    pub kind: LocalResourceType,
    /// Who shares it.
    pub visibility: Visibility,
}

/// Scheme, authority (user, host, port) and path of a URL, as `org.apache.hadoop.yarn.api.records.URL` wants them.
fn parse_url(text: &str) -> Result<pb::Url, LocalResourceError> {
    let fail = |reason| LocalResourceError { url: text.to_owned(), reason };
    let (scheme, rest) = text.split_once(':').ok_or_else(|| fail("it has no scheme, such as hdfs:"))?;
    let (authority, file) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    if scheme.is_empty() || !file.starts_with('/') {
        return Err(fail("it has no absolute path"));
    }
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let (host, port) = match host.rsplit_once(':') {
        None => (host, -1),
        Some((host, port)) => {
            (host, i32::from(port.parse::<u16>().map_err(|_| fail("its port is no number"))?))
        }
    };
    Ok(pb::Url {
        scheme: Some(scheme.to_owned()),
        host: Some(host.to_owned()).filter(|host| !host.is_empty()),
        // Unset would be read as port 0; -1 is "none".
        port: Some(port),
        file: Some(file.to_owned()),
        user_info: user.map(str::to_owned),
    })
}

impl LocalResource {
    pub(crate) fn to_wire(&self) -> Result<pb::LocalResource, LocalResourceError> {
        let kind = match self.kind {
            LocalResourceType::File => pb::LocalResourceType::LocalResourceFile,
            LocalResourceType::Archive => pb::LocalResourceType::LocalResourceArchive,
        };
        let visibility = match self.visibility {
            Visibility::Public => pb::LocalResourceVisibility::VisibilityPublic,
            Visibility::Private => pb::LocalResourceVisibility::VisibilityPrivate,
            Visibility::Application => pb::LocalResourceVisibility::VisibilityApplication,
        };
        Ok(pb::LocalResource {
            resource: Some(parse_url(&self.url)?),
            size: Some(i64::try_from(self.size).unwrap_or(i64::MAX)),
            timestamp: Some(i64::try_from(self.timestamp).unwrap_or(i64::MAX)),
            r#type: Some(kind as i32),
            visibility: Some(visibility as i32),
            pattern: None,
        })
    }
}

/// What an access list is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessType {
    /// Seeing the application and its logs.
    ViewApp,
    /// Killing and changing it.
    ModifyApp,
}

/// How to start a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaunchContext {
    /// Files by the name of their link in the working directory. One source under two names gives only one link.
    pub resources: BTreeMap<String, LocalResource>,
    /// Environment; values are put between double quotes in a shell script as they are, so `$`, backtick and `"` act.
    pub env: BTreeMap<String, String>,
    /// The command, joined by spaces into `exec /bin/bash -c "…"`; `<LOG_DIR>` becomes the log directory.
    pub command: Vec<String>,
    /// Tokens and secrets for the container's token file.
    pub credentials: Credentials,
    /// Who may see or change the application, in Hadoop's form `user1,user2 group1,group2`.
    pub acls: BTreeMap<AccessType, String>,
    /// Data for the NodeManager's auxiliary services, by name.
    pub service_data: BTreeMap<String, Vec<u8>>,
}

impl LaunchContext {
    pub(crate) fn to_wire(&self) -> Result<pb::ContainerLaunchContext, LocalResourceError> {
        let resource = |(name, resource): (&String, &LocalResource)| {
            Ok(pb::StringLocalResource { key: Some(name.clone()), value: Some(resource.to_wire()?) })
        };
        let variable = |(key, value): (&String, &String)| pb::StringString {
            key: Some(key.clone()),
            value: Some(value.clone()),
        };
        let service = |(key, value): (&String, &Vec<u8>)| pb::StringBytes {
            key: Some(key.clone()),
            value: Some(value.clone().into()),
        };
        Ok(pb::ContainerLaunchContext {
            local_resources: self.resources.iter().map(resource).collect::<Result<_, _>>()?,
            tokens: (!self.credentials.is_empty()).then(|| self.credentials.encode().into()),
            service_data: self.service_data.iter().map(service).collect(),
            environment: self.env.iter().map(variable).collect(),
            command: self.command.clone(),
            application_acls: self.acls.iter().map(acl_to_wire).collect(),
        })
    }
}

fn acl_to_wire((access, acl): (&AccessType, &String)) -> pb::ApplicationAcl {
    let access = match access {
        AccessType::ViewApp => pb::AccessType::AccessViewApp,
        AccessType::ModifyApp => pb::AccessType::AccessModifyApp,
    };
    pb::ApplicationAcl { access_type: Some(access as i32), acl: Some(acl.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> (String, Option<String>, i32, String) {
        let url = parse_url(text).unwrap();
        (url.scheme().to_owned(), url.host.clone(), url.port(), url.file().to_owned())
    }

    #[test]
    fn a_url_without_port_says_so() {
        assert_eq!(parts("hdfs://ns/a/b"), ("hdfs".into(), Some("ns".into()), -1, "/a/b".into()));
        assert_eq!(parts("hdfs://nn:8020/a"), ("hdfs".into(), Some("nn".into()), 8020, "/a".into()));
        assert_eq!(parts("file:///a"), ("file".into(), None, -1, "/a".into()));
        assert_eq!(parts("file:/a"), ("file".into(), None, -1, "/a".into()));
        assert_eq!(parse_url("s3://me@b/x").unwrap().user_info(), "me");
    }

    #[test]
    fn urls_that_name_no_file_are_refused() {
        for text in ["/a/b", "hdfs://ns", "hdfs:a", "hdfs://nn:x/a", "://x/y"] {
            assert!(parse_url(text).unwrap_err().to_string().contains(text));
        }
    }

    proptest! {
        #[test]
        fn no_url_panics(text in "[a:/@é0-9]{0,30}") {
            let _ = parse_url(&text);
        }
    }
}
