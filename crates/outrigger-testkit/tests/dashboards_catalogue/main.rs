//! Dashboards, rules and runbooks against the catalogue: names, labels, objectives, and that nothing stands alone.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the helpers of a test fail it by a panic with the reason")]

mod catalogue;
mod objectives;
mod promql;
mod rules;

use catalogue::Catalogue;
use outrigger_testkit::grafana::{self, Dashboard};
use rules::{Alert, RuleFile, TestFile};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[test]
fn every_query_of_the_dashboards_names_the_catalogue() {
    let catalogue = catalogue();
    for file in dashboards() {
        let dashboard = Dashboard::load(&file);
        let queries = dashboard.queries();
        assert!(queries.len() > 40, "{}: {} queries", file.display(), queries.len());
        for query in queries {
            let labels = catalogue.check(&query.expr).unwrap_or_else(|error| panic!("{}: {error}", query.asker));
            for label in query.texts.iter().flat_map(|text| grafana::labels_in(text)) {
                assert!(labels.contains(label), "{}: shows {label}, has {labels:?}", query.asker);
            }
        }
        for variable in dashboard.variables() {
            // The choices come from the series themselves, whether they count or not.
            let labels = catalogue
                .check(&variable.selector)
                .or_else(|_| catalogue.check(&format!("rate({}[5m])", variable.selector)))
                .unwrap_or_else(|error| panic!("${}: {error}", variable.name));
            assert!(labels.contains(&variable.label), "${}: {} has {labels:?}", variable.name, variable.selector);
        }
    }
}

#[test]
fn every_rule_names_the_catalogue_and_says_only_what_it_knows() {
    let catalogue = catalogue();
    let mut queries = 0;
    for alert in alerts() {
        let labels = catalogue.check(&alert.expr).unwrap_or_else(|error| panic!("{}: {error}", alert.title()));
        for label in alert.labels_read() {
            assert!(labels.contains(label), "{} tells $labels.{label}, has {labels:?}", alert.title());
        }
        for query in alert.queries_made() {
            catalogue.check(&query).unwrap_or_else(|error| panic!("{}: {error}", alert.title()));
            queries += 1;
        }
    }
    assert!(queries > 0, "IncidentOpen asks for the worst route");
}

#[test]
fn recording_rules_are_named_level_metric_operation() {
    let catalogue = catalogue();
    for (name, expression) in rule_files().iter().flat_map(RuleFile::recordings) {
        let parts: Vec<&str> = name.split(':').collect();
        let [level, metric, operation] = parts[..] else { panic!("{name} has no three parts") };
        assert!(!metric.is_empty() && !operation.is_empty(), "{name}");
        // The level lists the labels that are left, each by its last words: `job_pool` for job and
        // db_client_connection_pool_name.
        let labels = catalogue.check(expression).unwrap();
        let words: Vec<&str> = level.split('_').collect();
        assert_eq!(labels.len(), words.len(), "{name} leaves {labels:?}");
        for word in words {
            assert!(labels.iter().any(|label| label.split('_').any(|part| part == word)), "{name} leaves {labels:?}");
        }
    }
}

#[test]
fn every_alert_can_be_acted_upon() {
    for alert in alerts() {
        let title = alert.title();
        let severity = alert.labels.get("severity").map(String::as_str);
        assert!(matches!(severity, Some("critical" | "warning")), "{title}: {severity:?}");
        assert_ne!(alert.wait, "0s", "{title}: one evaluation is no evidence");
        for annotation in ["summary", "description"] {
            let text = alert.annotations.get(annotation).map_or("", String::as_str);
            assert!(!text.is_empty() && !text.contains('\n'), "{title}: {annotation} {text:?}");
        }
        let runbook = format!("{}/blob/main/alerts/runbooks/{}.md", env!("CARGO_PKG_REPOSITORY"), alert.name);
        assert_eq!(alert.annotations.get("runbook_url"), Some(&runbook), "{title}");
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let runbooks = files("alerts/runbooks", ".md");
    let pages: BTreeSet<String> =
        runbooks.iter().map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let names: BTreeSet<String> = alerts().into_iter().map(|alert| alert.name).collect();
    assert_eq!(pages, names);
    let index = read(&root().join("alerts/README.md"));
    for (file, name) in runbooks.iter().zip(&pages) {
        let page = read(file);
        let mut rest = page.as_str();
        for heading in [
            &format!("# {name}\n"),
            "## Meaning\n",
            "## Impact\n",
            "## First look\n",
            "## Likely causes\n",
            "## Actions\n",
        ] {
            let at = rest.find(heading).unwrap_or_else(|| panic!("{name}: no {heading:?} in its place"));
            rest = &rest[at + heading.len()..];
        }
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(file.with_file_name(link).is_file(), "{name} links to {link}");
        }
        assert!(index.contains(&format!("(runbooks/{name}.md)")), "alerts/README.md does not list {name}");
    }
    for panel in dashboards()
        .iter()
        .map(Dashboard::load)
        .flat_map(|dashboard| dashboard.panels().into_iter().cloned().collect::<Vec<_>>())
    {
        for link in panel["links"].as_array().into_iter().flatten() {
            let url = link["url"].as_str().unwrap();
            let page = url.rsplit('/').next().and_then(|page| page.strip_suffix(".md"));
            assert!(page.is_some_and(|page| pages.contains(page)), "{}: {url}", panel["title"]);
        }
    }
}

#[test]
fn every_query_of_the_runbooks_names_the_catalogue() {
    let catalogue = catalogue();
    let mut queries = 0;
    for file in files("alerts/runbooks", ".md") {
        let page = read(&file);
        for query in page.split("```promql\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            catalogue.check(query).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            queries += 1;
        }
    }
    assert!(queries > 20, "{queries}");
}

#[test]
fn every_alert_is_seen_firing_and_quiet_by_promtool() {
    let tests: Vec<TestFile> = files("alerts", "_test.yml").iter().map(|file| rules::load(file)).collect();
    for alert in alerts() {
        let cases = tests
            .iter()
            .flat_map(|file| &file.tests)
            .flat_map(|test| &test.alert_rule_test)
            .filter(|case| case.alertname == alert.name);
        let (firing, quiet): (Vec<_>, Vec<_>) =
            cases.partition(|case| case.exp_alerts.iter().any(|expected| alert.made(&expected.exp_labels)));
        assert!(!firing.is_empty(), "no test sees {} fire", alert.title());
        assert!(!quiet.is_empty(), "no test sees {} quiet", alert.title());
    }
}

/// The catalogue with all that the rules record.
fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::default();
    for (name, expression) in rule_files().iter().flat_map(RuleFile::recordings) {
        catalogue.record(name, expression).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    catalogue
}

fn alerts() -> Vec<Alert> {
    let alerts: Vec<Alert> = rule_files().iter().flat_map(RuleFile::alerts).cloned().collect();
    assert!(!alerts.is_empty());
    alerts
}

fn rule_files() -> Vec<RuleFile> {
    files("alerts", ".yml")
        .iter()
        .filter(|file| !file.to_string_lossy().ends_with("_test.yml"))
        .map(|file| rules::load(file))
        .collect()
}

fn dashboards() -> Vec<PathBuf> {
    files("dashboards", ".json")
}

/// The files of a folder of this repository whose names end so, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = root().join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    assert!(!files.is_empty(), "no {ending} in {}", folder.display());
    files.sort();
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
