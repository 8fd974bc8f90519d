//! The asynchronous host side of the conversation with a job program ([`kvick_core::host`]).
//!
//! Owns the socket, the spawned process and the frames between them. It does not know what is said: the client, the
//! application master and the task executor decide that.
//!
//! ```no_run
//! # async fn example() -> Result<(), kvick_rpc::host::HostError> {
//! use kvick_core::host::{FromProgram, Role};
//! let command = tokio::process::Command::new("./program");
//! let mut program = kvick_rpc::host::Program::launch(Role::Client, command)?;
//! while let Some(message) = program.inbox.recv().await {
//!     if let FromProgram::Hello { .. } = message? {
//!         // answer through program.outbox.send(…)
//!     }
//! }
//! let exit = program.process.exited().await;
//! # let _ = exit; Ok(()) }
//! ```

use kvick_core::host::{FromProgram, HOST_ENV, MAX_FRAME, Role, ToProgram};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::{mpsc, watch};

/// Messages of the program that wait to be taken; a host that is slower than this holds its program back.
const INBOX_CAPACITY: usize = 256;

/// Why the conversation with a program could not be held.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No socket to listen on.
    #[error("cannot listen for the job program on {}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The program could not be started.
    #[error("cannot start the job program {program}")]
    Spawn {
        /// Path of the program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The socket failed.
    #[error("lost the connection to the job program")]
    Connection(#[from] io::Error),
    /// A frame that is longer than [`MAX_FRAME`].
    #[error(
        "a message of {0} bytes is longer than the {MAX_FRAME} bytes that a job program and its host exchange"
    )]
    TooLong(usize),
    /// A frame that is no message of this conversation.
    #[error("a message is not one that this version understands")]
    Message(#[from] serde_json::Error),
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramExit {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The operating system did not tell.
    Unknown,
}

impl ProgramExit {
    /// Whether the program ended by itself with exit code 0.
    pub fn success(self) -> bool {
        self == ProgramExit::Code(0)
    }
}

impl From<ExitStatus> for ProgramExit {
    fn from(status: ExitStatus) -> ProgramExit {
        match (status.code(), status.signal()) {
            (Some(code), _) => ProgramExit::Code(code),
            (None, Some(signal)) => ProgramExit::Signal(signal),
            (None, None) => ProgramExit::Unknown,
        }
    }
}

impl fmt::Display for ProgramExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramExit::Code(code) => write!(f, "exit code {code}"),
            ProgramExit::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "signal {number} ({name})"),
                None => write!(f, "signal {number}"),
            },
            ProgramExit::Unknown => f.write_str("unknown exit status"),
        }
    }
}

/// The name of a signal that ends programs in practice (numbers of Linux on x86-64 and aarch64).
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// A program that was spawned, and the conversation with it.
#[derive(Debug)]
pub struct Program {
    /// What the program says.
    pub inbox: Inbox,
    /// What is said to the program.
    pub outbox: Outbox,
    /// The process.
    pub process: Process,
    /// Its standard error, where the caller asked for a pipe.
    pub stderr: Option<ChildStderr>,
}

impl Program {
    /// Starts a program in a role. Arguments, working directory, environment and standard streams are the caller's
    /// choice; [`HOST_ENV`] is set here. The process is killed when every [`Process`] handle has been dropped.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// No socket, or no such program.
    pub fn launch(role: Role, mut command: Command) -> Result<Program, HostError> {
        let socket = Socket::bind()?;
        command.env(HOST_ENV, format!("{}:{}", role.as_str(), socket.path.display())).kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| HostError::Spawn {
            program: command.as_std().get_program().to_string_lossy().into_owned(),
            source,
        })?;
        let stderr = child.stderr.take();
        let process = Process::supervise(child);
        let (inbox_sender, inbox) = mpsc::channel(INBOX_CAPACITY);
        let (outbox, outbox_receiver) = mpsc::unbounded_channel();
        tokio::spawn(converse(socket, process.exit.clone(), inbox_sender, outbox_receiver));
        Ok(Program { inbox: Inbox(inbox), outbox: Outbox(outbox), process, stderr })
    }
}

/// What a program says.
#[derive(Debug)]
pub struct Inbox(mpsc::Receiver<Result<FromProgram, HostError>>);

impl Inbox {
    /// The next message. `None` when the program has closed its side, or has ended without ever opening it: then
    /// [`Process::exited`] tells more. Nothing follows an error. Cancelling the future loses nothing.
    pub async fn recv(&mut self) -> Option<Result<FromProgram, HostError>> {
        self.0.recv().await
    }
}

/// What is said to a program. Clones speak to the same program.
#[derive(Debug, Clone)]
pub struct Outbox(mpsc::UnboundedSender<ToProgram>);

impl Outbox {
    /// Says something. What is said before the program has connected waits for it; what is said to a program that has
    /// ended is dropped, for its end is told by [`Inbox::recv`] and [`Process::exited`].
    pub fn send(&self, message: ToProgram) {
        let _ = self.0.send(message);
    }
}

