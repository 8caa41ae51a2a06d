//! The end: letting the last numbers out.

#[cfg(feature = "admin")]
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
#[cfg(feature = "otlp")]
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

#[cfg(feature = "admin")]
use tokio::sync::watch;
#[cfg(any(feature = "admin", feature = "otlp"))]
use tokio::time::Instant;

use crate::Metrics;
#[cfg(feature = "otlp")]
use crate::otlp::Control;

impl Metrics {
    /// Lets the last numbers out, within a second, and says how that went.
    ///
    /// Call it when the service has answered its last request, before the admin listener and the runtime end.
    ///
    /// | who reads the metrics | what it does |
    /// |---|---|
    /// | an endpoint that [`otlp()`](crate::otlp) pushes to | pushes a last time, and ends the push |
    /// | a scraper, seen by the admin listener within the last five minutes | waits for one more whole page to be sent; also when the last push failed |
    /// | nobody | returns at once |
    ///
    /// An endpoint that does not answer does not hold it up any longer than that second. However often it is called, at
    /// the same time or later, nothing is pushed twice.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), outrigger::InstallError> {
    /// let metrics = outrigger::standalone()?;
    /// // ... the service runs until it is told to end, and then:
    /// assert_eq!(metrics.shutdown().await, outrigger::Shutdown::Unread, "nothing pushes or scrapes these metrics");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&self) -> Shutdown {
        let outcome = self.readers().finish().await;
        if outcome == Shutdown::GaveUp {
            tracing::warn!("the last metrics were read by nobody within {LIMIT:?}");
        }
        outcome
    }
}

/// What became of the last numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shutdown {
    /// Nobody reads these metrics.
    Unread,
    /// They were pushed, and taken.
    Pushed,
    /// A scraper has read a page that was begun after the call.
    Scraped,
    /// Neither within a second.
    GaveUp,
}

/// The most that the end may take.
const LIMIT: Duration = Duration::from_secs(1);

/// Who reads these metrics, as far as it is known.
#[derive(Debug)]
pub(crate) struct Readers {
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "its reader is a feature"))]
    born: SystemTime,
    #[cfg(feature = "otlp")]
    pushes: Mutex<Vec<Arc<Control>>>,
    #[cfg(feature = "admin")]
    scrapes: Scrapes,
}

impl Readers {
    pub(crate) fn new() -> Self {
        Self {
            born: SystemTime::now(),
            #[cfg(feature = "otlp")]
            pushes: Mutex::new(Vec::new()),
            #[cfg(feature = "admin")]
            scrapes: Scrapes::new(),
        }
    }

    async fn finish(&self) -> Shutdown {
        #[cfg(any(feature = "admin", feature = "otlp"))]
        let by = Instant::now() + LIMIT;
        #[cfg(feature = "admin")]
        let begun = self.scrapes.begun.load(Relaxed);
        #[cfg(feature = "otlp")]
        let outcome = self.last_push(by).await;
        #[cfg(not(feature = "otlp"))]
        let outcome = Shutdown::Unread;
        #[cfg(feature = "admin")]
        if outcome != Shutdown::Pushed && self.scrapes.are_recent() {
            return self.scrapes.one_after(begun, by).await;
        }
        outcome
    }
}

#[cfg(feature = "otlp")]
impl Readers {
    /// When these metrics were made.
    pub(crate) fn born(&self) -> SystemTime {
        self.born
    }

    pub(crate) fn add_push(&self, push: &Arc<Control>) {
        let mut pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner);
        pushes.push(Arc::clone(push));
    }

    async fn last_push(&self, by: Instant) -> Shutdown {
        let pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // All are told before one is waited for.
        pushes.iter().for_each(|push| push.stop());
        let mut outcome = if pushes.is_empty() { Shutdown::Unread } else { Shutdown::Pushed };
        for push in pushes {
            if !push.end(by).await {
                outcome = Shutdown::GaveUp;
            }
        }
        outcome
    }
}

