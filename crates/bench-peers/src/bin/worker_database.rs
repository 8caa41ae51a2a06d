//! Queries to SQLite in memory: through a bare pool, through ours, and through each executor wrapped by itself.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bench_peers::counting::{Counting, counts};
use bench_peers::{Result, requests};
use outrigger::Metrics;
use outrigger::db::TimedPool;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Sqlite, SqlitePool};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARM_UP: usize = 256;
const COUNTED: usize = 4_096;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (allocations, contender, scenario, count) = match arguments.as_slice() {
        ["queries", contender, scenario, count] => (false, *contender, *scenario, count.parse()?),
        ["queries-allocations", contender, scenario] => (true, *contender, *scenario, COUNTED),
        _ => return Err(format!("what does {arguments:?} mean?").into()),
    };
    requests::runtime()?.block_on(async {
        let contender = Contender::new(contender).await?;
        contender.queries(scenario, WARM_UP).await?;
        let before = counts().allocations;
        let mut queries = pin!(contender.queries(scenario, count));
        poll_fn(|context| measured_queries(queries.as_mut(), context)).await?;
        if allocations {
            println!("allocations={}", (counts().allocations - before) as f64 / count as f64);
        }
        Ok(())
    })
}

/// Polls the queries. Instructions are counted within this symbol, so it has to exist as such.
#[inline(never)]
#[unsafe(no_mangle)]
fn measured_queries(queries: Pin<&mut dyn Future<Output = Result<()>>>, context: &mut Context<'_>) -> Poll<Result<()>> {
    queries.poll(context)
}

enum Contender {
    Bare(SqlitePool),
    Pool(TimedPool<Sqlite>),
    Timed(Metrics, SqlitePool),
}

impl Contender {
    async fn new(name: &str) -> Result<Self> {
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
        sqlx::query("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)").execute(&pool).await?;
        for id in 0..10 {
            sqlx::query("INSERT INTO items VALUES ($1, 'paddle')").bind(id).execute(&pool).await?;
        }
        let metrics = Metrics::from(outrigger_recorder::Recorder::builder().build()?);
        match name {
            "bare-pool" => Ok(Self::Bare(pool)),
            "timed-pool" => Ok(Self::Pool(metrics.timed_pool("shop", pool))),
            "timed" => Ok(Self::Timed(metrics, pool)),
            _ => Err(format!("no contender {name:?}: bare-pool, timed-pool or timed").into()),
        }
    }

    async fn queries(&self, scenario: &str, count: usize) -> Result<()> {
        for number in 0..count {
            let id = (number % 10) as i64;
            match self {
                Self::Bare(pool) => query(pool, scenario, id).await?,
                Self::Pool(pool) => query(pool, scenario, id).await?,
                Self::Timed(metrics, pool) => query(metrics.timed(pool), scenario, id).await?,
            }
        }
        Ok(())
    }
}

async fn query<'e>(executor: impl sqlx::SqliteExecutor<'e>, scenario: &str, id: i64) -> Result<()> {
    match scenario {
        "one" => {
            let one = sqlx::query("SELECT id, name FROM items WHERE id = $1").bind(id);
            black_box(one.fetch_one(executor).await?);
        }
        "all" => {
            let all = sqlx::query("SELECT id, name FROM items WHERE id >= $1 ORDER BY id").bind(0);
            black_box(all.fetch_all(executor).await?);
        }
        "stream" => {
            let all = sqlx::query("SELECT id, name FROM items WHERE id >= $1 ORDER BY id").bind(0);
            let mut rows = all.fetch(executor);
            while let Some(row) = poll_fn(|context| rows.as_mut().poll_next(context)).await {
                black_box(row?);
            }
        }
        "execute" => {
            let execute = sqlx::query("UPDATE items SET name = $1 WHERE id = $2").bind("canoe").bind(id);
            black_box(execute.execute(executor).await?);
        }
        _ => return Err(format!("no scenario {scenario:?}: one, all, stream or execute").into()),
    }
    Ok(())
}
