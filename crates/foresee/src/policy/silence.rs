//! Planned work: what happens to an instance, or to what runs on it, while somebody works on it is nobody's news.

use foretwin_core::{InstanceId, Maintenance, Timestamp};

use super::suspect::Suspect;

/// Whether work on `on` covers an instance: itself, what contains it, or its host.
fn covers(on: &InstanceId, id: &InstanceId, suspect: &Suspect) -> bool {
    let below = id.as_str().strip_prefix(on.as_str()).is_some_and(|rest| rest.starts_with('/'));
    on == id || below || suspect.parent.as_ref() == Some(on) || suspect.host == on.as_str()
}

/// The work that covers an instance now.
pub(super) fn work<'a>(
    all: &'a [Maintenance],
    (id, suspect): (&InstanceId, &Suspect),
    now: Timestamp,
) -> Option<&'a Maintenance> {
    all.iter().find(|work| (work.from..work.to).contains(&now) && covers(&work.instance, id, suspect))
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::{Instance, InstanceKind};

    #[test]
    fn work_on_a_host_covers_what_runs_there_and_nothing_else() {
        let instance = Instance::new("web-1/app", InstanceKind::Service, "web-1", "unit:app");
        let suspect = Suspect::new(&instance);
        for (on, covered) in [("web-1", true), ("web-1/app", true), ("web-1/ap", false), ("web", false)] {
            assert_eq!(covers(&InstanceId::new(on), &instance.id, &suspect), covered, "{on}");
        }
    }
}
