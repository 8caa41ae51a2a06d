//! Pages put together from what a Prometheus server kept.
//!
//! All samples of one scrape carry the time of that scrape, so asking for **raw samples** (an instant query of a range
//! selector, `up{job="shop"}[10m]`) gives the pages back as they were, at the times they were taken: no counter is moved to
//! another moment, and a restart shows where it was. `query_range` would answer with values on a grid, where a missed scrape
//! repeats an older one and two counters of a page may be of different scrapes; it is used when a step is asked for, for
//! servers that keep too much or do not answer raw samples.
//!
//! `up` says when the target was scraped at all, and when in vain. The time is asked for in pieces; a piece whose answer is
//! too large, or too much for the server, is asked for again in halves. While there is no server at all, it is asked again.

mod answer;
mod server;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Uri;

use super::naming::Naming;
use super::recording::Taken;
use crate::client::Client;
use crate::client::pause::Pause;
use answer::Assembler;
use server::{Refusal, Server, names};

/// What is asked of which server.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// The server, with a path if it stands behind one.
    pub(crate) server: Uri,
    /// A file with the token to send, if one is wanted.
    pub(crate) token: Option<String>,
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    /// A grid instead of raw samples.
    pub(crate) step: Option<Duration>,
    /// Matchers of labels, such as `job="shop"`.
    pub(crate) matcher: String,
    pub(crate) naming: Naming,
    /// Tells a person who waits why there is nothing yet.
    pub(crate) say: fn(&str),
}

/// A piece of time that is still to be asked for, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    from: u64,
    to: u64,
}

impl Piece {
    fn can_be_halved(self) -> bool {
        self.to - self.from >= 2 * SHORTEST
    }
}

/// Pages from a Prometheus server.
pub(crate) struct Source {
    query: Query,
    server: Server,
    /// Before the next attempt, when one has failed.
    pause: Pause,
    pieces: VecDeque<Piece>,
    assembler: Assembler,
    /// Pages of the last piece, in the order of time.
    ready: VecDeque<Taken>,
    /// The share of the time that was asked for already.
    pub(crate) done: f64,
    /// What a reader should know.
    pub(crate) complaints: Vec<String>,
}

/// How much is asked for at first. It is halved when the answer is too large.
const PIECE: u64 = 30 * 60 * 1000;
/// The shortest piece.
const SHORTEST: u64 = 10_000;
/// How often a piece is asked for where the server seems to be away: for about a minute, as long as it takes to start one.
const ATTEMPTS: u32 = 8;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Said of samples that cannot be used.
const OWN_TIMES: &str = "some samples belong to no scrape of their target, since they carry times of their own, or `up` does \
                         not match; they are left out";
/// The most names that an error mentions.
const NAMED: usize = 3;

/// Why there are no pages.
#[derive(Debug)]
pub(crate) enum AskError {
    /// The server did not answer as one does that can be asked.
    Server(String),
    /// It has nothing of what was asked for, as the text says.
    Nothing(String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(why) | Self::Nothing(why) => f.write_str(why),
        }
    }
}

impl Source {
    /// Looks whether the server has what is asked for, and of which targets.
    pub(crate) async fn open(mut query: Query) -> Result<Self, AskError> {
        query.matcher = matchers(&query.matcher);
        let client = Client::new([&query.server]).map_err(|error| AskError::Server(error.to_string()))?;
        let source = Self {
            pieces: pieces(millis(query.start), millis(query.end)),
            server: Server { uri: query.server.to_string(), token: query.token.take(), client },
            pause: Pause::new(LONGEST_PAUSE, LONGEST_PAUSE),
            assembler: Assembler::new(query.naming.clone()),
            query,
            ready: VecDeque::new(),
            done: 0.0,
            complaints: Vec::new(),
        };
        source.look().await
    }

