//! Every option of every action: one table, from which parsing and help both come.
//!
//! Short and long names are Flink's; `y…` are the options of the YARN dialect, which `yarn-session` has without the `y`.

/// Whether an option takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// No.
    Nothing,
    /// One, of this name in the help.
    One(&'static str),
    /// One, or none.
    Maybe(&'static str),
    /// A `key=value`, also glued to the option.
    Property,
}

/// An option.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// By what the typed stage asks for it; the long name without `yarn` where both dialects mean the same.
    pub id: &'static str,
    /// Behind one dash; may be longer than a letter; may be empty.
    pub short: &'static str,
    /// Behind two dashes (or one); may be empty.
    pub long: &'static str,
    /// Its value.
    pub takes: Takes,
    /// For the help.
    pub doc: &'static str,
    /// Accepted, though a native process has nothing to do with it.
    pub without_meaning: bool,
}

const fn option(
    id: &'static str,
    short: &'static str,
    long: &'static str,
    takes: Takes,
    doc: &'static str,
) -> OptionSpec {
    OptionSpec { id, short, long, takes, doc, without_meaning: false }
}

const fn ignored(short: &'static str, long: &'static str, takes: Takes, doc: &'static str) -> OptionSpec {
    OptionSpec { id: "", short, long, takes, doc, without_meaning: true }
}

/// Options that are listed together.
#[derive(Debug)]
pub struct Group {
    /// Above them in the help; empty for options that the help does not list.
    pub title: &'static str,
    /// The options.
    pub options: &'static [OptionSpec],
}

use Takes::{Maybe, Nothing, One, Property};

const HELP: OptionSpec = option("help", "h", "help", Nothing, "Print this help.");
const CLASS: OptionSpec = option(
    "class",
    "c",
    "class",
    One("classname"),
    "Entry point of the program. Only needed if the jar holds several and its manifest names none.",
);
const PARALLELISM: OptionSpec = option(
    "parallelism",
    "p",
    "parallelism",
    One("parallelism"),
    "Parallelism of the program, in place of the configured one.",
);
const FORMAT: OptionSpec =
    option("type", "type", "type", One("arg"), "Format of the savepoint: canonical or native.");

/// `run` and `run-application`.
pub static RUN: Group = Group {
    title: "action options:",
    options: &[
        CLASS,
        ignored(
            "C",
            "classpath",
            One("url"),
            "URL for the class path; a native program has none. May be repeated.",
        ),
        option(
            "claimMode",
            "cm",
            "claimMode",
            One("arg"),
            "To whom the files of the restored savepoint belong: claim, no_claim (default) or legacy.",
        ),
        option(
            "detached",
            "d",
            "detached",
            Nothing,
            "Submit the job and return, without waiting for its end.",
        ),
        option(
            "allowNonRestoredState",
            "n",
            "allowNonRestoredState",
            Nothing,
            "Leave out state of the savepoint that belongs to no operator of the program.",
        ),
        PARALLELISM,
        option("restoreMode", "rm", "restoreMode", One("arg"), "Older name of --claimMode."),
        option(
            "fromSavepoint",
            "s",
            "fromSavepoint",
            One("savepointPath"),
            "Savepoint or retained checkpoint to start from, such as hdfs:///flink/savepoint-1537.",
        ),
        option(
            "shutdownOnAttachedExit",
            "sae",
            "shutdownOnAttachedExit",
            Nothing,
            "Cancel the job when this attached client ends, be it by Ctrl-C.",
        ),
    ],
};

/// What `run` accepts beyond its help.
pub static RUN_HIDDEN: Group = Group {
    title: "",
    options: &[
        HELP,
        option("jarfile", "j", "jarfile", One("jarfile"), "The jar."),
        option("arguments", "a", "arguments", One("args"), "The program's arguments."),
        ignored("v", "verbose", Nothing, "Accepted for older scripts."),
        ignored("q", "sysoutLogging", Nothing, "Accepted for older scripts."),
        option("python", "py", "python", One("pythonFile"), "Python program."),
        option("python", "pyfs", "pyFiles", One("pythonFiles"), "Python program."),
        option("python", "pym", "pyModule", One("pythonModule"), "Python program."),
        option("python", "pyreq", "pyRequirements", One("arg"), "Python program."),
        option("python", "pyarch", "pyArchives", One("arg"), "Python program."),
        option("python", "pyexec", "pyExecutable", One("arg"), "Python program."),
        option("python", "pyclientexec", "pyClientExecutable", One("arg"), "Python program."),
        option("python", "pypath", "pyPythonPath", One("arg"), "Python program."),
    ],
};

