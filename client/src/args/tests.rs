//! Command lines of each dialect, as users have them in their scripts.

use super::typed::{SavepointAction, SavepointFormat};
use super::*;
use kvick_core::config::MemorySize;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_string).collect()
}

fn parsed(line: &str) -> Invocation {
    parse_flink(&words(line)).unwrap()
}

fn refused(line: &str) -> String {
    parse_flink(&words(line)).unwrap_err().0
}

fn run(line: &str) -> ProgramArgs {
    match parsed(line) {
        Invocation::Run(args) => args,
        other => panic!("{other:?}"),
    }
}

const JOB: &str = "fd72014d4c864993a2e5a9287b4a9c5d";

#[test]
fn the_old_yarn_dialect() {
    let args = run(
        "run -m yarn-cluster -yn 2 -yjm 1024 -ytm 2g -ys 3 -yqu prod -ynm nightly -yD a.b=c=d -yDe=f -yat T -ynl gpu -yt lib -yt more -yst WordCount.jar --input x",
    );
    let c = &args.cluster;
    assert_eq!(c.jobmanager.as_deref(), Some("yarn-cluster"));
    assert_eq!(c.job_manager_memory, Some(MemorySize::mib(1024)));
    assert_eq!(c.task_manager_memory, Some(MemorySize::mib(2048)));
    assert_eq!((c.slots, c.queue.as_deref(), c.name.as_deref()), (Some(3), Some("prod"), Some("nightly")));
    assert_eq!(c.dynamic, [("a.b".into(), "c=d".into()), ("e".into(), "f".into())]);
    assert_eq!(c.ship, ["lib", "more"]);
    assert!(c.yarn_options && !c.detached);
    assert_eq!(c.warnings.len(), 2, "{:?}", c.warnings);
    assert_eq!((args.jar.as_str(), args.args), ("WordCount.jar", words("--input x")));
}

#[test]
fn the_generic_dialect() {
    let args = run(
        "run -t yarn-per-job -Djobmanager.memory.process.size=1024m -D x=y -Dswitch -p4 -d j.jar -p 3 -h",
    );
    assert_eq!(args.cluster.target.as_deref(), Some("yarn-per-job"));
    assert_eq!(
        args.cluster.dynamic,
        [
            ("jobmanager.memory.process.size".into(), "1024m".into()),
            ("x".into(), "y".into()),
            ("switch".into(), "true".into())
        ]
    );
    assert_eq!((args.parallelism, args.cluster.detached), (Some(4), true));
    assert_eq!(args.args, words("-p 3 -h"), "what follows the jar belongs to the program");
}

#[test]
fn long_names_take_equals_signs_prefixes_and_single_dashes() {
    let args = run("run --paral=2 --class a.B -detached --jobm host:8081 j.jar");
    assert_eq!((args.parallelism, args.entry.as_deref()), (Some(2), Some("a.B")));
    assert_eq!(args.cluster.jobmanager.as_deref(), Some("host:8081"));
    assert!(args.cluster.detached);
    assert!(refused("run --cla j.jar").starts_with("Ambiguous option: '--cla'"));
}

#[test]
fn a_double_dash_ends_the_options() {
    assert_eq!(run("run -d -- j.jar -d").args, ["-d"]);
}

#[test]
fn what_detaches_only_does_not_hide_a_session() {
    assert!(!run("run -yd j.jar").cluster.yarn_options);
    assert!(run("run -ys 2 j.jar").cluster.yarn_options);
}

#[test]
fn restoring() {
    let args = run("run -s hdfs:///sp -n -cm no-claim j.jar");
    assert_eq!(args.savepoint.as_deref(), Some("hdfs:///sp"));
    assert_eq!((args.allow_non_restored, args.claim_mode), (true, Some("NO_CLAIM")));
    assert!(run("run -rm claim j.jar").cluster.warnings[0].contains("'claimMode'"));
    for line in ["run -cm legacy j.jar", "run -restoreMode LEGACY j.jar", "run -rm legacy j.jar"] {
        let warnings = run(line).cluster.warnings;
        assert!(
            warnings.last().unwrap().starts_with("The claim mode 'legacy' is deprecated"),
            "{warnings:?}"
        );
    }
    assert!(run("run -cm no_claim j.jar").cluster.warnings.is_empty());
}

