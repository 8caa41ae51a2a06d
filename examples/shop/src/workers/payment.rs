//! The payment provider: a simulation inside the shop, with a real one's manners. It takes its time, is sometimes not to be
//! reached, and charges an order once however often it is asked. Round it stands what a real one needs too: a timeout, and a
//! breaker that lets it alone while it is down.

use outrigger::Metrics;
use outrigger::resilience::{Breaker, BreakerSettings, CallError, Dependency, Rejected};
use std::time::Duration;

/// A charge that takes longer is asked for again.
const TIMEOUT: Duration = Duration::from_secs(20);
/// One call in so many fails and may be repeated.
const UNAVAILABLE_EVERY: u32 = 33;
/// Cards carry at most 20,000.00; beyond, the bank says no, and asking again does not help.
const CARD_LIMIT_CENTS: i64 = 2_000_000;

/// The way to the provider.
#[derive(Clone)]
pub(super) struct Payments {
    dependency: Dependency,
    breaker: Breaker<Failure>,
    provider: PaymentProvider,
}

/// Whether the provider is at fault.
type Failure = fn(&Result<(), ChargeError>) -> bool;

#[derive(Debug, thiserror::Error)]
pub(super) enum ChargeError {
    #[error("the payment provider is not available")]
    Unavailable,
    #[error("the payment provider did not answer in time")]
    TimedOut,
    #[error("the card was declined")]
    Declined,
    /// The provider was not asked.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

impl Payments {
    pub(super) fn new(metrics: &Metrics, latency: Duration) -> Self {
        let dependency = metrics.dependency("payments");
        let failure: Failure = |result| matches!(result, Err(ChargeError::Unavailable | ChargeError::TimedOut));
        let breaker = dependency.breaker_on(BreakerSettings::default(), failure);
        Self { dependency, breaker, provider: PaymentProvider { latency } }
    }

    /// Charges the order's total. The order's number is the idempotency key.
    pub(super) async fn charge(&self, order_id: i64, total_cents: i64) -> Result<(), ChargeError> {
        let call = async {
            let charge = self.provider.charge(order_id, total_cents);
            self.dependency.timeout(TIMEOUT, charge).await.unwrap_or(Err(ChargeError::TimedOut))
        };
        self.breaker.call(call).await.map_err(|error| match error {
            CallError::Rejected(rejected) => rejected.into(),
            CallError::Inner(error) => error,
        })
    }
}

#[derive(Clone)]
struct PaymentProvider {
    /// The mean; calls take between half of it and half as much again.
    latency: Duration,
}

impl PaymentProvider {
    async fn charge(&self, order_id: i64, total_cents: i64) -> Result<(), ChargeError> {
        tokio::time::sleep(self.latency.mul_f64(0.5 + fastrand::f64())).await;
        if total_cents > CARD_LIMIT_CENTS {
            return Err(ChargeError::Declined);
        }
        if fastrand::u32(..UNAVAILABLE_EVERY) == 0 {
            return Err(ChargeError::Unavailable);
        }
        tracing::debug!(order_id, total_cents, "charged");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn cards_have_a_limit() {
        let provider = PaymentProvider { latency: Duration::ZERO };
        assert!(matches!(provider.charge(1, CARD_LIMIT_CENTS + 1).await, Err(ChargeError::Declined)));
        assert!(!matches!(provider.charge(1, CARD_LIMIT_CENTS).await, Err(ChargeError::Declined)));
    }
}
