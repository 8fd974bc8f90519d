//! How jobs are listed.

use crate::rest::JobSummary;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kvick_core::job::JobState;

const RULE: &str = "--------------------------------------------------------------";

/// Which jobs to list.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Those that run.
    pub running: bool,
    /// Those that wait.
    pub scheduled: bool,
    /// Those that have ended, if there are any.
    pub terminated: bool,
}

/// The lists, as `flink list` prints them.
pub fn listed(jobs: &[JobSummary], wanted: Wanted, zone: &TimeZone) -> String {
    let mut text = String::new();
    let of = |kind: Kind| sorted(jobs, kind);
    if wanted.running {
        text += &section(
            "------------------ Running/Restarting Jobs -------------------",
            &of(Kind::Running),
            zone,
            "No running jobs.",
        );
    }
    if wanted.scheduled {
        text += &section(
            "----------------------- Scheduled Jobs -----------------------",
            &of(Kind::Scheduled),
            zone,
            "No scheduled jobs.",
        );
    }
    if wanted.terminated && !of(Kind::Terminated).is_empty() {
        text += &section(
            "---------------------- Terminated Jobs -----------------------",
            &of(Kind::Terminated),
            zone,
            "",
        );
    }
    text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Running,
    Scheduled,
    Terminated,
}

fn kind(state: JobState) -> Kind {
    match state {
        JobState::Created | JobState::Initializing => Kind::Scheduled,
        state if state.is_terminal() => Kind::Terminated,
        _ => Kind::Running,
    }
}

fn sorted(jobs: &[JobSummary], wanted: Kind) -> Vec<&JobSummary> {
    let mut chosen: Vec<&JobSummary> = jobs.iter().filter(|job| kind(job.state) == wanted).collect();
    chosen.sort_by_key(|job| job.start_time);
    chosen
}

fn section(title: &str, jobs: &[&JobSummary], zone: &TimeZone, none: &str) -> String {
    if jobs.is_empty() {
        return format!("{none}\n");
    }
    let lines: Vec<String> = jobs.iter().map(|job| job_line(job, zone)).collect();
    format!("{title}\n{}\n{RULE}\n", lines.join("\n"))
}

fn job_line(job: &JobSummary, zone: &TimeZone) -> String {
    let start = Timestamp::from_millisecond(job.start_time).unwrap_or_default();
    let start = start.to_zoned(zone.clone()).strftime("%d.%m.%Y %H:%M:%S").to_string();
    // The name of a state is what it is in the REST API.
    let state = format!("{:?}", job.state).to_ascii_uppercase();
    format!("{start} : {} : {} ({state})", job.jid, job.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Vec<JobSummary> {
        let overview = r#"[
            {"jid":"00000000000000000000000000000002","name":"later","start-time":1795247171000,"state":"RESTARTING","tasks":{}},
            {"jid":"00000000000000000000000000000001","name":"first one","start-time":1795247170000,"state":"RUNNING","end-time":-1},
            {"jid":"00000000000000000000000000000003","name":"WordCount","start-time":1795247157000,"state":"FINISHED"}]"#;
        serde_json::from_str(overview).unwrap()
    }

    const ALL: Wanted = Wanted { running: true, scheduled: true, terminated: true };

    #[test]
    fn jobs_are_listed_by_kind_and_start() {
        let expected = "\
------------------ Running/Restarting Jobs -------------------
21.11.2026 07:46:10 : 00000000000000000000000000000001 : first one (RUNNING)
21.11.2026 07:46:11 : 00000000000000000000000000000002 : later (RESTARTING)
--------------------------------------------------------------
No scheduled jobs.
---------------------- Terminated Jobs -----------------------
21.11.2026 07:45:57 : 00000000000000000000000000000003 : WordCount (FINISHED)
--------------------------------------------------------------
";
        assert_eq!(listed(&jobs(), ALL, &TimeZone::UTC), expected);
    }

    #[test]
    fn nothing_to_list_is_said() {
        assert_eq!(listed(&[], ALL, &TimeZone::UTC), "No running jobs.\nNo scheduled jobs.\n");
        let running = Wanted { scheduled: false, terminated: false, ..ALL };
        assert_eq!(listed(&[], running, &TimeZone::UTC), "No running jobs.\n");
    }
}