#[test]
fn mistakes_are_named() {
    assert_eq!(refused("run"), "Java program should be specified a JAR file.");
    assert_eq!(refused("run -p 0 j.jar"), "The parallelism must be a positive number: 0");
    assert_eq!(refused("run -p"), "Missing argument for option: p");
    assert_eq!(refused("run -p -d j.jar"), "Missing argument for option: p");
    assert_eq!(refused("run --nosuchflag j.jar"), "Unrecognized option: --nosuchflag");
    assert_eq!(refused("run --detache=1 j.jar"), "The option -d,--detached takes no value.");
    assert_eq!(
        refused("run -ytn 4 j.jar"),
        "Unrecognized option: -ytn\nDid you mean -ynm?".replace("-ynm", "-yn")
    );
    assert_eq!(
        refused("run --paralelism 2 j.jar"),
        "Unrecognized option: --paralelism\nDid you mean --parallelism?"
    );
    assert!(refused("run -ytm lots j.jar").contains("'lots'"));
    assert!(refused("run -py job.py").contains("Python programs are not supported"));
    assert_eq!(refused("cancel"), "Missing JobID. Specify a JobID to cancel a job.");
    assert_eq!(refused("savepoint"), "Missing JobID. Specify a Job ID to trigger a savepoint.");
    assert_eq!(refused("checkpoint"), "Missing JobID. Specify a Job ID to manipulate a checkpoint.");
    assert_eq!(refused("stop"), "Missing JobId");
    assert_eq!(
        refused("cancel zzz"),
        "Cannot parse JobID from \"zzz\". The expected format is [0-9a-fA-F]{32}, e.g. fd72014d4c864993a2e5a9287b4a9c5d."
    );
}

#[test]
fn list_shows_running_and_scheduled_unless_told() {
    let shown = |line| match parsed(line) {
        Invocation::List(args) => (args.running, args.scheduled, args.all),
        other => panic!("{other:?}"),
    };
    assert_eq!(shown("list"), (true, true, false));
    assert_eq!(shown("list -r"), (true, false, false));
    assert_eq!(shown("list --scheduled"), (false, true, false));
    assert_eq!(shown("list -a -yid application_1_1"), (true, true, true));
}

#[test]
fn options_may_follow_the_job_id() {
    match parsed(&format!("cancel {JOB} -m host:1 -yid application_1_2")) {
        Invocation::Cancel(args) => {
            assert_eq!(args.cluster.jobmanager.as_deref(), Some("host:1"));
            assert_eq!(args.cluster.application_id.as_deref(), Some("application_1_2"));
            assert_eq!(args.savepoint, None);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_optional_directory_may_be_left_out() {
    let stop = |line: String| match parsed(&line) {
        Invocation::Stop(args) => (args.directory, args.drain, args.job.to_string(), args.format),
        other => panic!("{other:?}"),
    };
    assert_eq!(stop(format!("stop -p {JOB}")), (None, false, JOB.into(), SavepointFormat::Canonical));
    assert_eq!(
        stop(format!("stop -d -type native -p /sp {JOB}")),
        (Some("/sp".into()), true, JOB.into(), SavepointFormat::Native)
    );
    match parsed(&format!("cancel -s {JOB}")) {
        Invocation::Cancel(args) => assert_eq!(args.savepoint, Some(None)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn savepoints_are_taken_and_disposed() {
    let what = |line: String| match parsed(&line) {
        Invocation::Savepoint(args) => (args.what, args.too_many),
        other => panic!("{other:?}"),
    };
    let job = JOB.parse().unwrap();
    assert_eq!(
        what(format!("savepoint {JOB} /dir")),
        (SavepointAction::Take(job, Some("/dir".into())), false)
    );
    assert_eq!(
        what(format!("savepoint {JOB} /dir more")),
        (SavepointAction::Take(job, Some("/dir".into())), true)
    );
    for option in ["-d", "--dispose"] {
        assert_eq!(what(format!("savepoint {option} /sp")), (SavepointAction::Dispose("/sp".into()), false));
    }
}

#[test]
fn a_session_has_the_dialect_without_y() {
    let args = words("-d -jm 1024 -tm 2048 -s 3 -nm my -qu other -n 2 -Da=b -st");
    match parse_action(Action::Session, &args).unwrap() {
        Invocation::Session(args) => {
            let c = args.cluster;
            assert_eq!(c.job_manager_memory, Some(MemorySize::mib(1024)));
            assert_eq!((c.slots, c.detached, c.name.as_deref()), (Some(3), true, Some("my")));
            assert_eq!(c.dynamic, [("a".into(), "b".into())]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn help_version_and_unknown_actions() {
    assert_eq!(parsed("-h"), Invocation::Help(None));
    assert_eq!(parsed("run --help"), Invocation::Help(Some(Action::Run)));
    assert_eq!(parsed("-v"), Invocation::Version);
    assert_eq!(parsed("bogus"), Invocation::UnknownAction("bogus".into()));
    assert_eq!(parse_flink(&[]), Ok(Invocation::NoAction));
}

#[test]
fn the_help_of_every_action_lists_its_options_within_80_columns() {
    let text = help::all();
    for action in Action::ALL.into_iter().filter(|action| *action != Action::Session) {
        assert!(text.contains(&format!("Action \"{}\"", action.name())), "{}", action.name());
    }
    assert!(text.starts_with("./flink <ACTION> [OPTIONS] [ARGUMENTS]\n"));
    let session = help::of(Action::Session);
    for line in text.lines().chain(session.lines()).filter(|line| line.starts_with("   ")) {
        assert!(line.len() <= 80, "{line}");
    }
    let run = help::of(Action::Run);
    for text in
        ["-c,--class <classname>", "-yjm,--yarnjobManagerMemory <arg>", "Options for Generic CLI mode:"]
    {
        assert!(run.contains(text), "{text}");
    }
    assert!(!help::of(Action::RunApplication).contains("yarn-cluster mode"));
}
