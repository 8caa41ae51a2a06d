//! The rule files and their tests, as they are written.

use serde::{Deserialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fs, path::Path};

type Pairs = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleFile {
    pub(crate) groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    #[serde(rename = "name")]
    _name: String,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Rule {
    Recording { record: String, expr: String },
    Alert(Alert),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alert {
    #[serde(rename = "alert")]
    pub(crate) name: String,
    pub(crate) expr: String,
    #[serde(rename = "for")]
    pub(crate) wait: String,
    pub(crate) labels: Pairs,
    pub(crate) annotations: Pairs,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TestFile {
    pub(crate) tests: Vec<Test>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Test {
    #[serde(default)]
    pub(crate) alert_rule_test: Vec<AlertTest>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AlertTest {
    pub(crate) alertname: String,
    pub(crate) exp_alerts: Vec<Expected>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Expected {
    pub(crate) exp_labels: Pairs,
}

impl RuleFile {
    /// Recording rules in their order: name and expression.
    pub(crate) fn recordings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules().filter_map(|rule| match rule {
            Rule::Recording { record, expr } => Some((record.as_str(), expr.as_str())),
            Rule::Alert(_) => None,
        })
    }

    pub(crate) fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.rules().filter_map(|rule| match rule {
            Rule::Alert(alert) => Some(alert),
            Rule::Recording { .. } => None,
        })
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.groups.iter().flat_map(|group| &group.rules)
    }
}

impl Alert {
    /// Its name and what tells it from its twins.
    pub(crate) fn title(&self) -> String {
        format!("{} {:?}", self.name, self.labels)
    }

    /// Whether alerts with these labels are this rule's.
    pub(crate) fn made(&self, labels: &Pairs) -> bool {
        self.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    }

    /// The label names that its annotations read: `$labels.name`.
    pub(crate) fn labels_read(&self) -> impl Iterator<Item = &str> {
        self.annotations.values().flat_map(|text| text.split("$labels.").skip(1)).map(|rest| {
            rest.split_once(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(rest, |(name, _)| name)
        })
    }

    /// The queries that its annotations make: ``{{ with printf `...` $labels.job | query }}``.
    pub(crate) fn queries_made(&self) -> impl Iterator<Item = String> {
        self.annotations
            .values()
            .flat_map(|text| text.split("{{ with printf `").skip(1))
            .filter_map(|rest| rest.split_once('`'))
            .map(|(query, _)| query.replace("%q", "\"x\""))
    }
}

pub(crate) fn load<T: DeserializeOwned>(file: &Path) -> T {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
