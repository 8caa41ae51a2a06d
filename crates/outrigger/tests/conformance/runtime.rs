//! Runtime metrics.

use outrigger::{Metrics, runtime};
use outrigger_semconv::{label, runtime as semconv};
use std::sync::mpsc;
use std::time::Duration;

use crate::support::wait_for_page;

const NAME: (&str, &str) = (label::TOKIO_RUNTIME_NAME, "imports");

pub(crate) async fn the_runtime_is_read_until_it_ends(metrics: Metrics) {
    let imports = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let (_end, ended) = tokio::sync::oneshot::channel::<()>();
    imports.spawn(ended);
    runtime::watch(&metrics, "imports", imports.handle());
    let page = wait_for_page(&metrics, "two samples", |page| {
        page.number(&semconv::UTILIZATION, &[NAME]).is_some() && page.count(&semconv::SCHEDULING_DELAY, &[NAME]) > 0
    })
    .await;
    assert_eq!(page.number(&semconv::WORKERS, &[NAME]), Some(2.0));
    // The one that was spawned here, and the probe's.
    assert_eq!(page.number(&semconv::ALIVE_TASKS, &[NAME]), Some(2.0));
    assert!(page.number(&semconv::GLOBAL_QUEUE_DEPTH, &[NAME]).is_some(), "{}", page.text());
    assert!(page.number(&semconv::PARKS, &[NAME]).is_some_and(|parks| parks > 0.0), "{}", page.text());
    assert!(page.number(&semconv::UTILIZATION, &[NAME]).is_some_and(|share| (0.0..=1.0).contains(&share)));
    imports.shutdown_background();
}

pub(crate) async fn a_worker_that_is_held_up_shows_as_delay(metrics: Metrics) {
    let imports = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let watch = runtime::watch(&metrics, "imports", imports.handle());
    wait_for_page(&metrics, "the first probe", |page| page.count(&semconv::SCHEDULING_DELAY, &[NAME]) > 0).await;

    // Holds the only worker until a second's probes are late.
    let (go, gone) = mpsc::channel::<()>();
    imports.spawn(async move { gone.recv_timeout(Duration::from_millis(1100)) });
    let late = |page: &crate::support::Page| {
        let delay = page.histogram(&semconv::SCHEDULING_DELAY, &[NAME]).expect("it was there");
        let in_time = delay.bounds.iter().position(|bound| *bound == 0.1).expect("a bound") + 1;
        delay.counts.iter().skip(in_time).sum::<u64>()
    };
    // Of 1,100 ms, at least one probe waited over 850, and each that could not be sent adds what it would have waited.
    wait_for_page(&metrics, "the late probes", |page| late(page) >= 3).await;
    drop(go);
    watch.stop();
    imports.shutdown_background();
}
