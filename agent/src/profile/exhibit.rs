//! What is made of an incident's profile: pictures, and the functions that grew, in words.

use std::fmt::Write as _;
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::baseline::Piece;
use super::compare::Comparison;
use super::growth::{self, Function};
use super::{flame, pprof};
use crate::time;

/// The forms that an incident's profile is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As the target gave it.
    Pprof,
    Flame,
    Difference,
}

impl Form {
    pub(crate) const ALL: [Self; 3] = [Self::Pprof, Self::Flame, Self::Difference];

    /// The end of its path in the API, and of its file behind the incident's id and a dot.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pprof => "profile.pb.gz",
            Self::Flame => "flame.svg",
            Self::Difference => "diff.svg",
        }
    }
}

/// The files of one incident.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exhibit {
    pub(crate) pprof: Bytes,
    pub(crate) flame: Option<Bytes>,
    pub(crate) difference: Option<Bytes>,
}

impl Exhibit {
    pub(crate) fn get(&self, form: Form) -> Option<&Bytes> {
        match form {
            Form::Pprof => Some(&self.pprof),
            Form::Flame => self.flame.as_ref(),
            Form::Difference => self.difference.as_ref(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        Form::ALL.iter().filter_map(|form| self.get(*form)).map(Bytes::len).sum()
    }
}

/// What an incident says of its profile. A field that is added needs `#[serde(default)]`, so that older files can be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    #[serde(with = "time::maybe", default)]
    pub(crate) taken_at: Option<SystemTime>,
    /// How long it was taken over.
    #[serde(default)]
    pub(crate) seconds: f64,
    /// How long the calm profiles beside it were taken over; nought if there are none.
    #[serde(default)]
    pub(crate) calm_seconds: f64,
    /// The calm ones are of a process that was replaced since: another build, perhaps.
    #[serde(default)]
    pub(crate) calm_of_earlier: bool,
    /// Processors that the target used, in calm and during the incident.
    #[serde(default)]
    pub(crate) processors_before: Option<f64>,
    #[serde(default)]
    pub(crate) processors: f64,
    /// The functions that grew most, the strongest first.
    #[serde(default)]
    pub(crate) functions: Vec<Function>,
    /// Names of the files that are kept: a graph of nothing is not drawn, and old ones make room for new ones.
    #[serde(default)]
    pub(crate) files: Vec<String>,
    /// Why there is no profile.
    #[serde(default)]
    pub(crate) failure: Option<String>,
}

/// Draws an incident's profile beside the calm ones. This takes some tens of milliseconds of a processor.
pub(crate) fn make(bytes: Bytes, calm: &[Piece], at: SystemTime) -> Result<(Exhibit, Note), pprof::Malformed> {
    let during = pprof::read(&bytes)?;
    let before: Vec<_> = calm.iter().filter_map(|piece| pprof::read(&piece.bytes).ok()).collect();
    let comparison = Comparison::new(&before, &during);
    let (processors_before, processors) = comparison.processors();
    let used = |processors: f64| format!("{processors:.2} processors in use");
    let subtitle = format!("{:.1} s, {}", comparison.seconds.during, used(processors));
    let beside = processors_before.map_or(String::new(), |before| {
        format!("{subtitle}; calm: {:.0} s, {}", comparison.seconds.before, used(before))
    });
    let exhibit = Exhibit {
        pprof: bytes,
        flame: flame::graph(&comparison, &subtitle).map(Bytes::from),
        difference: flame::difference(&comparison, &beside).map(Bytes::from),
    };
    let files = Form::ALL.iter().filter(|form| exhibit.get(**form).is_some()).map(|form| form.name().to_owned());
    let finding = Note {
        taken_at: Some(at),
        seconds: comparison.seconds.during,
        calm_seconds: comparison.seconds.before,
        calm_of_earlier: false,
        processors_before,
        processors,
        functions: growth::functions(&comparison),
        files: files.collect(),
        failure: None,
    };
    Ok((exhibit, finding))
}

/// The same as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NoteView {
    #[serde(flatten)]
    note: Note,
    pub(crate) summary: String,
    /// Where its files are.
    pub(crate) links: Vec<String>,
}

impl Note {
    /// As the API shows it, for the incident with this id.
    pub(crate) fn view(&self, id: &str) -> NoteView {
        let link = |file: &String| format!("/api/v1/incidents/{id}/{file}");
        NoteView { note: self.clone(), summary: self.summary(), links: self.files.iter().map(link).collect() }
    }
}

/// The most characters of a function's name in a sentence.
const MAX_NAME: usize = 90;
/// A function is named in an incident's summary if it grew by this part of a processor, and by this share of all.
const WORTH_PROCESSORS: f64 = 0.1;
const WORTH_SHARE: f64 = 0.2;

impl Note {
    /// There is no profile, and why.
    pub(crate) fn failed(why: String) -> Self {
        Self { failure: Some(why), ..Self::default() }
    }

    /// What the profile says, in a sentence or two.
    pub(crate) fn summary(&self) -> String {
        if let Some(failure) = &self.failure {
            return format!("There is no CPU profile: {failure}.");
        }
        let mut text = match self.processors_before {
            None => format!("{:.2} processors in use; there is no calm profile to compare with.", self.processors),
            Some(before) if self.functions.is_empty() => format!(
                "{:.2} processors in use, {before:.2} when calm; no function uses clearly more than it does then.",
                self.processors
            ),
            Some(before) => {
                format!("{:.2} processors in use, {before:.2} when calm; most of it:", self.processors)
            }
        };
        if self.calm_of_earlier {
            text = format!("Compared with the process before the restart: {text}");
        }
        if self.processors_before.is_none() && !self.functions.is_empty() {
            text.push_str(" Most of it:");
        }
        for (number, function) in self.functions.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{} {}", if number == 0 { "" } else { "," }, function.words());
        }
        if !self.functions.is_empty() {
            text.push('.');
        }
        text
    }

    /// The function that grew most, if it grew so much that it is worth a word in the incident's summary. What another build
    /// did not have need not have grown.
    pub(crate) fn culprit(&self) -> Option<&Function> {
        if self.calm_of_earlier {
            return None;
        }
        let first = self.functions.first().filter(|function| function.before.is_some())?;
        let growth = first.growth();
        (growth >= WORTH_PROCESSORS && growth >= WORTH_SHARE * self.processors).then_some(first)
    }
}

impl Function {
    /// `serde_json::from_slice: 3 % -> 41 % of a processor`.
    pub(crate) fn words(&self) -> String {
        let percent = |processors: f64| format!("{:.0} %", processors * 100.0);
        let name = shortened(&self.name);
        let callers: String = self.callers.iter().map(|caller| format!(" in {}", shortened(caller))).collect();
        let before = self.before.map(|before| format!("{} -> ", percent(before))).unwrap_or_default();
        format!("{name}{callers}: {before}{} of a processor", percent(self.during))
    }
}

fn shortened(name: &str) -> String {
    let mut short: String = name.chars().take(MAX_NAME).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}
