//! Who this process belongs to.

/// The name of the user this process belongs to: as Java, by the user id, where the environment may tell of somebody else (in
/// a container `USER` is the submitter). Users that only a directory service knows go by the environment after all.
pub(crate) fn system_user() -> String {
    let id = rustix::process::getuid().as_raw();
    let listed = std::fs::read_to_string("/etc/passwd").ok().and_then(|passwd| name_in_passwd(&passwd, id));
    let named = |key| std::env::var(key).ok().filter(|name: &String| !name.is_empty());
    listed.or_else(|| named("USER")).or_else(|| named("LOGNAME")).unwrap_or_else(|| id.to_string())
}

/// The first name with this user id in the text of `/etc/passwd` (`name:password:id:…`).
fn name_in_passwd(passwd: &str, id: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, listed) = (fields.next()?, fields.nth(1)?);
        (listed.parse() == Ok(id)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_who_the_user_id_belongs_to() {
        let passwd = "root:x:0:0::/root:/bin/sh\n# comment\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(name_in_passwd(passwd, 1000).as_deref(), Some("ada"));
        assert_eq!(name_in_passwd(passwd, 100), None);
    }
}
