//! Advice from the query plans of slow statements.
//!
//! Slow statements are offered to an [`Advisor`], which asks for their plans one after the other, on a connection that
//! is idle, and lets go of what it has no time for.

mod ask;
mod columns;
mod findings;
mod guard;
mod tree;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use ::metrics::{Counter, Label};
use outrigger_semconv::{db_findings, label};
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use self::ask::{Answer, ask};
use self::findings::{Finding, Kind};
use super::Statement;
use crate::Metrics;
use crate::log_limit::LogLimit;
use crate::series::{LabelSet, Table};

/// How advice is sought on the plans of slow statements; see [`db`](crate::db#advice-from-query-plans).
///
/// ```
/// use std::time::Duration;
///
/// use outrigger::db::PlanAdvice;
///
/// let advice = PlanAdvice::new().many_rows(50_000).timeout(Duration::from_millis(500));
/// # let _ = advice;
/// ```
#[derive(Clone, Debug)]
pub struct PlanAdvice {
    many_rows: u32,
    timeout: Duration,
    interval: Duration,
    repeat: Duration,
    analyze: bool,
}

impl PlanAdvice {
    /// The defaults, which each setter names.
    #[must_use]
    pub fn new() -> Self {
        Self { many_rows: MANY_ROWS, timeout: TIMEOUT, interval: INTERVAL, repeat: REPEAT, analyze: false }
    }

    /// From how many rows on a scan or a loop is worth a word. Defaults to 10,000.
    #[must_use]
    pub fn many_rows(self, rows: u32) -> Self {
        Self { many_rows: rows, ..self }
    }

    /// The `statement_timeout` of what is asked. Defaults to a second.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How long to rest after each plan. Defaults to a second.
    #[must_use]
    pub fn interval(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// How long a statement's plan is good for: it is not asked for again before. Defaults to ten minutes.
    #[must_use]
    pub fn repeat_after(self, repeat: Duration) -> Self {
        Self { repeat, ..self }
    }

    /// Runs statements again, with `EXPLAIN ANALYZE`, which alone tells row estimates that are far off. Defaults to no.
    ///
    /// Only those without parameters, for the values of parameters are not kept; within the same read-only transaction
    /// and timeout. It costs the database a slow statement each time.
    ///
    /// Statements that call one of PostgreSQL's own functions that act in spite of such a transaction (`pg_...`,
    /// `nextval`, `dblink...`) by name are left alone. What a function or a view of your own does is not looked into: one
    /// that sends a message, advances a sequence or waits does so again. Leave this off where SELECT statements call such.
    #[must_use]
    pub fn analyze(self, analyze: bool) -> Self {
        Self { analyze, ..self }
    }
}

impl Default for PlanAdvice {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Seeks advice on slow statements of PostgreSQL, on a connection of this pool that is idle, while the handle lives.
    ///
    /// It is for all statements that are timed with these metrics, so for programs with one such database. Call it within
    /// a Tokio runtime, where the pool is made:
    ///
    /// ```no_run
    /// use outrigger::db::PlanAdvice;
    ///
    /// # async fn example(metrics: outrigger::Metrics) -> sqlx::Result<()> {
    /// let pool = sqlx::PgPool::connect("postgres://localhost/shop").await?;
    /// let advisor = metrics.plan_advice(&pool, PlanAdvice::new());
    /// # drop(advisor);
    /// # Ok(())
    /// # }
    /// ```
    pub fn plan_advice(&self, pool: &PgPool, advice: PlanAdvice) -> PlanAdvisor {
        let advisor = Advisor::start(self, pool, advice);
        let mut current = self.insight().plan.advisor.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::downgrade(&advisor.0);
        PlanAdvisor(advisor)
    }
}

impl super::TimedPool<sqlx::Postgres> {
    /// Seeks advice on the slow statements of this pool alone, on a connection of it that is idle. Defaults to what
    /// [`Metrics::plan_advice`] has set up, if anything.
    ///
    /// Call it within a Tokio runtime, where the pool is made:
    ///
    /// ```no_run
    /// use outrigger::db::PlanAdvice;
    ///
    /// # async fn example(metrics: outrigger::Metrics) -> sqlx::Result<()> {
    /// let pool = sqlx::PgPool::connect("postgres://localhost/shop").await?;
    /// let pool = metrics.timed_pool("shop", pool).plan_advice(PlanAdvice::new());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn plan_advice(self, advice: PlanAdvice) -> Self {
        let advisor = Advisor::start(self.recorder(), self.pool(), advice);
        self.with_settings(|settings| settings.advisor = Some(advisor))
    }
}

