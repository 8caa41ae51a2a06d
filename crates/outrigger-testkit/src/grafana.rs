//! What Grafana asks Prometheus for: the queries of a dashboard file, with its variables filled in as Grafana does.

use serde_json::Value;
use std::{collections::HashMap, fs, path::Path, time::Duration};

/// A dashboard file.
#[derive(Clone, Debug)]
pub struct Dashboard {
    json: Value,
}

/// One query of a panel or an annotation, its variables not yet filled in.
#[derive(Clone, Debug)]
pub struct Query {
    /// Who asks: the panel's title, or `annotation <name>`.
    pub asker: String,
    /// PromQL with `$variables`.
    pub expr: String,
    /// Asked for one moment (tables), not for a range of time.
    pub instant: bool,
    /// Texts with `{{label}}` that are filled from the result's labels.
    pub texts: Vec<String>,
}

/// A variable whose choices Prometheus knows.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name, without `$`.
    pub name: String,
    /// The selector in `label_values(selector, label)`.
    pub selector: String,
    /// The label in `label_values(selector, label)`.
    pub label: String,
    /// What stands for the choice *All*.
    pub all: String,
}

impl Dashboard {
    /// Reads a dashboard.
    ///
    /// # Panics
    /// When the file cannot be read or is no JSON.
    #[must_use]
    #[track_caller]
    pub fn load(file: impl AsRef<Path>) -> Self {
        let file = file.as_ref();
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self { json }
    }

    /// The panels, also those inside collapsed rows; the rows themselves are left out.
    #[must_use]
    pub fn panels(&self) -> Vec<&Value> {
        let mut panels = Vec::new();
        for panel in list(&self.json["panels"]) {
            if panel["type"] != "row" {
                panels.push(panel);
            }
            panels.extend(list(&panel["panels"]));
        }
        panels
    }

    /// The queries of a panel.
    ///
    /// # Panics
    /// When a query has no `expr`.
    #[must_use]
    pub fn queries_of(panel: &Value) -> Vec<Query> {
        let asker = text(&panel["title"]);
        list(&panel["targets"])
            .iter()
            .map(|target| Query {
                asker: asker.clone(),
                expr: text(&target["expr"]),
                instant: target["instant"] == true,
                texts: target["legendFormat"].as_str().map(str::to_owned).into_iter().collect(),
            })
            .collect()
    }

    /// The queries of all panels and annotations.
    ///
    /// # Panics
    /// When a query has no `expr`.
    #[must_use]
    pub fn queries(&self) -> Vec<Query> {
        let mut queries: Vec<Query> = self.panels().into_iter().flat_map(Self::queries_of).collect();
        for annotation in list(&self.json["annotations"]["list"]) {
            if annotation["builtIn"] == 1 {
                continue;
            }
            queries.push(Query {
                asker: format!("annotation {}", text(&annotation["name"])),
                expr: text(&annotation["target"]["expr"]),
                instant: false,
                texts: ["titleFormat", "textFormat"]
                    .iter()
                    .filter_map(|key| annotation[*key].as_str().map(str::to_owned))
                    .collect(),
            });
        }
        queries
    }

    /// The variables that Prometheus is asked for, in the dashboard's order, in which each may use those before it.
    ///
    /// # Panics
    /// When one asks for anything else than `label_values(selector, label)`.
    #[must_use]
    pub fn variables(&self) -> Vec<Variable> {
        list(&self.json["templating"]["list"])
            .iter()
            .filter(|variable| variable["type"] == "query")
            .map(variable)
            .collect()
    }
}

fn variable(json: &Value) -> Variable {
    let name = text(&json["name"]);
    let query = text(&json["query"]["query"]);
    let parts = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (selector, label) =
        parts.and_then(|parts| parts.rsplit_once(", ")).unwrap_or_else(|| panic!("${name}: no label_values: {query}"));
    Variable { name, selector: selector.to_owned(), label: label.to_owned(), all: text(&json["allValue"]) }
}

/// What the variables in a query stand for.
#[derive(Clone, Debug)]
pub struct Choices {
    values: HashMap<String, String>,
    step: Duration,
}

