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
//! been cut off between the table and the queue. Every step may therefore
//! run twice, and does its work once: payments are made under the order's number, and each status is left only once.

mod payment;

use crate::catalog::Catalog;
use crate::config::Config;
use crate::error::{ApiError, Result};
use crate::store::{Database, now_ms, orders, products};
use payment::{ChargeError, PaymentProvider};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Tries to charge a card before the order is given up.
const PAYMENT_ATTEMPTS: u32 = 5;
/// The pause before the second try; it doubles for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Handing a message to the mail server.
const MAIL_LATENCY: Duration = Duration::from_millis(8);
/// Longer than orders take, so that orphans are picked up and little else.
const STALE_AFTER: Duration = Duration::from_secs(60);
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
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
    tasks: JoinSet<()>,
    refused: Arc<AtomicU64>,
}

impl Workers {
    pub(crate) fn start(config: &Config, db: &Database, catalog: &Catalog) -> (OrderQueue, Self) {
        let (sender, receiver) = mpsc::channel(config.queue_capacity as usize);
        let (stop, stopped) = watch::channel(false);
        let queue = OrderQueue { sender: sender.clone(), refused: Arc::default() };
        let fulfilment = Fulfilment {
            db: db.clone(),
            catalog: catalog.clone(),
            provider: PaymentProvider::new(config.payment_latency),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(work(receiver, fulfilment, config.workers as usize, stopped.clone()));
        tasks.spawn(until(stopped.clone(), resume(db.clone(), sender)));
        tasks.spawn(until(stopped, deliver(db.clone(), catalog.clone(), config.restock_interval)));
        let workers = Self { stop, tasks, refused: queue.refused.clone() };
        (queue, workers)
    }

    /// Finishes the orders in hand, within a bound.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
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
    fulfilment: Fulfilment,
    at_once: usize,
    mut stopped: watch::Receiver<bool>,
) {
    let mut in_hand = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(done) = in_hand.join_next() => log_panic(done),
            next = queue.recv(), if in_hand.len() < at_once => match next {
                Some(order_id) => {
                    let fulfilment = fulfilment.clone();
                    in_hand.spawn(async move { fulfilment.run(order_id).await });
                }
                None => break,
            },
        }
    }
    queue.close();
    while let Some(done) = in_hand.join_next().await {
        log_panic(done);
    }
}

fn log_panic(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done {
        tracing::error!(%error, "an order's work broke off; it will be taken up again");
    }
}

/// What one order needs.
#[derive(Clone)]
struct Fulfilment {
    db: Database,
    catalog: Catalog,
    provider: PaymentProvider,
}

impl Fulfilment {
    async fn run(&self, order_id: i64) {
        if let Err(error) = self.fulfil(order_id).await {
            // Nothing is lost: the order keeps its status, and the sweep finds it.
            tracing::error!(order_id, %error, "an order could not be worked on; it will be taken up again");
        }
    }

    async fn fulfil(&self, order_id: i64) -> sqlx::Result<()> {
        let Some(order) = orders::work(&self.db, order_id).await? else { return Ok(()) };
        if !order.paid {
            if let Err(error) = self.pay(order).await {
                tracing::warn!(order_id, %error, "the order is given up");
                let returned = orders::mark_failed(&self.db, order_id).await?;
                self.catalog.forget_products(&returned).await;
                return Ok(());
            }
            orders::mark_paid(&self.db, order_id).await?;
        }
        let message = format!("Your order {order_id} is paid and on its way.");
        tokio::time::sleep(MAIL_LATENCY).await;
        orders::mark_notified(&self.db, order_id, &message).await
    }

    async fn pay(&self, order: orders::Work) -> Result<(), ChargeError> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            match self.provider.charge(order.id, order.total_cents).await {
                Err(ChargeError::Unavailable) if attempt < PAYMENT_ATTEMPTS => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }
}

/// Puts unfinished orders back into the queue: all of them now, and the forgotten ones from time to time.
async fn resume(db: Database, queue: mpsc::Sender<i64>) {
    let mut untouched_since = now_ms();
    loop {
        let mut after = 0;
        loop {
            match orders::unfinished(&db, untouched_since, after, RESUME_PAGE).await {
                Ok(found) => {
                    let Some(last) = found.last() else { break };
                    after = *last;
                    tracing::info!(orders = found.len(), "unfinished orders are taken up again");
                    for order_id in found {
                        // Waits where a checkout would be refused: these customers have ordered already.
                        if queue.send(order_id).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "unfinished orders could not be read");
                    break;
                }
            }
        }
        tokio::time::sleep(SWEEP_INTERVAL).await;
        untouched_since = now_ms().saturating_sub(i64::try_from(STALE_AFTER.as_millis()).unwrap_or(i64::MAX));
    }
}

/// Brings goods at every interval.
async fn deliver(db: Database, catalog: Catalog, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        match products::restock(&db).await {
            Ok(restocked) => catalog.forget_products(&restocked).await,
            Err(error) => tracing::error!(%error, "a delivery could not be booked"),
        }
    }
}

async fn until(mut stopped: watch::Receiver<bool>, task: impl Future<Output = ()>) {
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        () = task => {}
    }
}