/// `info`.
pub static INFO: Group = Group { title: "action options:", options: &[CLASS, PARALLELISM] };

/// What `info` accepts beyond its help: the options of `run`, so that a command line can be tried out.
pub static INFO_HIDDEN: Group = Group {
    title: "",
    options: &[
        HELP,
        option("jarfile", "j", "jarfile", One("jarfile"), "The jar."),
        option("arguments", "a", "arguments", One("args"), "The program's arguments."),
        ignored("C", "classpath", One("url"), "Accepted as in run."),
        ignored("d", "detached", Nothing, "Accepted as in run."),
        ignored("n", "allowNonRestoredState", Nothing, "Accepted as in run."),
        ignored("s", "fromSavepoint", One("savepointPath"), "Accepted as in run."),
        ignored("sae", "shutdownOnAttachedExit", Nothing, "Accepted as in run."),
        ignored("cm", "claimMode", One("arg"), "Accepted as in run."),
        ignored("rm", "restoreMode", One("arg"), "Accepted as in run."),
    ],
};

/// `list`.
pub static LIST: Group = Group {
    title: "action options:",
    options: &[
        option("all", "a", "all", Nothing, "Show all jobs, those that have ended too."),
        option("running", "r", "running", Nothing, "Show running jobs only."),
        option("scheduled", "s", "scheduled", Nothing, "Show scheduled jobs only."),
        HELP,
    ],
};

/// `stop`.
pub static STOP: Group = Group {
    title: "action options:",
    options: &[
        option(
            "drain",
            "d",
            "drain",
            Nothing,
            "Emit the last watermark before the savepoint is taken, so that all windows fire.",
        ),
        option("detached", "detached", "detached", Nothing, "Do not wait for the savepoint."),
        option(
            "savepointPath",
            "p",
            "savepointPath",
            Maybe("savepointPath"),
            "Directory for the savepoint; the configured one if there is none.",
        ),
        FORMAT,
        HELP,
    ],
};

/// `cancel`.
pub static CANCEL: Group = Group {
    title: "action options:",
    options: &[
        option(
            "withSavepoint",
            "s",
            "withSavepoint",
            Maybe("targetDirectory"),
            "Take a savepoint first. Deprecated: use stop.",
        ),
        FORMAT,
        HELP,
    ],
};

/// `savepoint`.
pub static SAVEPOINT: Group = Group {
    title: "action options:",
    options: &[
        option("dispose", "d", "dispose", One("arg"), "Path of a savepoint to delete."),
        option("detached", "detached", "detached", Nothing, "Do not wait for the savepoint."),
        ignored("j", "jarfile", One("jarfile"), "Jar of the program."),
        FORMAT,
        HELP,
    ],
};

/// `checkpoint`.
pub static CHECKPOINT: Group = Group {
    title: "action options:",
    options: &[
        option("full", "full", "full", Nothing, "Take a full checkpoint, not an incremental one."),
        HELP,
    ],
};

/// `modify`.
pub static MODIFY: Group = Group {
    title: "action options:",
    options: &[
        option(
            "parallelism",
            "p",
            "parallelism",
            One("newParallelism"),
            "New parallelism of the job, which is stopped with a checkpoint and started again from it.",
        ),
        HELP,
    ],
};

const DYNAMIC: OptionSpec = option(
    "dynamic",
    "D",
    "",
    Property,
    "Sets a configuration option, in place of what the configuration file says. May be repeated.",
);
const NAMESPACE: OptionSpec = option(
    "namespace",
    "z",
    "zookeeperNamespace",
    One("arg"),
    "Name of the cluster in the high-availability store.",
);

/// Targets by name.
pub static GENERIC: Group = Group {
    title: "Options for Generic CLI mode:",
    options: &[
        DYNAMIC,
        option("target", "e", "executor", One("arg"), "Older name of --target."),
        option(
            "target",
            "t",
            "target",
            One("arg"),
            "Where to run: local, remote, yarn-session, yarn-per-job (deprecated), or yarn-application for run-application.",
        ),
    ],
};

