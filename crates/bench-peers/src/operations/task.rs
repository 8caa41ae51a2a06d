//! A background task that does next to nothing, and has to wait once: two polls.

use super::Operate;
use crate::{Error, Result};
use outrigger::task::Task;
use std::future::poll_fn;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::runtime::{Builder, Runtime};

pub(super) fn spawned_bare() -> Result<Operate> {
    let runtime = runtime()?;
    Ok(Box::new(move || _ = black_box(runtime.block_on(async { tokio::spawn(work()).await }))))
}

pub(super) fn spawned() -> Result<Operate> {
    let (runtime, task) = (runtime()?, task()?);
    Ok(Box::new(move || _ = black_box(runtime.block_on(async { task.spawn(work()).await }))))
}

pub(super) fn awaited_bare() -> Result<Operate> {
    Ok(Box::new(|| poll_to_end(work())))
}

pub(super) fn awaited() -> Result<Operate> {
    let task = task()?;
    Ok(Box::new(move || poll_to_end(task.run(work()))))
}

async fn work() -> Result<usize, Error> {
    let mut waited = false;
    poll_fn(|context: &mut Context<'_>| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    Ok(black_box(7))
}

/// Awaits it without a runtime, whose code would differ from future to future.
fn poll_to_end(future: impl Future) {
    let mut future = pin!(future);
    while black_box(future.as_mut().poll(&mut Context::from_waker(Waker::noop()))).is_pending() {}
}

fn task() -> Result<Task> {
    Ok(outrigger::standalone()?.task("mailer"))
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().build()?)
}
