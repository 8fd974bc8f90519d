//! Who is asking: the name under which YARN and HDFS are spoken to, and the one under which files are kept here.

/// The user of Hadoop: `HADOOP_USER_NAME`, else the one of the system.
pub fn hadoop_user() -> String {
    variable("HADOOP_USER_NAME").unwrap_or_else(system_user)
}

/// The user of the system.
pub fn system_user() -> String {
    variable("USER")
        .or_else(|| variable("LOGNAME"))
        .or_else(name_of_uid)
        .unwrap_or_else(|| "unknown".to_string())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// In a container or a cron job the environment may not say; `/etc/passwd` does.
fn name_of_uid() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let entry = passwd.lines().find(|line| line.split(':').nth(2) == Some(uid.as_str()))?;
    entry.split(':').next().map(str::to_string)
}
