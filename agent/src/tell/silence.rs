//! Silences: for a while, incidents of some kind are not told. What was told before it began is told to its end.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::matcher::{Matcher, NAMES};
use super::row::Row;
use crate::incident::Incident;
use crate::time::{self, Time};

/// One silence, of the settings or of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Names it in the API; empty for one of the settings.
    #[serde(default)]
    pub(super) id: String,
    #[serde(rename = "match")]
    matcher: Matcher,
    #[serde(with = "time")]
    until: SystemTime,
    #[serde(default)]
    comment: String,
}

/// The most silences of the API.
const MAX_SILENCES: usize = 1000;
/// The longest silence of the API: one that nobody remembers hides what matters.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// The longest comment, in characters.
const MAX_COMMENT: usize = 1000;

impl Silence {
    /// Reads a row. Only one of the API can say `for`, since the file is read at any time.
    pub(crate) fn read(row: &Row, now: Option<SystemTime>) -> Result<Self, String> {
        let (mut matcher, mut until, mut comment) = (Matcher::default(), None, String::new());
        for cell in &row.cells {
            match (cell.name.as_str(), now) {
                ("until", _) => {
                    let text = cell.text()?;
                    let wrong = || cell.wrong("is no time; write one such as 2026-01-02T15:00:00Z");
                    // Only UTC is understood, so that nobody has to guess.
                    until = Some(humantime::parse_rfc3339_weak(text).map_err(|_| wrong())?);
                }
                ("for", Some(now)) => {
                    let wrong = || cell.wrong("is no duration; write one such as 2h");
                    let length = humantime::parse_duration(cell.text()?).map_err(|_| wrong())?;
                    until = Some(now + length.min(LONGEST * 2));
                }
                ("comment", _) => {
                    comment = cell.values.concat();
                    if comment.chars().count() > MAX_COMMENT {
                        return Err(cell.wrong(format_args!("is longer than {MAX_COMMENT} characters")));
                    }
                }
                _ if matcher.take(cell)? => {}
                (_, Some(_)) => return Err(cell.unknown(&[&NAMES[..], &["until", "for", "comment"]].concat())),
                (_, None) => return Err(cell.unknown(&[&NAMES[..], &["until", "comment"]].concat())),
            }
        }
        let place = super::row::place(row.line);
        if matcher.is_empty() {
            return Err(format!("{place}the silence does not say what it is about; name one of {}", NAMES.join(", ")));
        }
        let until = until.ok_or_else(|| format!("{place}the silence has no end; write `until`"))?;
        if let Some(now) = now {
            if until <= now {
                return Err("the silence would have ended already; `until` is in UTC".to_owned());
            }
            if until.duration_since(now).is_ok_and(|length| length > LONGEST) {
                return Err("the silence would last for more than a year; end it earlier".to_owned());
            }
        }
        Ok(Self { id: String::new(), matcher, until, comment })
    }

    fn is_about(&self, incident: &Incident, now: SystemTime) -> bool {
        now < self.until && self.matcher.fits_all(incident)
    }
}

impl fmt::Display for Silence {
    /// As an inline table of TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cells: Vec<_> = self.matcher.patterns().map(|(name, text)| format!("{name} = {text:?}")).collect();
        cells.push(format!("until = \"{}\"", Time(self.until)));
        cells.extend((!self.comment.is_empty()).then(|| format!("comment = {:?}", self.comment)));
        write!(f, "{{ {} }}", cells.join(", "))
    }
}

/// The silences of the API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Silences(Vec<Silence>);

/// `GET /api/v1/silences`.
#[derive(Serialize)]
pub(crate) struct SilencesView {
    version: u32,
    silences: Vec<SilenceView>,
}

/// One silence as the API shows it.
#[derive(Serialize)]
pub(crate) struct SilenceView {
    #[serde(flatten)]
    silence: Silence,
    /// `api`, or `config`, which only the file can end.
    source: &'static str,
}

impl Silences {
    /// Adds one and answers it, or why it cannot be.
    pub(super) fn add(&mut self, row: &Row, now: SystemTime) -> Result<SilenceView, String> {
        self.expire(now);
        if self.0.len() >= MAX_SILENCES {
            return Err(format!("there are {MAX_SILENCES} silences already; delete one"));
        }
        let mut silence = Silence::read(row, Some(now))?;
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let is_free = |id: &String| self.0.iter().all(|silence| silence.id != *id);
        silence.id = (1..=MAX_SILENCES).map(|number| format!("{millis:x}-{number}")).find(is_free).unwrap_or_default();
        tracing::info!(id = silence.id, %silence, "silenced");
        self.0.push(silence.clone());
        Ok(SilenceView { silence, source: "api" })
    }

    /// Ends one; false if there is none.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|silence| silence.id != id);
        let is_gone = self.0.len() < before;
        if is_gone {
            tracing::info!(id, "the silence was ended");
        }
        is_gone
    }

    /// Forgets those that are over.
    pub(super) fn expire(&mut self, now: SystemTime) {
        self.0.retain(|silence| {
            let stays = now < silence.until;
            if !stays {
                tracing::info!(id = silence.id, %silence, "the silence is over");
            }
            stays
        });
    }

    /// How long one of these, or of the settings' own, is about this incident, if one is.
    pub(super) fn until(&self, own: &[Silence], incident: &Incident, now: SystemTime) -> Option<SystemTime> {
        let about = self.0.iter().chain(own).filter(|silence| silence.is_about(incident, now));
        about.map(|silence| silence.until).max()
    }

    /// These and the settings' own that last, as the API shows them.
    pub(super) fn view(&self, own: &[Silence], now: SystemTime) -> SilencesView {
        let of = |source| move |silence: &Silence| SilenceView { silence: silence.clone(), source };
        let own = own.iter().filter(|silence| now < silence.until).map(of("config"));
        SilencesView {
            version: 1,
            silences: self.0.iter().filter(|s| now < s.until).map(of("api")).chain(own).collect(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self, own: &[Silence], now: SystemTime) -> usize {
        self.0.iter().chain(own).filter(|silence| now < silence.until).count()
    }
}
