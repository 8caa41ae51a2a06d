//! A place that is told: its address, how it is, and when it is tried next.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use ring::digest;

use super::Channel;
use super::message::hex;
use super::rate::Rate;
use super::settings::{TellSettings, origin};
use crate::client::Client;
use crate::client::pause::{Pause, retry_after};

const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long the rest of an answer is waited for.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
/// The most that is read of an answer.
const MAX_ANSWER: usize = 64 << 10;

/// One place that is told.
pub(super) struct Destination {
    pub(super) channel: Channel,
    /// Names it on disk without giving its address away, which may hold a secret.
    pub(super) key: String,
    /// The address without what may be secret in it.
    pub(super) shown: String,
    uri: Uri,
    /// A request is under way.
    pub(super) is_busy: bool,
    /// The incident whose message was not taken last: others go before it.
    pub(super) stuck: Option<String>,
    /// The last message was not taken: changes go one by one until one is, so that a bad one cannot hide among others.
    pub(super) goes_singly: bool,
    /// Since when something waits for others to go with it.
    pub(super) waits_since: Option<Instant>,
    /// What went there of late.
    pub(super) rate: Rate,
    /// When it last took something.
    pub(super) sent: Option<Instant>,
    pause: Pause,
    not_before: Option<Instant>,
}

/// A request to send, unless it could not be made.
pub(super) type Ready = Result<Request<Full<Bytes>>, http::Error>;

/// What one attempt came to.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Taken,
    /// Refused for good: it is the message that is wrong.
    Refused(String),
    /// Not now.
    Later {
        reason: String,
        after: Option<Duration>,
    },
}

impl Destination {
    /// Every destination of the settings.
    pub(super) fn all(settings: &TellSettings) -> Vec<Self> {
        let alertmanagers = settings.alertmanager.iter().map(|uri| (Channel::Alertmanager, uri));
        let webhook = settings.webhook.iter().map(|uri| (Channel::Webhook, uri));
        let slack = settings.slack.iter().map(|uri| (Channel::Slack, uri));
        alertmanagers
            .chain(webhook)
            .chain(slack)
            .map(|(channel, uri)| Self::new(channel, uri))
            .map(|at| at.bounded(settings))
            .collect()
    }

    /// With pauses as these settings want them. An alert that fires is to be sent again before it ends, whatever failed
    /// meanwhile, else it would resolve and fire anew.
    pub(super) fn bounded(mut self, settings: &TellSettings) -> Self {
        if self.channel == Channel::Alertmanager {
            let longest = settings.resend_interval.min(LONGEST_PAUSE);
            self.pause.limit(longest);
            self.not_before = self.not_before.map(|at| at.min(Instant::now() + longest));
        }
        self
    }

    fn new(channel: Channel, uri: &Uri) -> Self {
        let digest = digest::digest(&digest::SHA256, uri.to_string().as_bytes());
        Self {
            channel,
            key: format!("{}-{}", channel.as_str(), hex(digest.as_ref().get(..8).unwrap_or_default())),
            shown: origin(uri),
            uri: uri.clone(),
            is_busy: false,
            stuck: None,
            goes_singly: false,
            waits_since: None,
            rate: Rate::default(),
            sent: None,
            pause: Pause::new(LONGEST_PAUSE, LONGEST_PAUSE),
            not_before: None,
        }
    }

    /// Whether its pause is over.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    /// A request with this body and these headers.
    pub(super) fn json(&self, body: Vec<u8>, headers: Vec<(&'static str, Option<HeaderValue>)>) -> Ready {
        let mut request = Request::post(&self.uri)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("outrigger/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request.body(Full::new(body.into()))
    }

    /// Takes note of an attempt, and says so when things change.
    pub(super) fn note(&mut self, outcome: &Outcome) {
        self.is_busy = false;
        let was_well = self.not_before.is_none();
        let (destination, now) = (&self.shown, Instant::now());
        match outcome {
            Outcome::Taken => {
                if !was_well {
                    tracing::info!(%destination, "incidents can be told again");
                }
                (self.sent, self.not_before) = (Some(now), None);
                self.pause.reset();
                return;
            }
            Outcome::Refused(reason) => {
                tracing::warn!(%destination, %reason, "word of an incident was refused");
                // It answers: others need not wait for what it does not want. Alerts go again as they are.
                if self.channel != Channel::Alertmanager {
                    self.pause.reset();
                }
            }
            Outcome::Later { reason, .. } if was_well => {
                tracing::warn!(%destination, %reason, "an incident cannot be told; it is tried again");
            }
            Outcome::Later { reason, .. } => tracing::debug!(%destination, %reason, "still cannot be told"),
        }
        let after = if let Outcome::Later { after, .. } = outcome { *after } else { None };
        self.not_before = Some(now + self.pause.next(after));
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Sends a request and judges the answer.
pub(super) async fn send(client: &Client, request: Ready, timeout: Duration) -> Outcome {
    let request = match request {
        Ok(request) => request,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let later = |reason: String| Outcome::Later { reason, after: None };
    let response = match tokio::time::timeout(timeout, client.send(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return later(error.to_string()),
        Err(_) => return later(format!("no answer within {}", humantime::format_duration(timeout))),
    };
    let (status, after) = (response.status(), retry_after(response.headers()));
    // What it says does not matter, nor whether it ends, but an answer that was read leaves its connection to the next
    // request.
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect();
    let _ = tokio::time::timeout(BODY_TIMEOUT, body).await;
    judge(status, after)
}

/// What is wrong with the message stays wrong. Anything else, a wrong password too, may be put right meanwhile.
pub(super) fn judge(status: StatusCode, after: Option<Duration>) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Taken,
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Outcome::Refused(format!("answered {status}")),
        status => Outcome::Later { reason: format!("answered {status}"), after },
    }
}