/// Keeps advice being sought; made by [`Metrics::plan_advice`].
#[derive(Debug)]
#[must_use = "advice is sought while this lives"]
pub struct PlanAdvisor(#[allow(dead_code, reason = "it is there to be dropped")] Advisor);

/// Takes slow statements and has their plans read by a task of its own. A cheap clone; the task ends with the last one.
#[derive(Clone)]
pub(super) struct Advisor(Arc<Desk>);

impl fmt::Debug for Advisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Advisor").finish_non_exhaustive()
    }
}

struct Desk {
    metrics: Metrics,
    queue: mpsc::Sender<Arc<Statement>>,
    repeat: Duration,
    /// When each shape was taken last.
    asked: Mutex<HashMap<u64, Instant>>,
}

impl Advisor {
    /// Must be called within a Tokio runtime, as the pool itself; outside one nothing is asked, and a warning says so.
    pub(super) fn start(metrics: &Metrics, pool: &PgPool, settings: PlanAdvice) -> Self {
        let (queue, statements) = mpsc::channel(QUEUE);
        let (metrics, repeat) = (metrics.clone(), settings.repeat);
        metrics.insight().plan.touch(&metrics);
        let desk = Arc::new(Desk { metrics, queue, repeat, asked: Mutex::default() });
        match Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(work(Arc::downgrade(&desk), desk.metrics.clone(), statements, pool.clone(), settings));
            }
            Err(_) => tracing::warn!("plan advice was asked for outside a Tokio runtime: there will be none"),
        }
        Self(desk)
    }

    /// Takes a slow statement, if its turn has come. Never waits.
    pub(super) fn offer(&self, statement: &Arc<Statement>) {
        if statement.operation() != "SELECT" || statement.system() != "postgresql" {
            return;
        }
        let skipped = match self.0.admit(statement.shape_hash()) {
            Admission::TooSoon => return,
            Admission::TooMany => Skip::Rate,
            Admission::Taken => match self.0.queue.try_send(Arc::clone(statement)) {
                Ok(()) => return,
                Err(_) => {
                    self.0.forget(statement.shape_hash());
                    Skip::QueueFull
                }
            },
        };
        self.0.metrics.insight().plan.skip(&self.0.metrics, skipped);
    }
}

enum Admission {
    Taken,
    /// Its plan is known well enough.
    TooSoon,
    /// There is no room to remember it.
    TooMany,
}

impl Desk {
    fn admit(&self, shape: u64) -> Admission {
        let now = Instant::now();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= REMEMBERED && !asked.contains_key(&shape) {
            asked.retain(|_, last| now.saturating_duration_since(*last) < self.repeat);
            if asked.len() >= REMEMBERED {
                return Admission::TooMany;
            }
        }
        match asked.entry(shape) {
            Entry::Occupied(last) if now.saturating_duration_since(*last.get()) < self.repeat => Admission::TooSoon,
            Entry::Occupied(mut last) => {
                last.insert(now);
                Admission::Taken
            }
            Entry::Vacant(entry) => {
                entry.insert(now);
                Admission::Taken
            }
        }
    }

    /// Lets the statement be taken at once when it is slow again.
    fn forget(&self, shape: u64) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&shape);
    }
}

async fn work(
    desk: Weak<Desk>,
    metrics: Metrics,
    mut statements: mpsc::Receiver<Arc<Statement>>,
    pool: PgPool,
    settings: PlanAdvice,
) {
    while let Some(statement) = statements.recv().await {
        let series = &metrics.insight().plan;
        match ask(&pool, statement.whole_text(), &settings).await {
            Answer::Findings(findings) => {
                series.explain(&metrics, Outcome::Success);
                for finding in findings {
                    series.found(&metrics, &statement, &finding);
                }
            }
            Answer::Failed(error) => {
                let (shape, error_type) = (statement.shape().map(tracing::field::display), error.as_str());
                tracing::debug!(target: "outrigger::db", statement = shape, error_type, "no plan");
                series.explain(&metrics, Outcome::Failure);
            }
            Answer::Skipped(reason) => {
                series.skip(&metrics, reason);
                if let (Skip::NoIdleConnection, Some(desk)) = (reason, desk.upgrade()) {
                    desk.forget(statement.shape_hash());
                }
                continue;
            }
        }
        tokio::time::sleep(settings.interval).await;
    }
}

/// Why no plan was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Skip {
    NoIdleConnection,
    NotAPlainSelect,
    QueueFull,
    Rate,
    TooLong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    Success,
    Failure,
}