/// The scrapes of a page, by number.
#[cfg(feature = "admin")]
#[derive(Debug)]
struct Scrapes {
    begun: AtomicU64,
    ended: watch::Sender<Ended>,
}

#[cfg(feature = "admin")]
#[derive(Debug, Default)]
struct Ended {
    /// The highest number of those that have ended, and when one did last.
    number: u64,
    at: Option<Instant>,
}

/// A page on its way to a scraper.
#[cfg(feature = "admin")]
#[derive(Debug)]
pub(crate) struct Scrape {
    metrics: Metrics,
    number: u64,
}

#[cfg(feature = "admin")]
impl Metrics {
    /// To be called before the first number of a page is read.
    pub(crate) fn scrape(&self) -> Scrape {
        let number = self.readers().scrapes.begun.fetch_add(1, Relaxed) + 1;
        Scrape { metrics: self.clone(), number }
    }
}

#[cfg(feature = "admin")]
impl Scrape {
    /// The whole page was handed to the connection.
    pub(crate) fn complete(self) {
        self.metrics.readers().scrapes.ended.send_modify(|ended| {
            ended.number = ended.number.max(self.number);
            ended.at = Some(Instant::now());
        });
    }
}

#[cfg(feature = "admin")]
impl Scrapes {
    fn new() -> Self {
        Self { begun: AtomicU64::new(0), ended: watch::Sender::new(Ended::default()) }
    }

    fn are_recent(&self) -> bool {
        self.ended.borrow().at.is_some_and(|at| at.elapsed() < RECENT)
    }

    /// Waits for the end of a scrape that was not one of the first so many.
    async fn one_after(&self, begun: u64, by: Instant) -> Shutdown {
        let mut ended = self.ended.subscribe();
        let is_scraped = tokio::time::timeout_at(by, ended.wait_for(|ended| ended.number > begun)).await.is_ok();
        if !is_scraped {
            return Shutdown::GaveUp;
        }
        // The page's last piece was handed over; it has yet to leave.
        tokio::time::sleep_until((Instant::now() + LEAVING).min(by)).await;
        Shutdown::Scraped
    }
}

/// A scraper that was not seen for longer has gone.
#[cfg(feature = "admin")]
const RECENT: Duration = Duration::from_secs(5 * 60);
#[cfg(feature = "admin")]
const LEAVING: Duration = Duration::from_millis(10);

#[cfg(all(test, feature = "full"))]
mod tests {
    use super::*;

    /// What the end comes to when this happens during it, and how long it takes in milliseconds.
    async fn end(metrics: &Metrics, meanwhile: impl Future<Output = ()>) -> (Shutdown, u128) {
        let begun = Instant::now();
        let (outcome, ()) = tokio::join!(metrics.shutdown(), meanwhile);
        (outcome, begun.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn a_scraper_is_waited_for_while_it_comes_and_not_for_long() {
        let metrics = Metrics::with_recorder(Arc::new(::metrics::NoopRecorder));
        assert_eq!(end(&metrics, async {}).await, (Shutdown::Unread, 0));

        metrics.scrape().complete();
        assert_eq!(end(&metrics, async {}).await, (Shutdown::GaveUp, 1000));

        let soon = Duration::from_millis(300);
        let scraped = async {
            tokio::time::sleep(soon).await;
            metrics.scrape().complete();
        };
        assert_eq!(end(&metrics, scraped).await, (Shutdown::Scraped, 310));

        // A page that was begun before may lack the last numbers, and one that is cut off was read by nobody.
        let before = metrics.scrape();
        let scraped = async {
            before.complete();
            drop(metrics.scrape());
        };
        assert_eq!(end(&metrics, scraped).await, (Shutdown::GaveUp, 1000));

        tokio::time::advance(RECENT).await;
        assert_eq!(end(&metrics, async {}).await, (Shutdown::Unread, 0), "the scraper has gone");
    }
}