/// The process of a program. Clones are handles of the same process, which is killed with the last of them.
#[derive(Debug, Clone)]
pub struct Process {
    pid: Option<u32>,
    exit: watch::Receiver<Option<ProgramExit>>,
    kill: mpsc::Sender<()>,
}

impl Process {
    fn supervise(mut child: Child) -> Process {
        let pid = child.id();
        let (exit_sender, exit) = watch::channel(None);
        let (kill, mut killed) = mpsc::channel(1);
        tokio::spawn(async move {
            let ended = tokio::select! {
                status = child.wait() => status,
                // Asked for, or nobody is left who could ask.
                _ = killed.recv() => {
                    let _ = child.start_kill();
                    child.wait().await
                }
            };
            let exit = ended.map_or(ProgramExit::Unknown, ProgramExit::from);
            exit_sender.send_replace(Some(exit));
        });
        Process { pid, exit, kill }
    }

    /// The process id.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Kills the process (SIGKILL), if it still runs; [`Process::exited`] tells when it is gone.
    pub fn kill(&self) {
        let _ = self.kill.try_send(());
    }

    /// Waits for the end of the process.
    pub async fn exited(&self) -> ProgramExit {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or(ProgramExit::Unknown),
            // The supervising task went down with its runtime.
            Err(_) => ProgramExit::Unknown,
        }
    }
}

/// The listening socket in a directory that only this user can enter. Dropping it removes both.
struct Socket {
    listener: UnixListener,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Socket {
    fn bind() -> Result<Socket, HostError> {
        let listen = |path: &Path, source| HostError::Listen { path: path.to_path_buf(), source };
        let dir = private_dir().map_err(|e| listen(&std::env::temp_dir(), e))?;
        let path = dir.path().join("host");
        let listener = UnixListener::bind(&path).map_err(|e| listen(&path, e))?;
        Ok(Socket { listener, path, _dir: dir })
    }
}

/// `/tmp` before `TMPDIR`: a socket's path is at most 107 bytes long, and a YARN container's temporary directory is longer.
fn private_dir() -> io::Result<tempfile::TempDir> {
    let named = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("kvick-");
        builder
    };
    named().tempdir_in("/tmp").or_else(|_| named().tempdir())
}

/// Waits for the program to connect, then carries messages both ways until it closes.
async fn converse(
    socket: Socket,
    mut exit: watch::Receiver<Option<ProgramExit>>,
    inbox: mpsc::Sender<Result<FromProgram, HostError>>,
    outbox: mpsc::UnboundedReceiver<ToProgram>,
) {
    let accepted = tokio::select! {
        // A program may connect, speak and end before this task runs: its connection comes first.
        biased;
        accepted = socket.listener.accept() => accepted,
        _ = exit.wait_for(Option::is_some) => return,
    };
    drop(socket);
    match accepted {
        Ok((stream, _)) => carry(stream, inbox, outbox).await,
        Err(e) => {
            let _ = inbox.send(Err(e.into())).await;
        }
    }
}

async fn carry(
    stream: UnixStream,
    inbox: mpsc::Sender<Result<FromProgram, HostError>>,
    outbox: mpsc::UnboundedReceiver<ToProgram>,
) {
    let (reader, writer) = stream.into_split();
    let writing = tokio::spawn(write_all(writer, outbox));
    read_all(reader, inbox).await;
    // A program that has closed its side does not read either.
    writing.abort();
}

async fn read_all(mut reader: impl AsyncRead + Unpin, inbox: mpsc::Sender<Result<FromProgram, HostError>>) {
    loop {
        let message = match read_frame(&mut reader).await {
            Ok(Some(message)) => Ok(message),
            Ok(None) => return,
            // It ended before it had read all that was said to it: an end like any other.
            Err(HostError::Connection(e)) if e.kind() == io::ErrorKind::ConnectionReset => return,
            Err(e) => Err(e),
        };
        let last = message.is_err();
        if inbox.send(message).await.is_err() || last {
            return;
        }
    }
}

async fn write_all(mut writer: impl AsyncWrite + Unpin, mut outbox: mpsc::UnboundedReceiver<ToProgram>) {
    while let Some(message) = outbox.recv().await {
        // The reading half reports a broken connection.
        if write_frame(&mut writer, &message).await.is_err() {
            return;
        }
    }
}

/// Reads one frame; `None` at the end of the stream between two frames.
///
/// # Errors
/// The stream ended within a frame or failed, the frame is longer than [`MAX_FRAME`], or is no such message.
pub async fn read_frame<T: DeserializeOwned>(
    reader: &mut (impl AsyncRead + Unpin),
) -> Result<Option<T>, HostError> {
    let mut length = [0; 4];
    match reader.read(&mut length).await? {
        0 => return Ok(None),
        n => reader.read_exact(&mut length[n..]).await?,
    };
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(HostError::TooLong(length));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    Ok(Some(serde_json::from_slice(&body)?))
}