impl Choices {
    /// Grafana's own variables for a range of time that ends now and a Prometheus that scrapes at this interval.
    #[must_use]
    pub fn new(range: Duration, scrape_interval: Duration) -> Self {
        // A wide panel is some 600 points; the rate's window holds four scrapes, so that two are in it after one failed.
        let step = Duration::from_secs(range.as_secs().div_ceil(600)).max(scrape_interval);
        let rate_interval = (step + scrape_interval).max(4 * scrape_interval);
        let seconds = |duration: Duration| format!("{}s", duration.as_secs());
        let values = HashMap::from([
            ("__interval".to_owned(), seconds(step)),
            ("__rate_interval".to_owned(), seconds(rate_interval)),
            ("__range".to_owned(), seconds(range)),
            ("__range_s".to_owned(), range.as_secs().to_string()),
        ]);
        Self { values, step }
    }

    /// The time between two points of a panel.
    #[must_use]
    pub fn step(&self) -> Duration {
        self.step
    }

    /// Chooses *All*.
    pub fn choose_all(&mut self, variable: &Variable) {
        self.values.insert(variable.name.clone(), variable.all.clone());
    }

    /// Chooses one value of a variable of which several may be chosen: it is escaped for a regular expression in a string.
    pub fn choose(&mut self, variable: &Variable, value: &str) {
        let mut escaped = String::new();
        for character in value.chars() {
            match character {
                '\\' => escaped.push_str("\\\\\\\\"),
                '$' | '^' | '*' | '{' | '}' | '[' | ']' | '\'' | '+' | '?' | '.' | '(' | ')' | '|' => {
                    escaped.push_str("\\\\");
                    escaped.push(character);
                }
                _ => escaped.push(character),
            }
        }
        self.values.insert(variable.name.clone(), escaped);
    }

    /// Fills the variables in, written as `$name` or `${name}`.
    ///
    /// # Panics
    /// When one is not defined.
    #[must_use]
    #[track_caller]
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            filled.push_str(before);
            let braced = after.starts_with('{');
            let after = after.strip_prefix('{').unwrap_or(after);
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            let (name, after) = after.split_at(end);
            let value = self.values.get(name).unwrap_or_else(|| panic!("${name} is not defined, in {text}"));
            filled.push_str(value);
            rest = if braced { after.strip_prefix('}').unwrap_or(after) } else { after };
        }
        filled + rest
    }
}

/// The `{{label}}` names in a text.
#[must_use]
pub fn labels_in(text: &str) -> Vec<&str> {
    text.split("{{").skip(1).filter_map(|part| part.split_once("}}")).map(|(name, _)| name.trim()).collect()
}

fn list(json: &Value) -> &[Value] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_else(|| panic!("no text: {json}")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> Variable {
        Variable { name: "route".into(), selector: "m".into(), label: "http_route".into(), all: ".+".into() }
    }

    #[test]
    fn variables_are_filled_in_as_grafana_does() {
        let mut choices = Choices::new(Duration::from_secs(3600), Duration::from_secs(15));
        choices.choose_all(&route());
        let query = r#"rate(m{http_route=~"$route"}[$__rate_interval]) / ${__range_s}"#;
        assert_eq!(choices.fill(query), r#"rate(m{http_route=~".+"}[60s]) / 3600"#);
        choices.choose(&route(), "/products/{id}");
        assert_eq!(choices.fill(r#"m{http_route=~"$route"}"#), r#"m{http_route=~"/products/\\{id\\}"}"#);
    }

    #[test]
    #[should_panic(expected = "$rout is not defined")]
    fn a_variable_that_nobody_defined_is_an_error() {
        let _ = Choices::new(Duration::from_secs(60), Duration::from_secs(1)).fill("m{a=~\"$rout\"}");
    }

    #[test]
    fn labels_are_found_in_legends() {
        assert_eq!(labels_in("{{http_request_method}} {{ http_route }} p95"), ["http_request_method", "http_route"]);
        assert_eq!(labels_in("p95"), [""; 0]);
    }
}
