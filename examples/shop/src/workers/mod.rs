//! What happens after the checkout: payment, then the customer's notification, and deliveries to the shelves.
//!
//! ```text
//! checkout ──▶ queue (bounded) ──▶ up to N orders at a time ──▶ pay ──▶ notify
//!    │                                        ▲
//!    └──▶ orders table ──── resume ───────────┘
//! ```
//!
//! The table is the truth and the queue only the quick way: a crash loses the queue and no order. Unfinished orders are
//! taken up again when the shop starts, and so is one that nobody has touched for [`STALE_AFTER`]: its checkout may have
//! been cut off between the table and the queue, or the payment provider was down. Every step may therefore run twice, and
//! does its work once: payments are made under the order's number, and each status is left only once.

mod fulfilment;
mod payment;

use crate::catalog::Catalog;
use crate::config::Config;
use crate::error::{ApiError, Result};
use crate::store::{Database, now_ms, orders, products};
use fulfilment::Fulfilment;
use outrigger::Metrics;
use outrigger::task::{Job, QueueState, QueueWatch, Task};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};

/// Longer than orders take, so that orphans are picked up and little else.
const STALE_AFTER: Duration = Duration::from_secs(60);
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// How often the unfinished orders are counted, for the metrics.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);
/// Orders read at a time when work is resumed.
const RESUME_PAGE: i64 = 100;
/// Orders in hand may take this long to finish when the shop ends; the others wait in their table.
const LAST_WORK: Duration = Duration::from_secs(3);

/// The way from the checkout to the workers.
#[derive(Clone)]
pub(crate) struct OrderQueue {
    sender: mpsc::Sender<i64>,
    refused: Arc<AtomicU64>,
}

/// A place in the queue for one order.
pub(crate) struct Place(mpsc::OwnedPermit<i64>);

impl OrderQueue {
    /// Takes a place, or says that the client should come again.
    pub(crate) fn reserve(&self) -> Result<Place> {
        match self.sender.clone().try_reserve_owned() {
            Ok(permit) => Ok(Place(permit)),
            Err(TrySendError::Full(_)) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(ApiError::unavailable("queue_full", "too many orders wait for payment; nothing was ordered"))
            }
            Err(TrySendError::Closed(_)) => {
                Err(ApiError::unavailable("closing", "the shop is closing; nothing was ordered"))
            }
        }
    }
}

impl Place {
    pub(crate) fn put(self, order_id: i64) {
        self.0.send(order_id);
    }
}

/// The background tasks, until [`Workers::stop`].
pub(crate) struct Workers {
    stop: watch::Sender<bool>,
    orders: JoinHandle<()>,
    jobs: [Job; 2],
    _backlog: QueueWatch,
    refused: Arc<AtomicU64>,
}

impl Workers {
    pub(crate) fn start(config: &Config, metrics: &Metrics, db: &Database, catalog: &Catalog) -> (OrderQueue, Self) {
        let (sender, receiver) = mpsc::channel(config.queue_capacity as usize);
        let (stop, stopped) = watch::channel(false);
        let queue = OrderQueue { sender: sender.clone(), refused: Arc::default() };

        // A run for each order, and what waits for one.
        let orders = metrics.task("order");
        let counted = db.clone();
        let backlog = orders.watch_queue(COUNT_INTERVAL, move || backlog(counted.clone()));
        let fulfilment = Fulfilment::new(config, metrics, &orders, db, catalog);
        let orders = tokio::spawn(work(receiver, orders, fulfilment, config.workers as usize, stopped));

        // Periodic jobs: each run, and how late it began.
        let (swept, mut begin) = (db.clone(), Some(now_ms()));
        let sweep = metrics.task("order_sweep").every(SWEEP_INTERVAL).start(move || {
            let stale = || now_ms().saturating_sub(i64::try_from(STALE_AFTER.as_millis()).unwrap_or(i64::MAX));
            // The first time, all that the shop found when it began.
            let untouched_since = begin.take().unwrap_or_else(stale);
            resume(swept.clone(), sender.clone(), untouched_since)
        });
        let (filled, forgetful) = (db.clone(), catalog.clone());
        let interval = config.restock_interval;
        let delivery = metrics.task("delivery").every(interval).after(interval);
        let delivery = delivery.start(move || deliver(filled.clone(), forgetful.clone()));

        let workers = Self { stop, orders, jobs: [sweep, delivery], _backlog: backlog, refused: queue.refused.clone() };
        (queue, workers)
    }

    /// Finishes the orders in hand, within a bound.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        let all_ended = async {
            // A panic in there has been told already.
            let _ = self.orders.await;
            for job in self.jobs {
                job.stop().await;
            }
        };
        if tokio::time::timeout(LAST_WORK, all_ended).await.is_err() {
            tracing::warn!("orders were left in the middle; the next start takes them up again");
        }
        let refused = self.refused.load(Ordering::Relaxed);
        if refused > 0 {
            tracing::info!(refused, "checkouts were refused because the queue was full");
        }
    }
}

/// Takes orders off the queue, up to `at_once` at a time.
async fn work(
    mut queue: mpsc::Receiver<i64>,
    task: Task,
    fulfilment: Fulfilment,
    at_once: usize,
    mut stopped: watch::Receiver<bool>,
) {
    let mut in_hand = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(done) = in_hand.join_next() => log_end(done),
            next = queue.recv(), if in_hand.len() < at_once => match next {
                Some(order_id) => {
                    let fulfilment = fulfilment.clone();
                    in_hand.spawn(task.run(async move { fulfilment.run(order_id).await }));
                }
                None => break,
            },
        }
    }
    queue.close();
    while let Some(done) = in_hand.join_next().await {
        log_end(done);
    }
}

fn log_end(done: Result<Result<(), fulfilment::Error>, JoinError>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "an order was left; it will be taken up again"),
        Err(error) => tracing::error!(%error, "an order's work broke off; it will be taken up again"),
    }
}

/// What the orders table holds for the workers. Nothing is known while it cannot be read.
async fn backlog(db: Database) -> QueueState {
    match orders::backlog(&db).await {
        Ok(backlog) => QueueState::default().depth(backlog.orders).oldest_age(backlog.oldest),
        Err(_) => QueueState::default(),
    }
}

/// Puts orders with work left that nobody has touched lately back into the queue.
async fn resume(db: Database, queue: mpsc::Sender<i64>, untouched_since: i64) -> sqlx::Result<()> {
    let mut after = 0;
    loop {
        let found = orders::unfinished(&db, untouched_since, after, RESUME_PAGE).await.inspect_err(|error| {
            tracing::error!(%error, "unfinished orders could not be read");
        })?;
        let Some(last) = found.last() else { return Ok(()) };
        after = *last;
        tracing::info!(orders = found.len(), "unfinished orders are taken up again");
        for order_id in found {
            // Waits where a checkout would be refused: these customers have ordered already.
            if queue.send(order_id).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Brings goods.
async fn deliver(db: Database, catalog: Catalog) -> sqlx::Result<()> {
    let restocked = products::restock(&db).await.inspect_err(|error| {
        tracing::error!(%error, "a delivery could not be booked");
    })?;
    catalog.forget_products(&restocked).await;
    Ok(())
}
