//! Which target the options, the configuration and a session's properties file lead to, and which value wins.

use super::*;
use crate::args::{Invocation, parse_flink};

const ID: &str = "application_1795246407314_0015";

fn cluster_args(line: &str) -> ClusterArgs {
    let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
    match parse_flink(&words).unwrap() {
        Invocation::Run(args) | Invocation::RunApplication(args) => args.cluster,
        Invocation::List(args) => args.cluster,
        other => panic!("{other:?}"),
    }
}

/// The target of a command line with a configuration file and, in the end, a properties file of a session.
fn target(line: &str, file: &[(&str, &str)], session: bool) -> Result<Target> {
    let dir = tempfile::tempdir().unwrap();
    let mut file: Configuration = file.iter().copied().collect();
    file.set("yarn.properties-file.location", dir.path().display().to_string());
    if session {
        let path = properties::location(&file).unwrap();
        let found = SessionProperties { path, application_id: ID.into(), dynamic: Configuration::default() };
        properties::write(&found).unwrap();
    }
    let args = cluster_args(line);
    let (flags, dynamic) = (flags(&args), args.dynamic.iter().cloned().collect());
    let session = target::session_of(&args, &file, &flags, &dynamic)?;
    let mut config = file.clone();
    config.overlay(&flags);
    config.overlay(&dynamic);
    target::select(&args, &file, &config, session.as_ref())
}

#[test]
fn the_first_way_of_naming_a_cluster_that_applies_is_taken() {
    let session = Target::YarnSession(ID.into());
    let other = Target::YarnSession("application_1_0001".into());
    let cases = [
        ("run -m yarn-cluster j", true, Target::YarnPerJob),
        ("run -t yarn-per-job j", true, Target::YarnPerJob),
        ("run -Dexecution.target=yarn-per-job j", true, Target::YarnPerJob),
        ("run j", true, session.clone()),
        ("run -yd j", true, session.clone()),
        ("run -d -p 2 j", true, session.clone()),
        ("list", true, session.clone()),
        ("run -t yarn-session j", true, session.clone()),
        ("run -t yarn-session j", false, Target::YarnSessionUnknown),
        ("run -yid application_1_0001 j", true, other.clone()),
        ("run -m yarn-cluster -yid application_1_0001 j", false, other.clone()),
        ("list -t yarn-application -Dyarn.application.id=application_1_0001", true, other),
        ("run -ys 2 j", true, Target::Remote("localhost:8081".into())),
        ("run -m host:81 j", true, Target::Remote("host:81".into())),
        ("run -m http://host:81/path/ j", true, Target::Remote("host:81/path".into())),
        ("run -t remote j", true, Target::Remote("localhost:8081".into())),
        ("run -t local j", true, Target::Local),
        ("run-application -t yarn-application j", true, Target::YarnApplication),
        ("run -Drest.port=9 -Drest.address=h j", false, Target::Remote("h:9".into())),
    ];
    for (line, has_session, expected) in cases {
        assert_eq!(target(line, &[], has_session).unwrap(), expected, "{line}");
    }
}

#[test]
fn the_configuration_file_names_a_target_too() {
    let file = [("execution.target", "yarn-per-job")];
    assert_eq!(target("run j", &file, true).unwrap(), Target::YarnPerJob);
    assert_eq!(target("run -t local j", &file, true).unwrap(), Target::Local);
    let file = [("yarn.application.id", "application_1_0002")];
    assert_eq!(target("list", &file, true).unwrap(), Target::YarnSession("application_1_0002".into()));
}

#[test]
fn what_names_no_target_is_told() {
    let error = |line| target(line, &[], false).unwrap_err().to_string();
    assert!(error("run -t nosuch j").starts_with("No ExecutorFactory found to execute the application"));
    assert!(error("run -m nosuch j").contains("'nosuch'"));
    assert!(error("run -m https://h:1 j").contains("TLS"));
}

#[test]
fn dynamic_properties_win_over_flags_and_the_programs_options_over_both() {
    let line = "run -ytm 1024 -yD taskmanager.memory.process.size=2g -Dparallelism.default=3 -p 4 j";
    let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
    let Invocation::Run(args) = parse_flink(&words).unwrap() else { panic!() };
    let mut layers = Layers::new();
    layers.push(Origin::Flag, flags(&args.cluster));
    layers.push(Origin::Dynamic, args.cluster.dynamic.iter().cloned().collect());
    layers.push(Origin::Flag, program_flags(&args));
    let config = layers.effective();
    assert_eq!(config.raw("taskmanager.memory.process.size"), Some("2g"));
    assert_eq!(config.raw("parallelism.default"), Some("4"));
    assert_eq!(config.raw("execution.attached"), Some("true"));
}
