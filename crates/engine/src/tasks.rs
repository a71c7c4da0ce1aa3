//! Long work in one list: rehearsals, trainings, reports that are being gathered; how far it is, and its end on demand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foretwin_core::{InstanceId, Timestamp};
use serde::Serialize;

use crate::Error;
use crate::error::Chain;
use crate::gauge::Gauge;
use crate::handle::{Handle, wall_clock};
use crate::twin::RehearsalView;

/// Tasks of a kind that are remembered.
const MOST: usize = 32;
/// Reports that are gathered at once.
const MOST_REPORTS: usize = 2;
const REHEARSAL: &str = "rehearsal";

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Not begun.
    Waiting,
    /// Begun.
    Running,
    /// Came to its end.
    Done,
    /// Came to nothing.
    Failed,
    /// Was ended on demand.
    Cancelled,
}

impl TaskState {
    fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// A piece of long work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskView {
    /// Kind and number, such as `rehearsal-3`.
    pub id: String,
    /// `rehearsal`, `training` or `report`.
    pub kind: &'static str,
    /// Whom it concerns; none: the whole node.
    pub instance: Option<InstanceId>,
    /// How it stands.
    pub state: TaskState,
    /// 0 to 1; none where nobody can tell.
    pub progress: Option<f64>,
    /// Whether it would end if asked to.
    pub cancellable: bool,
    /// When it was asked for, or began.
    pub asked_us: Timestamp,
    /// What there is to say.
    pub message: String,
    /// Path of what came of it.
    pub result: Option<String>,
}

/// What runs and what ran, oldest first.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<List>);

#[derive(Default)]
struct List {
    entries: VecDeque<Entry>,
    next: u64,
}

struct Entry {
    view: TaskView,
    cancel: Arc<AtomicBool>,
    done: Arc<Gauge>,
}

impl Entry {
    /// As it stands now.
    fn view(&self) -> TaskView {
        let mut view = self.view.clone();
        if !view.state.is_over() {
            view.progress = self.done.read();
        }
        view
    }
}

/// A task under way; forgotten without a word, it has failed.
pub(crate) struct UnderWay<'t> {
    tasks: &'t Tasks,
    id: String,
    cancel: Arc<AtomicBool>,
    done: Arc<Gauge>,
}

impl Tasks {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a task that begins.
    pub(crate) fn begin(
        &self,
        kind: &'static str,
        instance: Option<&InstanceId>,
        at: Timestamp,
    ) -> UnderWay<'_> {
        let mut list = self.list();
        list.next += 1;
        let id = format!("{kind}-{}", list.next);
        let view = TaskView {
            id: id.clone(),
            kind,
            instance: instance.cloned(),
            state: TaskState::Running,
            progress: None,
            cancellable: kind == "training",
            asked_us: at,
            message: String::new(),
            result: None,
        };
        let (cancel, done) = (Arc::new(AtomicBool::new(false)), Arc::new(Gauge::default()));
        list.entries.push_back(Entry { view, cancel: cancel.clone(), done: done.clone() });
        let own = |entry: &Entry| entry.view.kind == kind;
        if list.entries.iter().filter(|entry| own(entry)).count() > MOST
            && let Some(oldest) = list.entries.iter().position(own)
        {
            list.entries.remove(oldest);
        }
        UnderWay { tasks: self, id, cancel, done }
    }

    fn views(&self) -> Vec<TaskView> {
        self.list().entries.iter().map(Entry::view).collect()
    }

    /// Asks a task to end; what may be asked so is cancellable.
    fn cancel(&self, id: &str) {
        if let Some(entry) = self.list().entries.iter().find(|entry| entry.view.id == id) {
            entry.cancel.store(true, Ordering::Relaxed);
        }
    }

    fn conclude(&self, id: &str, change: impl FnOnce(&mut TaskView)) {
        if let Some(entry) = self.list().entries.iter_mut().find(|entry| entry.view.id == id) {
            change(&mut entry.view);
            entry.view.cancellable = false;
        }
    }
}

impl UnderWay<'_> {
    /// Turns true when somebody wants it to end.
    pub(crate) fn cancelled(&self) -> &AtomicBool {
        &self.cancel
    }

    /// Where to tell how far it is.
    pub(crate) fn gauge(&self) -> &Gauge {
        &self.done
    }

    /// What came of it: a word and the path of a result, or why there is none.
    pub(crate) fn end(self, outcome: Result<(String, Option<String>), String>) {
        let cancelled = self.cancel.load(Ordering::Relaxed);
        self.tasks.conclude(&self.id, |view| match outcome {
            Ok((message, result)) => {
                view.state = if cancelled { TaskState::Cancelled } else { TaskState::Done };
                (view.progress, view.message, view.result) = (Some(1.0), message, result);
            }
            Err(why) => (view.state, view.message) = (TaskState::Failed, why),
        });
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        // Whoever panics drops it too.
        self.tasks.conclude(&self.id, |view| {
            if !view.state.is_over() {
                (view.state, view.message) = (TaskState::Failed, "it broke off".into());
            }
        });
    }
}