/// Writes one frame and flushes.
///
/// # Errors
/// The stream failed, or the message is longer than [`MAX_FRAME`].
pub async fn write_frame<T: Serialize>(
    writer: &mut (impl AsyncWrite + Unpin),
    message: &T,
) -> Result<(), HostError> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).map_err(|_| HostError::TooLong(body.len()))?;
    if body.len() > MAX_FRAME {
        return Err(HostError::TooLong(body.len()));
    }
    // One write: the small frames that are the rule leave in one piece.
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&body);
    writer.write_all(&frame).await?;
    writer.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_core::config::Configuration;
    use std::collections::BTreeMap;
    use std::process::Stdio;

    /// What the other process does; it is this same test binary, running only [`program_side`].
    const BEHAVIOUR: &str = "KVICK_TEST_BEHAVIOUR";

    fn program(behaviour: &str) -> Program {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "host::tests::program_side", "--ignored", "--nocapture"])
            .env(BEHAVIOUR, behaviour)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Program::launch(Role::Client, command).unwrap()
    }

    #[tokio::test]
    #[ignore = "the other side of the tests here, run by them in a process of its own"]
    async fn program_side() {
        let behaviour = std::env::var(BEHAVIOUR).unwrap();
        let host = std::env::var(HOST_ENV).unwrap();
        let path = host.strip_prefix("client:").unwrap();
        if behaviour == "exit early" {
            std::process::exit(7);
        }
        let mut stream = UnixStream::connect(path).await.unwrap();
        if behaviour == "garbage" {
            stream.write_all(b"\0\0\0\x02hi").await.unwrap();
            return;
        }
        let hello = FromProgram::Hello { engine_version: "9.9.9".into() };
        write_frame(&mut stream, &hello).await.unwrap();
        let welcome: ToProgram = read_frame(&mut stream).await.unwrap().unwrap();
        assert!(matches!(welcome, ToProgram::Welcome { .. }));
        if behaviour == "hang" {
            std::future::pending::<()>().await;
        }
        let big = FromProgram::Hello { engine_version: "x".repeat(3_000_000) };
        write_frame(&mut stream, &big).await.unwrap();
    }

    fn welcome() -> ToProgram {
        ToProgram::Welcome { config: Configuration::default(), once: BTreeMap::new() }
    }

    #[tokio::test]
    async fn a_program_is_heard_answered_and_its_end_is_seen() {
        let mut program = program("talk");
        let first = program.inbox.recv().await.unwrap().unwrap();
        assert_eq!(first, FromProgram::Hello { engine_version: "9.9.9".into() });
        program.outbox.send(welcome());
        let FromProgram::Hello { engine_version } = program.inbox.recv().await.unwrap().unwrap() else {
            panic!("expected the second hello");
        };
        assert_eq!(engine_version.len(), 3_000_000);
        assert!(program.inbox.recv().await.is_none());
        assert_eq!(program.process.exited().await, ProgramExit::Code(0));
    }

    #[tokio::test]
    async fn a_program_that_never_connects_ends_the_inbox_and_tells_its_exit_code() {
        let mut program = program("exit early");
        assert!(program.inbox.recv().await.is_none());
        let exit = program.process.exited().await;
        assert_eq!((exit, exit.to_string().as_str()), (ProgramExit::Code(7), "exit code 7"));
    }

    #[tokio::test]
    async fn a_killed_program_tells_the_signal() {
        let mut program = program("hang");
        program.inbox.recv().await.unwrap().unwrap();
        program.outbox.send(welcome());
        program.process.kill();
        assert!(program.inbox.recv().await.is_none());
        assert_eq!(program.process.exited().await.to_string(), "signal 9 (SIGKILL)");
    }

    #[tokio::test]
    async fn dropping_the_last_handle_kills_the_process() {
        let Program { mut inbox, outbox, process, .. } = program("hang");
        inbox.recv().await.unwrap().unwrap();
        outbox.send(welcome());
        drop(process);
        assert!(inbox.recv().await.is_none());
    }

    #[tokio::test]
    async fn garbage_is_an_error_and_nothing_follows_it() {
        let mut program = program("garbage");
        let said = program.inbox.recv().await.unwrap();
        assert!(matches!(said, Err(HostError::Message(_))), "{said:?}");
        assert!(program.inbox.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_program_that_does_not_exist_is_named() {
        let failed = Program::launch(Role::Client, Command::new("/nonexistent/program"));
        assert_eq!(failed.err().unwrap().to_string(), "cannot start the job program /nonexistent/program");
    }

    #[tokio::test]
    async fn a_frame_that_claims_to_be_too_long_is_refused_before_it_is_read() {
        let mut bytes: &[u8] = &[0xff, 0xff, 0xff, 0xff];
        let read = read_frame::<FromProgram>(&mut bytes).await;
        assert!(matches!(read, Err(HostError::TooLong(0xffff_ffff))));
    }
}
