//! Overrides for some routes or targets: another severity, other destinations, or nobody.

use std::fmt;

use super::Channel;
use super::matcher::{Matcher, NAMES};
use super::row::Row;
use crate::incident::{Incident, Part, Severity};

/// One `[[tell.route]]` of the settings. Each thing that an incident is about goes by the first that fits it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TellRule {
    matcher: Matcher,
    /// How grave it is taken, whatever it looks like.
    severity: Option<Severity>,
    /// Which kinds of destinations are told; all unless it says so.
    to: Option<Vec<Channel>>,
    mute: bool,
}

impl TellRule {
    /// Reads a row.
    pub(crate) fn read(row: &Row) -> Result<Self, String> {
        let mut rule = Self::default();
        for cell in &row.cells {
            match cell.name.as_str() {
                "severity" => rule.severity = Some(Severity::read(cell.text()?).map_err(|error| cell.wrong(error))?),
                "mute" => match cell.text()? {
                    "true" => rule.mute = true,
                    "false" => rule.mute = false,
                    _ => return Err(cell.wrong("is neither true nor false")),
                },
                "to" => {
                    let known = Channel::ALL.map(Channel::as_str);
                    let channel = |name: &String| {
                        let found = Channel::ALL.into_iter().find(|channel| channel.as_str() == name);
                        let wrong =
                            || cell.wrong(format_args!("names `{name}`; {}", super::row::nearest(name, &known)));
                        found.ok_or_else(wrong)
                    };
                    rule.to = Some(cell.values.iter().map(channel).collect::<Result<_, _>>()?);
                }
                _ if rule.matcher.take(cell)? => {}
                _ => return Err(cell.unknown(&[&NAMES[..], &["severity", "to", "mute"]].concat())),
            }
        }
        if rule.matcher.is_empty() {
            let place = super::row::place(row.line);
            return Err(format!("{place}the rule says of nothing what it is about; name one of {}", NAMES.join(", ")));
        }
        Ok(rule)
    }

    fn tells(&self, channel: Channel) -> bool {
        !self.mute && self.to.as_ref().is_none_or(|to| to.contains(&channel))
    }
}

fn rule_of<'a>(
    rules: &'a [TellRule],
    incident: &Incident,
    service: Option<&str>,
    part: &Part<'_>,
) -> Option<&'a TellRule> {
    rules.iter().find(|rule| rule.matcher.fits(incident, service, part))
}

/// Whether this kind of destination is told of an incident: one thing in it that it is to be told of is enough.
pub(super) fn tells(rules: &[TellRule], incident: &Incident, service: Option<&str>, channel: Channel) -> bool {
    let is_told = |part: Part<'_>| rule_of(rules, incident, service, &part).is_none_or(|rule| rule.tells(channel));
    rules.is_empty() || incident.parts().any(is_told)
}

/// How grave an incident is: as the gravest thing in it, by its rule or as it looks.
pub(super) fn severity(rules: &[TellRule], incident: &Incident, service: Option<&str>) -> Severity {
    let by_rule = |part: &Part<'_>| rule_of(rules, incident, service, part)?.severity;
    incident.gravest(|part| by_rule(part).unwrap_or(part.severity))
}

impl fmt::Display for TellRule {
    /// As an inline table of TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cells: Vec<_> = self.matcher.patterns().map(|(name, text)| format!("{name} = {text:?}")).collect();
        cells.extend(self.severity.map(|severity| format!("severity = {:?}", severity.as_str())));
        cells.extend(self.to.as_ref().map(|to| {
            let names: Vec<_> = to.iter().map(|channel| format!("{:?}", channel.as_str())).collect();
            format!("to = [{}]", names.join(", "))
        }));
        cells.extend(self.mute.then(|| "mute = true".to_owned()));
        write!(f, "{{ {} }}", cells.join(", "))
    }
}
