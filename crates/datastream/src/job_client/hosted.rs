//! A job that the host of this program submitted: the host is asked.
//!
//! Answers are recorded as [`once`](crate::StreamExecutionEnvironment::once) records values, so that a run of the program that
//! only repeats an earlier one (in a worker, for another graph) takes the same way.

use super::not_answered;
use crate::execute::JobError;
use crate::session::{Link, Session, session};
use kvick_core::host::{FromProgram, JobAnswer, JobQuestion, ToProgram};
use kvick_core::ids::JobId;
use std::sync::atomic::{AtomicU64, Ordering};

/// A job that was submitted by the host.
pub(crate) struct Hosted {
    /// Which `execute()` of the program.
    ordinal: u32,
    asked: AtomicU64,
}

impl Hosted {
    pub(crate) fn new(ordinal: u32) -> Hosted {
        Hosted { ordinal, asked: AtomicU64::new(0) }
    }

    pub(super) fn cancel(&self, job_id: JobId) -> Result<(), JobError> {
        if let Link::Hosted { link, .. } = &session().link {
            link.send(&FromProgram::CancelJob { job_id })?;
        }
        // In a worker the job is long over: the program only passes by.
        Ok(())
    }

    pub(super) fn ask(&self, job_id: JobId, question: JobQuestion) -> Result<JobAnswer, JobError> {
        let request = self.asked.fetch_add(1, Ordering::Relaxed);
        let name = format!("$job.{}.{request}", self.ordinal);
        let mut session = session();
        let answer = match session.once.get(&name) {
            Some(recorded) => {
                serde_json::from_str(recorded).map_err(|source| JobError::Once { name, source })?
            }
            None => {
                let answer = ask_host(&mut session, job_id, request, &question)?;
                let text = serde_json::to_string(&answer)
                    .map_err(|source| JobError::Once { name: name.clone(), source })?;
                session.once.insert(name, text);
                answer
            }
        };
        answer.map_err(|reason: String| not_answered(job_id, &question, reason))
    }
}

fn ask_host(
    session: &mut Session,
    job_id: JobId,
    request: u64,
    question: &JobQuestion,
) -> Result<Result<JobAnswer, String>, JobError> {
    let Link::Hosted { link, reader } = &mut session.link else {
        return Err(not_answered(job_id, question, "the program took another way when it was run first"));
    };
    link.send(&FromProgram::AskJob { request, job_id, question: question.clone() })?;
    loop {
        match reader.receive()? {
            ToProgram::JobAnswer { request: number, answer } if number == request => return Ok(answer),
            // The end of a job that was not waited for.
            _ => {}
        }
    }
}
