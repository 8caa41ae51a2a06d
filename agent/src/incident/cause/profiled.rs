//! What a CPU profile says where a cause was only found by ruling others out.
//!
//! A process that computes hides its cost on a busy machine: its processor time is shared out, and what its requests lost
//! looks like waiting for something. The profile saw what it did.

use outrigger_detect::CauseKind;

use super::{Cause, MAX_CAUSES};
use crate::incident::Incident;
use crate::profile::Note;

/// A function speaks for computing from this growth on, in processors.
const ENOUGH: f64 = 0.2;
/// How much it speaks for it: it is not measured what the requests lost by it.
const LEAST: f64 = 0.3;
const MOST: f64 = 0.5;

impl Incident {
    /// Holds the causes against the profile, once either is new.
    pub(crate) fn weigh_profile(&mut self) {
        let Self { causes, profile, .. } = self;
        if let Some(note) = profile {
            weigh(causes, note);
        }
    }
}

/// Puts computing first if a function grew, and nothing that was measured explains the incident.
fn weigh(causes: &mut Vec<Cause>, note: &Note) {
    if note.culprit().is_none_or(|function| function.growth() < ENOUGH) {
        return;
    }
    let is_ruled_out = |cause: &Cause| cause.cause == CauseKind::Dependency && cause.subject.is_none();
    if !causes.first().is_none_or(is_ruled_out) {
        return;
    }
    let strength = causes.first().map_or(0.0, |cause| cause.strength).clamp(LEAST, MOST);
    let computing = match causes.iter().position(|cause| cause.cause == CauseKind::Cpu) {
        Some(known) => {
            let known = causes.remove(known);
            Cause { strength: known.strength.max(strength), ..known }
        }
        None => Cause {
            cause: CauseKind::Cpu,
            strength,
            subject: None,
            evidence: "nothing that is measured accounts for the time that requests lost".to_owned(),
        },
    };
    causes.insert(0, computing);
    causes.truncate(MAX_CAUSES);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(cause: CauseKind, strength: f64, subject: Option<&str>) -> Cause {
        Cause { cause, strength, subject: subject.map(str::to_owned), evidence: String::new() }
    }

    fn note(before: f64, during: f64) -> Note {
        let text = format!(
            r#"{{"processors": 1.0, "functions": [{{"name": "burn", "before": {before}, "during": {during}}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn weighed(causes: &[Cause], note: &Note) -> Vec<(CauseKind, f64)> {
        let mut causes = causes.to_vec();
        weigh(&mut causes, note);
        causes.iter().map(|cause| (cause.cause, cause.strength)).collect()
    }

    #[test]
    fn a_function_that_grew_stands_before_what_was_only_ruled_out() {
        use CauseKind::{Cpu, Dependency, SlowQuery};
        let grown = note(0.05, 0.6);
        let unmeasured = [cause(Dependency, 0.4, None), cause(SlowQuery, 0.3, Some("SELECT"))];
        assert_eq!(weighed(&unmeasured, &grown), [(Cpu, 0.4), (Dependency, 0.4), (SlowQuery, 0.3)]);
        let known = [cause(Dependency, 0.3, None), cause(Cpu, 0.2, None)];
        assert_eq!(weighed(&known, &grown), [(Cpu, 0.3), (Dependency, 0.3)]);
        assert_eq!(weighed(&[], &grown), [(Cpu, 0.3)]);
        // Again, once causes are told anew.
        assert_eq!(weighed(&[cause(Cpu, 0.4, None), cause(Dependency, 0.4, None)], &grown).len(), 2);
    }

    #[test]
    fn what_was_measured_stays_first_and_so_does_all_without_growth() {
        let measured = [cause(CauseKind::Dependency, 0.4, Some("payments:443"))];
        assert_eq!(weighed(&measured, &note(0.0, 0.9)), [(CauseKind::Dependency, 0.4)]);
        let unmeasured = [cause(CauseKind::Dependency, 0.4, None)];
        for note in [note(0.5, 0.6), note(0.3, 0.1), Note::failed("no".to_owned())] {
            assert_eq!(weighed(&unmeasured, &note), [(CauseKind::Dependency, 0.4)]);
        }
    }
}