    /// The next page; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Taken>, AskError> {
        while self.ready.is_empty() {
            let Some(piece) = self.pieces.pop_front() else {
                return Ok(None);
            };
            match self.ask_often(piece).await {
                Ok(pages) => self.ready = pages,
                Err(Refusal::TooMuch(_) | Refusal::Busy(_)) if piece.can_be_halved() => {
                    let middle = u64::midpoint(piece.from, piece.to);
                    self.pieces.push_front(Piece { from: middle, ..piece });
                    self.pieces.push_front(Piece { to: middle, ..piece });
                    continue;
                }
                Err(refusal) => return Err(AskError::Server(format!("{}: {refusal}", self.query.server))),
            }
            let (from, to) = (millis(self.query.start), millis(self.query.end));
            self.done = (piece.to - from) as f64 / (to - from).max(1) as f64;
        }
        if self.assembler.dropped > 0 && self.complaints.is_empty() {
            self.complaints.push(OWN_TIMES.to_owned());
        }
        Ok(self.ready.pop_front())
    }

    /// One piece's pages. While the server is away, or even little is too much for it, it is asked again after a pause.
    async fn ask_often(&mut self, piece: Piece) -> Result<VecDeque<Taken>, Refusal> {
        let mut pause = self.pause;
        for _ in 1..ATTEMPTS {
            let why = match self.ask(piece).await {
                Err(Refusal::Away(why)) => why,
                Err(Refusal::Busy(why)) if !piece.can_be_halved() => why,
                outcome => return outcome,
            };
            (self.query.say)(&format!("{}: {why}; asking again", self.query.server));
            tokio::time::sleep(pause.next(None)).await;
        }
        self.ask(piece).await
    }

    /// One piece's pages.
    async fn ask(&mut self, piece: Piece) -> Result<VecDeque<Taken>, Refusal> {
        let scrapes = self.samples(&format!("up{{{}}}", self.query.matcher), piece).await?;
        let samples = self.samples(&self.selector(), piece).await?;
        self.assembler.assemble(&scrapes, &samples).map_err(Refusal::Other)
    }

    /// Everything that the agent reads of a page.
    fn selector(&self) -> String {
        let mut names: Vec<_> = outrigger_semconv::metrics().map(|metric| metric.name.to_owned()).collect();
        names.push("target_info".to_owned());
        names.push(self.query.naming.metric().to_owned());
        names.sort();
        names.dedup();
        // No name has a sign that means something in a pattern.
        let names = names.join("|");
        let comma = if self.query.matcher.is_empty() { "" } else { "," };
        format!("{{__name__=~\"({names})(_bucket|_sum|_count)?\"{comma}{}}}", self.query.matcher)
    }

    async fn samples(&self, selector: &str, piece: Piece) -> Result<Vec<u8>, Refusal> {
        match self.query.step {
            None => {
                // From one millisecond before: some releases leave the first moment of a range out. What comes twice is
                // known by its time.
                let range = piece.to - piece.from + 1;
                let query = format!("{selector}[{range}ms]");
                self.server.ask("query", &[("query", &query), ("time", &seconds(piece.to))]).await
            }
            Some(step) => {
                let form = [
                    ("query", selector),
                    ("start", &seconds(piece.from)),
                    ("end", &seconds(piece.to - 1)),
                    ("step", &format!("{}ms", step.as_millis().max(1))),
                ];
                self.server.ask("query_range", &form).await
            }
        }
    }

    /// Finds the targets that have requests in that time; tells names that are nearest to what was asked for if none has.
    async fn look(mut self) -> Result<Self, AskError> {
        let server = self.query.server.clone();
        let wrong = |refusal: Refusal| AskError::Server(format!("{server}: {refusal}"));
        let metric = self.query.naming.metric().to_owned();
        let span = [("start", seconds(millis(self.query.start))), ("end", seconds(millis(self.query.end)))];
        let ask = async |label: &str, matcher: &str| {
            let mut form: Vec<_> = span.iter().map(|(key, value)| (*key, value.as_str())).collect();
            form.push(("match[]", matcher));
            let values = self.server.ask(&format!("label/{label}/values"), &form).await.map_err(wrong)?;
            names(&values).map_err(AskError::Server)
        };
        let own = &self.query.matcher;
        let wanted = format!("{{__name__=~\"{metric}(_count)?\"{}{own}}}", comma(own));
        if !ask("__name__", &wanted).await?.is_empty() {
            let (jobs, instances) = (ask("job", &wanted).await?, ask("instance", &wanted).await?);
            // Other targets of the server are nobody's business, and would be much. A job that has signs of a pattern in
            // its name is asked for with all others.
            if !jobs.is_empty() && jobs.iter().flat_map(|job| job.chars()).all(is_plain) {
                let narrowed = format!("{}{}job=~\"{}\"", own, comma(own), jobs.join("|"));
                self.query.matcher = narrowed;
            }
            self.assembler.watch_only(jobs, instances);
            return Ok(self);
        }
        let times = format!(
            "between {} and {}",
            humantime::format_rfc3339_seconds(self.query.start),
            humantime::format_rfc3339_seconds(self.query.end)
        );
        // What there is instead: of these targets first, then of all.
        for matcher in [self.query.matcher.as_str(), ""] {
            let all = format!("{{__name__=~\".*_bucket\"{}{matcher}}}", comma(matcher));
            let names = nearest(&metric, &ask("__name__", &all).await?);
            if names.is_empty() {
                continue;
            }
            let these = if matcher.is_empty() && !self.query.matcher.is_empty() {
                format!("nothing of it matches {{{}}}; others have it as", self.query.matcher)
            } else {
                "the nearest histograms are".to_owned()
            };
            return Err(AskError::Nothing(format!(
                "{server}: there is no {metric} {times}; {these} {}. Name one with --metric, or other targets with --match",
                names.join(", ")
            )));
        }
        Err(AskError::Nothing(format!(
            "{server}: there is no {metric} {times}, and no other histogram that matches; look at --start, --end and --match"
        )))
    }
}

/// What stands between the braces.
fn matchers(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .unwrap_or(text)
        .trim()
        .trim_end_matches(',')
        .to_owned()
}

