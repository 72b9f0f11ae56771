//! The engine: runs every unit of a plan, so many at a time, and writes the run log.

use std::{path::Path, sync::Arc, time::Instant};

use jiff::Timestamp;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    case::{Context, run_unit},
    interrupt::Interrupt,
    plan::{Plan, Planned, Unit},
    smoke,
};
use crate::{
    drive, process_status,
    report::{
        event::{Event, FORMAT},
        log::LogWriter,
        progress::Progress,
        write::WriteError,
    },
};

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// Everything that the run log holds.
    pub events: Vec<Event>,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run log cannot be written.
    #[error(transparent)]
    Log(#[from] WriteError),
    /// The HTTP client cannot be made.
    #[error("the HTTP client could not be made: {0}")]
    Client(#[from] reqwest::Error),
    /// The process cannot be told that it should end.
    #[error("Ctrl-C and SIGTERM could not be listened to: {0}")]
    Signals(std::io::Error),
}

/// Writes each event to the log, and keeps it.
struct Recorder<'a> {
    log: &'a mut LogWriter,
    events: Vec<Event>,
}

impl Recorder<'_> {
    fn record(&mut self, event: Event) -> Result<(), WriteError> {
        self.log.append(&event)?;
        self.events.push(event);
        Ok(())
    }
}

/// Runs a plan. It ends early, but in order, when the process is interrupted.
///
/// # Errors
/// When the run log cannot be written.
pub async fn run(plan: Plan, log: &mut LogWriter, progress: &Progress) -> Result<Outcome, RunError> {
    run_until(plan, log, progress, Interrupt::listen().map_err(RunError::Signals)?).await
}

/// As [`run`], for one who listened already while the plan was made.
///
/// # Errors
/// As [`run`].
pub async fn run_until(
    plan: Plan,
    log: &mut LogWriter,
    progress: &Progress,
    mut interrupt: Interrupt,
) -> Result<Outcome, RunError> {
    let client = drive::client()?;
    let mut recorder = Recorder { log, events: Vec::new() };
    recorder.record(Event::RunStarted {
        format: FORMAT,
        probity: env!("CARGO_PKG_VERSION").to_owned(),
        seed: plan.seed,
        started: Timestamp::now(),
        targets: plan.targets.iter().map(|planned| planned.target.name()).collect(),
    })?;
    let Plan { targets, seed, jobs, evidence, rerun } = plan;
    let mut interrupted = false;
    for planned in targets {
        let (emit, events) = mpsc::unbounded_channel();
        let context = Context {
            rerun: format!("{rerun} --gateway {}", planned.target.name()).into(),
            target: Arc::clone(&planned.target),
            client: client.clone(),
            seed,
            evidence: Arc::<Path>::from(evidence.as_path()),
            emit,
        };
        let outcome = run_target(planned, context, events, jobs, &mut recorder, progress, &mut interrupt).await?;
        interrupted |= outcome;
        if interrupted {
            break;
        }
    }
    let peak_memory_kib = process_status::status("self").and_then(|status| process_status::peak_memory_kib(&status));
    recorder.record(Event::RunFinished { finished: Timestamp::now(), interrupted, peak_memory_kib })?;
    Ok(Outcome { events: recorder.events, interrupted })
}

/// Runs one target; whether it was interrupted.
async fn run_target(
    planned: Planned,
    context: Context,
    events: mpsc::UnboundedReceiver<Event>,
    jobs: usize,
    recorder: &mut Recorder<'_>,
    progress: &Progress,
    interrupt: &mut Interrupt,
) -> Result<bool, WriteError> {
    let Planned { target, declared, units } = planned;
    let name = target.name();
    let began = Instant::now();
    let ended = |problem| Event::TargetFinished {
        target: name.clone(),
        problem,
        millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    let total = units.iter().map(|unit| unit.cases.len()).sum();
    progress.target(&name, &target.why, total);
    recorder.record(Event::TargetStarted {
        target: name.clone(),
        gateway: target.gateway.manifest.name.clone(),
        version: target.version.clone(),
        runtime: target.why.clone(),
        scenarios: declared,
    })?;
    let first = tokio::select! {
        first = smoke::start(&target, context.seed) => first,
        () = interrupt.asked() => return Ok(true),
    };
    match first {
        Ok(facts) => {
            for fact in facts {
                let (target, fact) = (name.clone(), fact.clone());
                recorder.record(Event::FactMeasured { target, scenario: String::new(), case: String::new(), fact })?;
            }
        }
        Err(error) => {
            recorder.record(ended(Some(error.with_log())))?;
            return Ok(false);
        }
    }
    let interrupted = follow(start_all(units, context, jobs), events, total, recorder, progress, interrupt).await?;
    if !interrupted {
        recorder.record(ended(None))?;
    }
    Ok(interrupted)
}

/// Starts every unit, so many at a time. The events end when the last unit does: nobody else holds the context.
fn start_all(units: Vec<Unit>, context: Context, jobs: usize) -> JoinSet<()> {
    let mut running = JoinSet::new();
    let places = Arc::new(Semaphore::new(jobs.max(1)));
    let contexts = std::iter::repeat_n(context, units.len());
    for (unit, context) in units.into_iter().zip(contexts) {
        let places = Arc::clone(&places);
        running.spawn(async move {
            // The semaphore is never closed, so a place is always had in the end.
            let _place = places.acquire().await;
            run_unit(context, unit).await;
        });
    }
    running
}

/// Records what the units tell until all of them are over; whether they were interrupted.
async fn follow(
    mut running: JoinSet<()>,
    mut events: mpsc::UnboundedReceiver<Event>,
    total: usize,
    recorder: &mut Recorder<'_>,
    progress: &Progress,
    interrupt: &mut Interrupt,
) -> Result<bool, WriteError> {
    let mut done = 0;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => {
                    if let Event::CaseFinished { scenario, case, .. } = &event {
                        done += 1;
                        progress.update(done, total, &format!("{scenario} {case}"));
                    }
                    recorder.record(event)?;
                }
                None => break,
            },
            () = interrupt.asked() => {
                running.shutdown().await;
                // What was judged before it was interrupted is judged.
                while let Ok(event) = events.try_recv() {
                    recorder.record(event)?;
                }
                return Ok(true);
            }
        }
    }
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            // A panic of ours must not look like a run that merely stopped early.
            std::panic::resume_unwind(error.into_panic());
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::report::{fixture, log::read_log};

    #[tokio::test]
    async fn what_was_judged_before_an_interrupt_is_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LogWriter::create(folder.path()).unwrap();
        let (emit, events) = mpsc::unbounded_channel();
        let told: Vec<_> = fixture::mixed();
        told.iter().for_each(|event| emit.send(event.clone()).unwrap());
        let mut recorder = Recorder { log: &mut log, events: Vec::new() };
        let (progress, mut interrupt) = (Progress::new(true), Interrupt::asked_already());
        let interrupted = follow(JoinSet::new(), events, 1, &mut recorder, &progress, &mut interrupt);
        assert!(interrupted.await.unwrap());
        assert_eq!(read_log(log.path()).unwrap(), told);
    }
}