/// The series of what is found here.
pub(super) struct Series {
    findings: Table<Kind, Counter>,
    explains: Table<Outcome, Counter>,
    skipped: Table<Skip, Counter>,
    log: LogLimit,
    /// Who is asked where a pool has nobody of its own.
    advisor: RwLock<Weak<Desk>>,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            findings: Table::new(&db_findings::CLIENT_PLAN_FINDINGS, SERIES_LIMIT),
            explains: Table::new(&db_findings::CLIENT_PLAN_EXPLAINS, SERIES_LIMIT),
            skipped: Table::new(&db_findings::CLIENT_PLAN_SKIPPED, SERIES_LIMIT),
            log: LogLimit::default(),
            advisor: RwLock::default(),
        }
    }
}

impl Series {
    pub(super) fn advisor(&self) -> Option<Advisor> {
        self.advisor.read().unwrap_or_else(PoisonError::into_inner).upgrade().map(Advisor)
    }

    /// Makes the counters whose labels are known appear at zero.
    fn touch(&self, metrics: &Metrics) {
        let zero = |counter: Option<Counter>| counter.into_iter().for_each(|counter| counter.increment(0));
        for kind in Kind::ALL {
            zero(self.findings.handle(metrics, &self.findings.row(""), kind));
        }
        for outcome in [Outcome::Success, Outcome::Failure] {
            zero(self.explains.handle(metrics, &self.explains.row(""), outcome));
        }
        for skip in [Skip::NoIdleConnection, Skip::NotAPlainSelect, Skip::QueueFull, Skip::Rate, Skip::TooLong] {
            zero(self.skipped.handle(metrics, &self.skipped.row(""), skip));
        }
    }

    fn explain(&self, metrics: &Metrics, outcome: Outcome) {
        self.explains.record(metrics, &self.explains.row(""), outcome, 1.0);
    }

    fn skip(&self, metrics: &Metrics, skip: Skip) {
        self.skipped.record(metrics, &self.skipped.row(""), skip, 1.0);
    }

    fn found(&self, metrics: &Metrics, statement: &Statement, finding: &Finding) {
        let table = finding.table.as_deref().unwrap_or_default();
        let plain = table.len() <= NAME_LIMIT && !table.contains(|c: char| c.is_control());
        let row = self.findings.row(if plain { table } else { label::OTHER });
        self.findings.record(metrics, &row, finding.kind, 1.0);

        let Some(suppressed) = self.log.admit(Instant::now()) else { return };
        tracing::warn!(
            target: "outrigger::db",
            finding = finding.kind.as_str(),
            collection = finding.table,
            columns = (!finding.columns.is_empty()).then(|| finding.columns.join(", ")),
            rows = finding.rows,
            statement = statement.shape().map(tracing::field::display),
            advice = finding.kind.advice(),
            suppressed,
            "query plan"
        );
    }
}

impl LabelSet for Kind {
    fn labels(self, collection: &str) -> Vec<Label> {
        let mut labels = vec![Label::new(label::DB_PLAN_FINDING, self.as_str())];
        if !collection.is_empty() {
            labels.push(Label::new(label::DB_COLLECTION_NAME, collection.to_owned()));
        }
        labels
    }

    fn folded(self) -> Self {
        self
    }
}

impl LabelSet for Outcome {
    fn labels(self, _: &str) -> Vec<Label> {
        let outcome = match self {
            Self::Success => "success",
            Self::Failure => "failure",
        };
        vec![Label::new(label::OUTCOME, outcome)]
    }

    fn folded(self) -> Self {
        self
    }
}

impl LabelSet for Skip {
    fn labels(self, _: &str) -> Vec<Label> {
        let reason = match self {
            Self::NoIdleConnection => "no_idle_connection",
            Self::NotAPlainSelect => "not_a_plain_select",
            Self::QueueFull => "queue_full",
            Self::Rate => "rate",
            Self::TooLong => "too_long",
        };
        vec![Label::new(label::REASON, reason)]
    }

    fn folded(self) -> Self {
        self
    }
}

const MANY_ROWS: u32 = 10_000;
const TIMEOUT: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(1);
const REPEAT: Duration = Duration::from_secs(600);
/// Statements that wait for their plan.
const QUEUE: usize = 16;
/// Shapes whose last time is remembered.
const REMEMBERED: usize = 1024;
/// Findings and tables that have a series.
const SERIES_LIMIT: usize = 1000;
/// Bytes of a table's name; PostgreSQL's own limit is one less.
const NAME_LIMIT: usize = 64;
