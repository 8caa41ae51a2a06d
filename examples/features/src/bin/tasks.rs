//! Background tasks: `cargo run --release -p features --bin tasks`, then look at <http://127.0.0.1:9464/metrics>.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use outrigger::task::Retry;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Its name is the `error_type` of a failed run.
#[derive(Debug)]
struct MailError;

/// Every third mail fails.
async fn send(mail: u32) -> Result<(), MailError> {
    static SENT: AtomicU32 = AtomicU32::new(0);
    sleep(Duration::from_millis(u64::from(mail % 7) * 10)).await;
    if SENT.fetch_add(1, Relaxed) % 3 == 2 { Err(MailError) } else { Ok(()) }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;
    metrics.serve_admin();

    // A queue: each mail is a run of the task, tried again where it fails.
    let (mails, queue) = mpsc::channel(100);
    let mailer = metrics.task("mailer");
    let worker = {
        let mailer = mailer.clone();
        let deliver = move |mail| {
            let mailer = mailer.clone();
            async move { mailer.attempts(&Retry::default(), |_| true, || send(mail)).await }
        };
        let outbox = metrics.task("mailer");
        tokio::spawn(async move { outbox.consume(queue, deliver).await })
    };

    // A periodic job, which fills it; now and then it takes longer than its period.
    let newsletter = metrics.task("newsletter").every(Duration::from_secs(1)).start(move || {
        let mails = mails.clone();
        async move {
            for mail in 0..20 {
                mails.send(mail).await.map_err(|_| "nobody reads the queue")?;
                sleep(Duration::from_millis(u64::from(mail) * 8)).await;
            }
            Ok::<_, &str>(())
        }
    });

    // A single task in the background.
    metrics.task("warm_up").spawn(sleep(Duration::from_millis(300)));

    println!("curl -s http://127.0.0.1:9464/metrics | grep ^task_");
    tokio::signal::ctrl_c().await?;
    newsletter.stop().await; // the run in progress ends, its sender is dropped,
    worker.await?; //           and with it the queue
    Ok(())
}
