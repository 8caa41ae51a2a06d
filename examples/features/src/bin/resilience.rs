//! Timeouts, retries and a circuit breaker round a shaky dependency: `cargo run --release -p features --bin resilience`, then
//! look at <http://127.0.0.1:9464/metrics>, where the breaker opens and closes.

use std::time::Duration;

use outrigger::resilience::{BreakerSettings, RetrySettings};
use tokio::time::{Instant, sleep};
use tower::retry::RetryLayer;
use tower::{ServiceBuilder, ServiceExt, service_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;
    metrics.serve_admin();

    let payments = metrics.dependency("payments");
    let breaker = payments.breaker(BreakerSettings::default().minimum_calls(5).open_for(Duration::from_secs(5)));

    // Down for ten seconds of each thirty, and slow for ten.
    let begin = Instant::now();
    let server = service_fn(move |amount: u32| async move {
        match begin.elapsed().as_secs() % 30 {
            10..20 => return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
            20.. => sleep(Duration::from_millis(u64::from(amount % 5) * 40)).await,
            _ => {}
        }
        Ok(amount)
    });

    // The outermost first: each attempt has its timeout, and the breaker sees each attempt. What it rejects is not tried
    // again.
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new(payments.retry(RetrySettings::default())))
        .layer(breaker.layer())
        .layer(payments.timeout_layer(Duration::from_millis(100)))
        .service(server);

    println!("curl -s http://127.0.0.1:9464/metrics | grep ^resilience_");
    let mut last = breaker.state();
    for amount in 0.. {
        let paid = client.clone().oneshot(amount).await;
        if breaker.state() != last {
            last = breaker.state();
            println!("{:>3} s: the breaker is {} ({paid:?})", begin.elapsed().as_secs(), last.as_str());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