/// Whether a character stands for itself in a pattern and in a string.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_-/:".contains(character)
}

fn comma(matcher: &str) -> &'static str {
    if matcher.is_empty() { "" } else { "," }
}

/// The histograms whose names are most like another.
fn nearest(metric: &str, buckets: &[String]) -> Vec<String> {
    let mut names: Vec<_> = buckets.iter().map(|name| name.trim_end_matches("_bucket").to_owned()).collect();
    names.sort_by(|a, b| {
        strsim::jaro_winkler(metric, b).total_cmp(&strsim::jaro_winkler(metric, a)).then_with(|| a.cmp(b))
    });
    names.truncate(NAMED);
    names
}

fn pieces(from: u64, to: u64) -> VecDeque<Piece> {
    let mut pieces = VecDeque::new();
    let mut at = from;
    while at < to {
        let end = at.saturating_add(PIECE).min(to);
        pieces.push_back(Piece { from: at, to: end });
        at = end;
    }
    pieces
}

fn millis(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use outrigger_testkit::http::{self, Response};

    use super::*;

    /// A server that scraped a target twice. It refuses what is asked of its samples with the status that `refuses` answers,
    /// given how often it was asked before and for how many milliseconds.
    fn serve(refuses: impl Fn(usize, u64) -> Option<u16> + Send + Sync + 'static) -> (http::Server, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let server = http::Server::start(move |request| {
            if request.path.contains("/label/") {
                return Response::plain(200, r#"{"data":["shop"]}"#);
            }
            let form = request.text();
            let range = form.split("%5B").nth(1).and_then(|range| range.split("ms").next()).unwrap().parse().unwrap();
            if let Some(status) = refuses(counter.fetch_add(1, Ordering::SeqCst), range) {
                return Response::plain(status, "");
            }
            let up = r#"{"metric":{"job":"shop","instance":"shop"},"values":[[1100,"1"],[1500,"1"]]}"#;
            let result = if form.starts_with("query=up") { up } else { "" };
            Response::plain(200, format!(r#"{{"data":{{"result":[{result}]}}}}"#))
        });
        (server, asked)
    }

    /// How many pages it gives.
    async fn count(server: &http::Server) -> Result<usize, String> {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let query = Query {
            server: server.url("").parse().unwrap(),
            token: None,
            start: at(1000),
            end: at(1600),
            step: None,
            matcher: String::new(),
            naming: Naming::default(),
            say: |_| {},
        };
        let mut source = Source::open(query).await.map_err(|error| error.to_string())?;
        source.pause.limit(Duration::ZERO);
        let mut pages = 0;
        while source.next().await.map_err(|error| error.to_string())?.is_some() {
            pages += 1;
        }
        Ok(pages)
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_asked_again() {
        let (server, asked) = serve(|before, _| (before < 3).then_some(502));
        assert_eq!((count(&server).await, asked.load(Ordering::SeqCst)), (Ok(2), 3 + 2));
        let (server, asked) = serve(|_, _| Some(502));
        assert!(count(&server).await.unwrap_err().contains("answered 502 Bad Gateway"));
        assert_eq!(asked.load(Ordering::SeqCst), ATTEMPTS as usize, "not for ever");
        let (server, asked) = serve(|_, _| Some(400));
        assert!(count(&server).await.is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 1, "what is wrong stays wrong");
    }

    #[tokio::test]
    async fn what_takes_a_gateway_too_long_is_asked_for_in_halves() {
        let (server, _) = serve(|_, millis| (millis > 200_000).then_some(504));
        assert_eq!(count(&server).await, Ok(2));
        // Of the least it is asked again.
        let (server, asked) = serve(|_, _| Some(504));
        assert!(count(&server).await.unwrap_err().contains("answered 504 Gateway Timeout"));
        assert!(asked.load(Ordering::SeqCst) > ATTEMPTS as usize);
    }

    #[test]
    fn the_time_is_asked_for_in_pieces() {
        let pieces = pieces(1000, 1000 + 2 * PIECE + 5);
        let pairs: Vec<_> = pieces.iter().map(|piece| (piece.from, piece.to)).collect();
        assert_eq!(
            pairs,
            [(1000, 1000 + PIECE), (1000 + PIECE, 1000 + 2 * PIECE), (1000 + 2 * PIECE, 1005 + 2 * PIECE)]
        );
    }

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["go_gc_bucket", "http_request_duration_seconds_bucket", "http_server_requests_seconds_bucket"];
        let names = nearest("http_server_request_duration_seconds", &names.map(str::to_owned));
        assert_eq!(names[2], "go_gc");
        assert!(names[0].starts_with("http_"));
    }

    #[test]
    fn matchers_may_stand_in_braces() {
        for text in ["{job=\"a\"}", "job=\"a\"", " { job=\"a\", } "] {
            assert_eq!(matchers(text), "job=\"a\"", "{text}");
        }
    }
}
