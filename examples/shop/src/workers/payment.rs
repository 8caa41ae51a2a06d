//! The payment provider: a simulation inside the shop, with a real one's manners. It takes its time, is sometimes not to be
//! reached, and charges an order once however often it is asked.

use std::time::Duration;

/// One call in so many fails and may be repeated.
const UNAVAILABLE_EVERY: u32 = 33;
/// Cards carry at most 20,000.00; beyond, the bank says no, and asking again does not help.
const CARD_LIMIT_CENTS: i64 = 2_000_000;

#[derive(Clone)]
pub(super) struct PaymentProvider {
    latency: Duration,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChargeError {
    #[error("the payment provider is not available")]
    Unavailable,
    #[error("the card was declined")]
    Declined,
}

impl PaymentProvider {
    /// `latency` is the mean; calls take between half of it and half as much again.
    pub(super) fn new(latency: Duration) -> Self {
        Self { latency }
    }

    /// Charges the order's total. The order's number is the idempotency key.
    pub(super) async fn charge(&self, order_id: i64, total_cents: i64) -> Result<(), ChargeError> {
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
        let provider = PaymentProvider::new(Duration::ZERO);
        assert_eq!(provider.charge(1, CARD_LIMIT_CENTS + 1).await, Err(ChargeError::Declined));
        assert_ne!(provider.charge(1, CARD_LIMIT_CENTS).await, Err(ChargeError::Declined));
    }
}
