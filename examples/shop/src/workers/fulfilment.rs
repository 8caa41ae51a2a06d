//! One order's way: pay, then notify.

use super::payment::{ChargeError, Payments};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::store::{Database, orders};
use outrigger::Metrics;
use outrigger::task::{Backoff, Retry, Task};
use std::time::Duration;

/// Tries to charge a card before the order is given up, at most 50, 100, 200 and 400 ms apart.
const PAYMENT_ATTEMPTS: u32 = 5;
const PAYMENT_BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
/// Handing a message to the mail server.
const MAIL_LATENCY: Duration = Duration::from_millis(8);

/// Why an order was left as it is, to be taken up again later.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("order {0}: {1}")]
    Database(i64, sqlx::Error),
    #[error("order {0}: {1}")]
    Payment(i64, ChargeError),
}

#[derive(Clone)]
pub(super) struct Fulfilment {
    task: Task,
    db: Database,
    catalog: Catalog,
    payments: Payments,
}

impl Fulfilment {
    pub(super) fn new(config: &Config, metrics: &Metrics, task: &Task, db: &Database, catalog: &Catalog) -> Self {
        let payments = Payments::new(metrics, config.payment_latency);
        Self { task: task.clone(), db: db.clone(), catalog: catalog.clone(), payments }
    }

    /// Does what is left to do for the order.
    pub(super) async fn run(&self, order_id: i64) -> Result<(), Error> {
        let database = |error| Error::Database(order_id, error);
        let Some(order) = orders::work(&self.db, order_id).await.map_err(database)? else { return Ok(()) };
        if !order.paid {
            match self.pay(order).await {
                Ok(()) => orders::mark_paid(&self.db, order_id).await.map_err(database)?,
                // Nobody was asked, and nothing is lost by waiting.
                Err(error @ ChargeError::Rejected(_)) => return Err(Error::Payment(order_id, error)),
                Err(error) => {
                    tracing::warn!(order_id, %error, "the order is given up");
                    let returned = orders::mark_failed(&self.db, order_id).await.map_err(database)?;
                    self.catalog.forget_products(&returned).await;
                    return Ok(());
                }
            }
        }
        let message = format!("Your order {order_id} is paid and on its way.");
        tokio::time::sleep(MAIL_LATENCY).await;
        orders::mark_notified(&self.db, order_id, &message).await.map_err(database)
    }

    /// Charges the order, again where that may help.
    async fn pay(&self, order: orders::Work) -> Result<(), ChargeError> {
        let retry = Retry::default().attempts(PAYMENT_ATTEMPTS).backoff(PAYMENT_BACKOFF);
        let may_help = |error: &ChargeError| matches!(error, ChargeError::Unavailable | ChargeError::TimedOut);
        self.task.attempts(&retry, may_help, || self.payments.charge(order.id, order.total_cents)).await
    }
}