fn of_rehearsal(view: &RehearsalView) -> TaskView {
    let state = match (view.cancelled, view.done, view.fidelity) {
        (true, ..) => TaskState::Cancelled,
        (_, true, None) => TaskState::Failed,
        (_, true, _) => TaskState::Done,
        (_, false, None) => TaskState::Waiting,
        (_, false, _) => TaskState::Running,
    };
    TaskView {
        id: format!("{REHEARSAL}-{}", view.id),
        kind: REHEARSAL,
        instance: Some(view.instance.clone()),
        state,
        progress: Some(view.progress),
        cancellable: !view.done,
        asked_us: view.asked_us,
        message: view.message.clone(),
        result: Some(format!("/api/v1/rehearsals/{}", view.id)),
    }
}

impl Handle {
    /// Long work, newest first.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskView> {
        let mut tasks = self.pipeline.tasks.views();
        tasks.extend(self.rehearsals().iter().map(of_rehearsal));
        tasks.sort_by(|a, b| (b.asked_us, &b.id).cmp(&(a.asked_us, &a.id)));
        tasks
    }

    /// One of them.
    #[must_use]
    pub fn task(&self, id: &str) -> Option<TaskView> {
        self.tasks().into_iter().find(|task| task.id == id)
    }

    /// Asks a task to end, and says how it stands then; none if there is no such task.
    ///
    /// # Errors
    /// If it is over, or cannot be ended.
    pub fn cancel_task(&self, id: &str) -> Result<Option<TaskView>, Error> {
        let Some(task) = self.task(id) else { return Ok(None) };
        if !task.cancellable {
            let why = if task.state.is_over() { "it is over" } else { "it ends by itself within seconds" };
            return Err(Error::Conflict(format!("{id} cannot be cancelled: {why}")));
        }
        match id.strip_prefix(REHEARSAL).and_then(|rest| rest.strip_prefix('-')?.parse().ok()) {
            Some(number) => self.cancel_rehearsal(number),
            None => self.pipeline.tasks.cancel(id),
        }
        Ok(self.task(id))
    }

    /// Begins to gather a report of this machine, and returns at once.
    ///
    /// # Errors
    /// If others are being gathered, or no thread can be started.
    pub fn start_report(&self) -> Result<TaskView, Error> {
        let under_way = |task: &TaskView| task.kind == "report" && !task.state.is_over();
        if self.pipeline.tasks.views().iter().filter(|task| under_way(task)).count() >= MOST_REPORTS {
            return Err(Error::Conflict("reports are being gathered: ask again when one is done".into()));
        }
        let handle = self.clone();
        let (send, receive) = std::sync::mpsc::channel();
        let work = move || {
            let task = handle.pipeline.tasks.begin("report", None, wall_clock());
            // The asker waits for the name, and for nothing else.
            let _ = send.send(task.id.clone());
            let made = handle.make_report_telling(&|share| task.gauge().tell(share));
            task.end(made.map_err(|error| Chain(&error).to_string()).map(|report| {
                (
                    format!("{} known issues", report.flags.len()),
                    Some(format!("/api/v1/reports/{}", report.id)),
                )
            }));
        };
        let started = std::thread::Builder::new().name("report".into()).spawn(work);
        let failed = || Error::Conflict("no thread can be started for the report; try again".into());
        started.map_err(|_| failed())?;
        let id = receive.recv().map_err(|_| failed())?;
        self.task(&id).ok_or_else(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_tells_its_end_and_a_forgotten_one_has_failed() {
        let tasks = Tasks::default();
        let id = InstanceId::new("a");
        let first = tasks.begin("training", Some(&id), Timestamp(1));
        let second = tasks.begin("training", Some(&id), Timestamp(2));
        drop(tasks.begin("report", None, Timestamp(3)));
        second.gauge().tell(0.25);
        let told: Vec<Option<f64>> = tasks.views().iter().map(|view| view.progress).collect();
        assert_eq!(told, [None, Some(0.25), None]);
        tasks.cancel(&second.id);
        assert!(second.cancelled().load(Ordering::Relaxed) && !first.cancelled().load(Ordering::Relaxed));
        first.end(Ok(("learned".into(), None)));
        second.end(Ok((String::new(), None)));
        let states: Vec<TaskState> = tasks.views().iter().map(|view| view.state).collect();
        assert_eq!(states, [TaskState::Done, TaskState::Cancelled, TaskState::Failed]);
        assert!(tasks.views().iter().all(|view| !view.cancellable));
    }

    #[test]
    fn the_oldest_of_a_kind_are_forgotten() {
        let tasks = Tasks::default();
        tasks.begin("training", None, Timestamp(0)).end(Ok((String::new(), None)));
        for n in 0..MOST as i64 + 5 {
            tasks.begin("report", None, Timestamp(n)).end(Ok((String::new(), None)));
        }
        let views = tasks.views();
        let ids: Vec<&str> = views.iter().map(|view| view.id.as_str()).collect();
        assert_eq!((ids.len(), ids[0], ids[1]), (MOST + 1, "training-1", "report-7"));
    }
}