/// The YARN dialect of `run`.
pub static YARN: Group = Group {
    title: "Options for yarn-cluster mode:",
    options: &[
        option(
            "jobmanager",
            "m",
            "jobmanager",
            One("arg"),
            "yarn-cluster to run on YARN, or the address host:port of a cluster.",
        ),
        option(
            "type-of-application",
            "yat",
            "yarnapplicationType",
            One("arg"),
            "Type of the application on YARN.",
        ),
        option("dynamic", "yD", "", Property, "Same as -D."),
        option("yarn-detached", "yd", "yarndetached", Nothing, "Older name of --detached."),
        option("help", "yh", "yarnhelp", Nothing, "Print this help."),
        option("applicationId", "yid", "yarnapplicationId", One("arg"), "Use this running YARN session."),
        ignored("yj", "yarnjar", One("arg"), "Path of Flink's own jar."),
        option(
            "jobManagerMemory",
            "yjm",
            "yarnjobManagerMemory",
            One("arg"),
            "Memory of the job manager's container (default unit: MB).",
        ),
        option(
            "containers",
            "yn",
            "yarncontainer",
            One("arg"),
            "Containers to take; without effect since 1.5.",
        ),
        option("nodeLabel", "ynl", "yarnnodeLabel", One("arg"), "Node label of the application."),
        option("name", "ynm", "yarnname", One("arg"), "Name of the application on YARN."),
        option("query", "yq", "yarnquery", Nothing, "Show the resources of the YARN cluster."),
        option("queue", "yqu", "yarnqueue", One("arg"), "Queue of the application."),
        option("slots", "ys", "yarnslots", One("arg"), "Slots of a task manager."),
        ignored("yst", "yarnstreaming", Nothing, "Start in streaming mode; always so."),
        option(
            "ship",
            "yt",
            "yarnship",
            One("arg"),
            "File or directory to have in every container. May be repeated.",
        ),
        option(
            "taskManagerMemory",
            "ytm",
            "yarntaskManagerMemory",
            One("arg"),
            "Memory of a task manager's container (default unit: MB).",
        ),
        option(
            "namespace",
            "yz",
            "yarnzookeeperNamespace",
            One("arg"),
            "Older name of --zookeeperNamespace.",
        ),
        NAMESPACE,
    ],
};

/// A cluster by address; its options are among those above.
pub static REMOTE: Group =
    Group { title: "Options for default mode:", options: &[DYNAMIC, JOBMANAGER, NAMESPACE] };

const JOBMANAGER: OptionSpec = option(
    "jobmanager",
    "m",
    "jobmanager",
    One("arg"),
    "Address of the cluster, host:port, in place of the configured one.",
);

/// `yarn-session`.
pub static SESSION: Group = Group {
    title: "Optional",
    options: &[
        option(
            "type-of-application",
            "at",
            "applicationType",
            One("arg"),
            "Type of the application on YARN.",
        ),
        DYNAMIC,
        option("detached", "d", "detached", Nothing, "Start the session and return."),
        HELP,
        option("applicationId", "id", "applicationId", One("arg"), "Attach to this running session."),
        ignored("j", "jar", One("arg"), "Path of Flink's own jar."),
        option(
            "jobManagerMemory",
            "jm",
            "jobManagerMemory",
            One("arg"),
            "Memory of the job manager's container (default unit: MB).",
        ),
        option(
            "jobmanager",
            "m",
            "jobmanager",
            One("arg"),
            "yarn-cluster: start a session though a session's properties file is there.",
        ),
        option("containers", "n", "container", One("arg"), "Containers to take; without effect since 1.5."),
        option("nodeLabel", "nl", "nodeLabel", One("arg"), "Node label of the application."),
        option("name", "nm", "name", One("arg"), "Name of the application on YARN."),
        option("query", "q", "query", Nothing, "Show the resources of the YARN cluster."),
        option("queue", "qu", "queue", One("arg"), "Queue of the application."),
        option("slots", "s", "slots", One("arg"), "Slots of a task manager."),
        ignored("st", "streaming", Nothing, "Start in streaming mode; always so."),
        option(
            "ship",
            "t",
            "ship",
            One("arg"),
            "File or directory to have in every container. May be repeated.",
        ),
        option(
            "taskManagerMemory",
            "tm",
            "taskManagerMemory",
            One("arg"),
            "Memory of a task manager's container (default unit: MB).",
        ),
        option("yarn-detached", "yd", "yarndetached", Nothing, "Older name of --detached."),
        NAMESPACE,
    ],
};
