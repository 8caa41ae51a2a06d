//! `outrigger record`: keeps pages for `outrigger replay`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::replay::{is_compressed, lasted};
use crate::client::Client;
use crate::collect::native::NativePages;
use crate::collect::scrape::{Address, Scrape, scrape};
use crate::config::Settings;
use crate::replay::files;
use crate::replay::recording::{self, Taken};
use crate::series::{Data, SeriesTable};

pub(super) const ABOUT: &str = "\
Keep a service's pages in a file, for `outrigger replay`.

Every page is appended as it was served, under a line with its time and target; a scrape that failed leaves a line that says
why. Histograms that have native buckets only, which text has no words for, are kept with the buckets that the agent puts
them into. A file whose name ends in .gz is compressed. What is there already stays: recording can go on in the same file.";

pub(super) const EXAMPLES: &str = "\
Examples:
  outrigger record --target 127.0.0.1:9464 --out shop.pages.gz --for 24h
  outrigger record --target 127.0.0.1:9464 --interval 1s --out /var/lib/pages/shop.pages.gz --max-bytes 2000000000";

#[derive(Args)]
pub(super) struct Record {
    /// What to scrape: host:port, host:port/path or a URL. May be given several times [default: 127.0.0.1:9464]
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<Address>,
    /// The file to append to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Time between two scrapes, 1s to 60s
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    interval: humantime::Duration,
    /// End after this long [default: at SIGTERM or SIGINT]
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<humantime::Duration>,
    /// End when the file is so large
    #[arg(long, value_name = "BYTES", default_value_t = 10_000_000_000)]
    max_bytes: u64,
}

/// What was recorded.
#[derive(Default)]
struct Tally {
    pages: u64,
    failures: u64,
    /// Size of the file.
    bytes: u64,
}

pub(super) fn main(args: &Record) -> ExitCode {
    let outcome = open(&args.out).and_then(|(file, bytes)| {
        let runtime = super::runtime().map_err(|error| error.to_string())?;
        let tally = runtime.block_on(record(args, file, bytes));
        runtime.shutdown_background();
        tally
    });
    match outcome {
        Ok((tally, took)) => {
            super::replay::say(&format!(
                "{}: {} pages and {} failed scrapes in {}, {} bytes",
                args.out.display(),
                tally.pages,
                tally.failures,
                lasted(took),
                tally.bytes
            ));
            ExitCode::SUCCESS
        }
        Err(error) => super::fail(&error),
    }
}

/// How pages are fetched.
#[derive(Clone)]
struct Scraper {
    client: Client,
    timeout: Duration,
    limit: usize,
}

impl Scraper {
    /// Fetches a page as the agent does, in protobuf if there is something to turn it into text with.
    async fn scrape(
        &self,
        address: &Address,
        mut native: Option<Box<NativePages>>,
    ) -> (Scrape, Option<Box<NativePages>>) {
        let scrape = scrape(&self.client, address, self.timeout, self.limit, native.as_deref_mut()).await;
        (scrape, native)
    }
}

/// A target, with what tells whether text says all of it.
struct Source {
    address: Address,
    series: SeriesTable,
    /// Set where it does not: the histograms have native buckets only.
    native: Option<Box<NativePages>>,
}

impl Source {
    fn new(address: Address, series_limit: usize) -> Self {
        Self { address, series: SeriesTable::new(series_limit), native: None }
    }

    /// Whether this page is the first that shows that. From now on protobuf is asked for. The agent does so for histograms
    /// that it judges; which one a replay will judge nobody knows yet.
    fn lacks_buckets(&mut self, scrape: &Scrape) -> bool {
        let (None, Ok(page)) = (&self.native, &scrape.page) else { return false };
        self.series.read(page, scrape.at, scrape.started);
        let is_bare = |data: &Data| matches!(data, Data::Histogram(histogram) if histogram.is_bare());
        if !self.series.points().any(|(_, point)| is_bare(&point.data)) {
            return false;
        }
        self.native = Some(Box::default());
        self.series = self.series.anew();
        true
    }
}

async fn record(args: &Record, mut file: File, bytes: u64) -> Result<(Tally, Duration), String> {
    let interval: Duration = args.interval.into();
    if !(Duration::from_secs(1)..=Duration::from_secs(60)).contains(&interval) {
        return Err(format!("--interval: {} is not between 1s and 60s", args.interval));
    }
    let shutdown = super::shutdown_signal().map_err(|error| error.to_string())?;
    let mut shutdown = std::pin::pin!(shutdown);
    let targets = if args.targets.is_empty() { vec![Address::default()] } else { args.targets.clone() };
    let client = Client::new(targets.iter().map(Address::uri)).map_err(|error| error.to_string())?;
    let settings = Settings { interval, ..Settings::default() };
    let scraper = Scraper { client, timeout: settings.scrape_timeout(), limit: settings.page_limit };
    let mut sources: Vec<_> = targets.into_iter().map(|address| Source::new(address, settings.series_limit)).collect();
    let (began, compressed) = (Instant::now(), is_compressed(&args.out));
    let mut tally = Tally { bytes, ..Tally::default() };
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = &mut shutdown => return Ok((tally, began.elapsed())),
            _ = ticks.tick() => {}
        }
        if args.duration.is_some_and(|most| began.elapsed() >= *most) || tally.bytes >= args.max_bytes {
            return Ok((tally, began.elapsed()));
        }
        let mut work = JoinSet::new();
        for (index, source) in sources.iter().enumerate() {
            let (scraper, address, native) = (scraper.clone(), source.address.clone(), source.native.clone());
            work.spawn(async move { (index, scraper.scrape(&address, native).await) });
        }
        while let Some(done) = work.join_next().await {
            let Ok((index, (mut scrape, native))) = done else { continue };
            let Some(source) = sources.get_mut(index) else { continue };
            source.native = native;
            if source.lacks_buckets(&scrape) {
                // At once, so that all pages of the recording have the same buckets.
                let (again, native) = scraper.scrape(&source.address, source.native.take()).await;
                source.native = native;
                if again.page.is_ok() {
                    scrape = again;
                }
            }
            tally.pages += u64::from(scrape.page.is_ok());
            tally.failures += u64::from(scrape.page.is_err());
            let target = source.address.label().to_owned();
            let taken = Taken { at: scrape.at, target, page: scrape.page.map_err(|error| error.to_string()) };
            let written = recording::write(&mut file, &taken, compressed);
            tally.bytes +=
                written.map_err(|error| format!("{}: cannot be written: {error}", args.out.display()))? as u64;
        }
    }
}

/// Opens a file to append to, with its size. One that somebody else wrote, or whose end is torn, is left alone.
fn open(path: &Path) -> Result<(File, u64), String> {
    let cannot = |error: io::Error| format!("{}: cannot be written: {error}", path.display());
    let file = OpenOptions::new().create(true).append(true).open(path).map_err(cannot)?;
    let bytes = file.metadata().map_err(cannot)?.len();
    if bytes > 0 {
        let mut start = [0; 2];
        let is_gzip =
            File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == [0x1f, 0x8b];
        if is_gzip != is_compressed(path) {
            return Err(format!(
                "{}: what is there is {}compressed, and the name says otherwise; record into another file",
                path.display(),
                if is_gzip { "" } else { "not " }
            ));
        }
        let mut there = files::Files::open(&[path.to_owned()])?;
        there.by_ref().for_each(drop);
        if let Some(complaint) = there.complaints.first() {
            return Err(format!("{complaint}. Record into another file; `outrigger replay` takes several"));
        }
    }
    Ok((file, bytes))
}
