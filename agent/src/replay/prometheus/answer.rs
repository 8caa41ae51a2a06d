//! The pages in what a Prometheus server answers.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use outrigger_detect::NativeFold;
use outrigger_exposition::Format;
use outrigger_semconv::{Kind, http as requests};
use serde::Deserialize;

use super::super::naming::{Naming, write_value};
use super::super::recording::Taken;
use super::server::unreadable;
use crate::collect::scrape::Page;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    result: Vec<Series<'a>>,
}

/// One series with its samples: time in seconds, value as text, which has nothing to escape.
#[derive(Deserialize)]
struct Series<'a> {
    metric: BTreeMap<String, String>,
    #[serde(borrow, default)]
    values: Vec<(f64, &'a str)>,
    /// Those of a native histogram.
    #[serde(borrow, default)]
    histograms: Vec<(f64, Native<'a>)>,
}

/// A native histogram: its buckets as boundary rule, lower bound, upper bound, count.
#[derive(Deserialize)]
struct Native<'a> {
    count: &'a str,
    sum: &'a str,
    #[serde(borrow, default)]
    buckets: Vec<(i64, &'a str, &'a str, &'a str)>,
}

/// Puts pages together. It remembers where it stands from piece to piece.
pub(super) struct Assembler {
    naming: Naming,
    /// Jobs and instances that have requests; all, if none are known.
    jobs: BTreeSet<String>,
    instances: BTreeSet<String>,
    /// The time of the last page of each target, in milliseconds.
    last: BTreeMap<String, u64>,
    /// Native histograms, by series.
    folds: HashMap<String, NativeFold>,
    /// Samples that belong to no scrape.
    pub(super) dropped: u64,
}

/// The most native histograms that are folded.
const MAX_FOLDS: usize = 5000;

/// What is collected of one scrape.
#[derive(Default)]
struct Sheet {
    up: Option<bool>,
    /// Lines by the family that they belong to.
    families: BTreeMap<String, String>,
}

/// The scrapes of a piece of time.
#[derive(Default)]
struct Sheets {
    /// By time in milliseconds, and target.
    sheets: BTreeMap<(u64, String), Sheet>,
    /// `up` tells which scrapes there were. Servers that are written to may have none: then every sample makes one.
    are_known: bool,
    dropped: u64,
}

impl Sheets {
    /// The scrape that a sample belongs to.
    fn at(&mut self, at: f64, target: &str) -> Option<&mut Sheet> {
        let key = (millis(at), target.to_owned());
        if self.are_known {
            let sheet = self.sheets.get_mut(&key);
            self.dropped += u64::from(sheet.is_none());
            return sheet;
        }
        Some(self.sheets.entry(key).or_default())
    }
}

impl Assembler {
    pub(super) fn new(naming: Naming) -> Self {
        let (jobs, instances) = (BTreeSet::new(), BTreeSet::new());
        Self { naming, jobs, instances, last: BTreeMap::new(), folds: HashMap::new(), dropped: 0 }
    }

    /// Makes pages of these only.
    pub(super) fn watch_only(&mut self, jobs: Vec<String>, instances: Vec<String>) {
        (self.jobs, self.instances) = (jobs.into_iter().collect(), instances.into_iter().collect());
    }

    /// The target of a series, if it is one that makes pages: the instance, with its job where there are several.
    fn target(&self, series: &Series<'_>) -> Option<String> {
        let label = |name: &str| series.metric.get(name).map_or("", String::as_str);
        let (job, instance) = (label("job"), label("instance"));
        let is_among = |all: &BTreeSet<String>, one: &str| all.is_empty() || all.contains(one);
        if !is_among(&self.jobs, job) || !is_among(&self.instances, instance) {
            return None;
        }
        let target = match (job, instance) {
            ("", "") => "unknown".to_owned(),
            (one, "") | ("", one) => one.to_owned(),
            (job, instance) if self.jobs.len() > 1 => format!("{job}/{instance}"),
            (_, instance) => instance.to_owned(),
        };
        Some(target.replace(char::is_whitespace, "_"))
    }

    /// The pages in the answers for `up` and for the samples, in the order of time.
    pub(super) fn assemble(&mut self, scrapes: &[u8], samples: &[u8]) -> Result<VecDeque<Taken>, String> {
        let read = |body| -> Result<Vec<Series<'_>>, String> {
            let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
            Ok(answer.data.map(|data| data.result).unwrap_or_default())
        };
        let mut sheets = Sheets::default();
        for series in read(scrapes)? {
            let Some(target) = self.target(&series) else { continue };
            for (at, value) in &series.values {
                sheets.sheets.entry((millis(*at), target.clone())).or_default().up = Some(*value != "0");
            }
        }
        sheets.are_known = !sheets.sheets.is_empty();
        for series in read(samples)? {
            let Some(target) = self.target(&series) else { continue };
            let Some(name) = series.metric.get("__name__") else { continue };
            let labels = labels(&series);
            let family = self.family(name, &labels);
            let mut start = String::new();
            let factor = self.naming.start_line(&mut start, name, &labels);
            for (at, value) in &series.values {
                let Some(sheet) = sheets.at(*at, &target) else { continue };
                let Ok(value) = value.parse::<f64>() else { continue };
                let lines = match sheet.families.get_mut(&family) {
                    Some(lines) => lines,
                    None => sheet.families.entry(family.clone()).or_default(),
                };
                lines.push_str(&start);
                write_value(lines, value * factor);
            }
            if !series.histograms.is_empty() {
                self.native(&mut sheets, &series, &target, name, &labels);
            }
        }
        self.dropped += sheets.dropped;
        let mut pages = VecDeque::new();
        for ((at, target), sheet) in sheets.sheets {
            // The ends of two pieces may overlap.
            let last = self.last.entry(target.clone()).or_default();
            if at <= *last {
                continue;
            }
            *last = at;
            let page = match sheet.up {
                Some(false) => Err("Prometheus could not scrape it".to_owned()),
                _ => Ok(Page { bytes: text(sheet), format: Format::Text, cut_samples: 0 }),
            };
            pages.push_back(Taken { at: UNIX_EPOCH + Duration::from_millis(at), target, page });
        }
        Ok(pages)
    }

    /// The family that a series belongs to, in the name that the agent knows.
    fn family(&self, name: &str, labels: &[(&str, Cow<'_, str>)]) -> String {
        let stem = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
        let is_histogram = |stem: &str| {
            stem == self.naming.metric()
                || outrigger_semconv::find(stem).is_some_and(|metric| metric.bounds().is_some())
                || (name.ends_with("_bucket") && labels.iter().any(|(label, _)| *label == "le"))
        };
        match stem.filter(|stem| is_histogram(stem)) {
            Some(stem) if stem == self.naming.metric() => requests::SERVER_REQUEST_DURATION.name.to_owned(),
            Some(stem) => stem.to_owned(),
            None => name.to_owned(),
        }
    }

    /// Writes a native histogram as one with buckets.
    fn native(
        &mut self,
        sheets: &mut Sheets,
        series: &Series<'_>,
        target: &str,
        name: &str,
        labels: &[(&str, Cow<'_, str>)],
    ) {
        let key = format!("{:?}", series.metric);
        if self.folds.len() >= MAX_FOLDS && !self.folds.contains_key(&key) {
            self.dropped += series.histograms.len() as u64;
            return;
        }
        let fold = self.folds.entry(key).or_default();
        let family = if *name == *self.naming.metric() { requests::SERVER_REQUEST_DURATION.name } else { name };
        let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
        let naming = &self.naming;
        let last = self.last.get(target).copied().unwrap_or_default();
        for (at, native) in series.histograms.iter().filter(|(at, _)| millis(*at) > last) {
            let Some(sheet) = sheets.at(*at, target) else { continue };
            let lines = sheet.families.entry(family.to_owned()).or_default();
            let mut write = |suffix: &str, bound: Option<String>, value: f64| {
                let mut labels = labels.to_vec();
                labels.extend(bound.map(|bound| ("le", Cow::Owned(bound))));
                let factor = naming.start_line(lines, &format!("{name}{suffix}"), &labels);
                write_value(lines, value * factor);
            };
            // A saturating cast: what is no count is none.
            let bucket = |(_, lower, upper, count): &(i64, &str, &str, &str)| {
                (number(lower), number(upper), number(count) as u64)
            };
            let counts = fold.update(native.buckets.iter().map(bucket));
            let mut all: u64 = 0;
            for (bound, count) in NativeFold::bounds().into_iter().zip(counts) {
                all = all.saturating_add(*count);
                write("_bucket", Some(bound.to_string()), all as f64);
            }
            write("_bucket", Some("+Inf".to_owned()), number(native.count));
            write("_sum", None, number(native.sum));
            write("_count", None, number(native.count));
        }
    }
}

/// A page of the families' lines, each under its type.
fn text(sheet: Sheet) -> Vec<u8> {
    let mut text = "up 1\n".to_owned();
    for (family, lines) in sheet.families {
        let kind = match outrigger_semconv::find(&family).map(|metric| metric.kind) {
            Some(Kind::Histogram(_)) => "histogram",
            Some(Kind::Counter) => "counter",
            None if lines.contains("le=\"") => "histogram",
            _ => "gauge",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# TYPE {family} {kind}");
        text.push_str(&lines);
    }
    text.into_bytes()
}

/// The labels of the page: without what Prometheus added.
fn labels<'s>(series: &'s Series<'_>) -> Vec<(&'s str, Cow<'s, str>)> {
    let own = |name: &str| !matches!(name, "__name__" | "job" | "instance");
    series.metric.iter().filter(|(name, _)| own(name)).map(|(name, value)| (&**name, Cow::Borrowed(&**value))).collect()
}

fn millis(seconds: f64) -> u64 {
    // A saturating cast: times before the epoch become it.
    (seconds * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(series: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#)
    }

    fn up(values: &str) -> String {
        answer(&format!(r#"{{"metric":{{"__name__":"up","instance":"a:1","job":"x"}},"values":[{values}]}}"#))
    }

    fn shown(taken: &Taken) -> String {
        match &taken.page {
            Ok(page) => String::from_utf8(page.bytes.clone()).unwrap(),
            Err(why) => format!("!{why}"),
        }
    }

    #[test]
    fn samples_of_one_scrape_are_one_page() {
        let samples = answer(
            r#"{"metric":{"__name__":"http_server_request_duration_seconds_bucket","instance":"a:1","job":"x","le":"0.1","http_route":"/\"q\""},
                "values":[[10.001,"3"],[15.002,"4"],[17,"9"]]},
               {"metric":{"__name__":"process_start_time_seconds","instance":"a:1"},"values":[[15.002,"1e9"]]}"#,
        );
        let mut assembler = Assembler::new(Naming::default());
        let up = up(r#"[5,"0"],[10.001,"1"],[15.002,"1"]"#);
        let pages = assembler.assemble(up.as_bytes(), samples.as_bytes()).unwrap();
        assert_eq!(
            pages.iter().map(|page| page.at).collect::<Vec<_>>(),
            [5000, 10_001, 15_002].map(|at| UNIX_EPOCH + Duration::from_millis(at))
        );
        let texts: Vec<_> = pages.iter().map(shown).collect();
        assert_eq!(texts[0], "!Prometheus could not scrape it");
        assert_eq!(
            texts[1],
            "up 1\n# TYPE http_server_request_duration_seconds histogram\n\
             http_server_request_duration_seconds_bucket{http_route=\"/\\\"q\\\"\",le=\"0.1\"} 3\n"
        );
        assert!(
            texts[2].contains("# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1000000000\n"),
            "{}",
            texts[2]
        );
        assert_eq!(assembler.dropped, 1, "nothing was scraped at 17");
        assert!(assembler.assemble(up.as_bytes(), samples.as_bytes()).unwrap().is_empty(), "none comes twice");
    }

    #[test]
    fn targets_without_requests_make_no_pages() {
        let of = |job: &str, instance: &str| {
            format!(r#"{{"metric":{{"__name__":"up","job":"{job}","instance":"{instance}"}},"values":[[5,"1"]]}}"#)
        };
        let up = answer(&[of("a", "x:1"), of("b", "x:1"), of("node", "x:1"), of("a", "y:1")].join(","));
        let targets = |jobs: &[&str]| {
            let mut assembler = Assembler::new(Naming::default());
            assembler.watch_only(jobs.iter().map(ToString::to_string).collect(), vec!["x:1".to_owned()]);
            let pages = assembler.assemble(up.as_bytes(), answer("").as_bytes()).unwrap();
            pages.into_iter().map(|page| page.target).collect::<Vec<_>>()
        };
        assert_eq!(targets(&["a"]), ["x:1"]);
        assert_eq!(targets(&["a", "b"]), ["a/x:1", "b/x:1"]);
    }

    #[test]
    fn a_native_histogram_gets_buckets() {
        let samples = answer(
            r#"{"metric":{"__name__":"http_request_duration_seconds","instance":"a:1","handler":"/"},"histograms":[
                [10,{"count":"5","sum":"1.5","buckets":[[0,"0.25","0.5","4"],[0,"100","128","1"]]}]]}"#,
        );
        let naming = Naming { metric: Some("http_request_duration_seconds".to_owned()), ..Naming::default() };
        let pages = Assembler::new(naming).assemble(answer("").as_bytes(), samples.as_bytes()).unwrap();
        let text = shown(&pages[0]);
        for line in [
            "# TYPE http_server_request_duration_seconds histogram\n",
            "http_server_request_duration_seconds_bucket{http_route=\"/\",le=\"0.5\"} 4\n",
            "http_server_request_duration_seconds_bucket{http_route=\"/\",le=\"64\"} 4\n",
            "http_server_request_duration_seconds_bucket{http_route=\"/\",le=\"+Inf\"} 5\n",
            "http_server_request_duration_seconds_sum{http_route=\"/\"} 1.5\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_breaks_it(
            text in "\\PC{0,40}",
            name in "[a-z_]{0,6}(_bucket|_sum|)",
            label in "[a-z_]{0,8}|le",
            value in "\\PC{0,8}",
            samples in proptest::collection::vec(("[0-9]{0,3}(NaN|Inf|)", -1e18..1e18), 0..5),
        ) {
            let values: Vec<_> = samples.iter().map(|(text, at)| format!("[{at},\"{text}\"]")).collect();
            let metric = serde_json::json!({"__name__": name, label: value, "instance": text});
            let series = answer(&format!("{{\"metric\":{metric},\"values\":[{}]}}", values.join(",")));
            let mut assembler = Assembler::new(Naming { metric: Some(name), ..Naming::default() });
            let pages = assembler.assemble(answer("").as_bytes(), series.as_bytes()).unwrap();
            prop_assert!(pages.len() <= samples.len());
            let _ = assembler.assemble(text.as_bytes(), series.as_bytes());
        }
    }
}
