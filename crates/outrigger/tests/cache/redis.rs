//! Commands on a real Redis, each with its name, its outcome and its look-ups.

use outrigger::Metrics;
use outrigger::cache::CacheMetrics;
use outrigger::redis::ByDeref;
use outrigger_semconv::{db, label};
use outrigger_testkit::Redis;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{AsyncCommands, Client, cmd, pipe};

use crate::support::Page;
use crate::{NAME, fresh, look_ups};

pub(crate) async fn start() -> Option<Redis> {
    tokio::task::spawn_blocking(Redis::start).await.unwrap()
}

pub(crate) fn manager(server: &Redis) -> ConnectionManager {
    let client = Client::open(server.url()).unwrap();
    ConnectionManager::new_lazy_with_config(client, ConnectionManagerConfig::new()).unwrap()
}

pub(crate) async fn connection(server: &Redis) -> MultiplexedConnection {
    Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

fn count(metrics: &Metrics, operation: &str, error: &str) -> u64 {
    let labels = [(label::DB_SYSTEM_NAME, "redis"), (label::DB_OPERATION_NAME, operation), (label::ERROR_TYPE, error)];
    Page::of(metrics).count(&db::CLIENT_OPERATION_DURATION, &labels)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_have_names_and_errors_their_prefix() {
    let Some(server) = start().await else { return };
    let metrics = fresh();
    let mut redis = metrics.timed_redis(connection(&server).await);
    let () = redis.set("secret-key", "secret-value").await.unwrap();
    let value: String = cmd("get").arg("secret-key").query_async(&mut redis).await.unwrap();
    assert_eq!(value, "secret-value");
    assert!(redis.lpush::<_, _, i64>("secret-key", 1).await.is_err());
    assert!(cmd("SECRET").arg("secret-key").query_async::<()>(&mut redis).await.is_err());
    let (one, two): (i64, i64) = pipe().incr("n", 1).incr("n", 1).query_async(&mut redis).await.unwrap();
    assert_eq!((one, two), (1, 2));
    assert!(pipe().incr("n", 1).lpush("n", 1).query_async::<(i64, i64)>(&mut redis).await.is_err());
    let (set,): (i64,) = pipe().atomic().incr("n", 1).query_async(&mut redis).await.unwrap();
    assert_eq!(set, 4);
    let _: Option<i64> = redis.clone().get("nothing").await.unwrap();

    assert_eq!(count(&metrics, "SET", ""), 1);
    assert_eq!(count(&metrics, "GET", ""), 2);
    assert_eq!(count(&metrics, "LPUSH", "WRONGTYPE"), 1);
    assert_eq!(count(&metrics, label::OTHER, "ERR"), 1);
    assert_eq!(count(&metrics, "PIPELINE", ""), 1);
    assert_eq!(count(&metrics, "PIPELINE", "WRONGTYPE"), 1);
    assert_eq!(count(&metrics, "MULTI", ""), 1);
    let page = Page::of(&metrics);
    assert!(!page.text().contains("secret"), "{}", page.text());

    tokio::task::spawn_blocking(move || server.kill()).await.unwrap();
    assert!(redis.get::<_, Option<String>>("secret-key").await.is_err());
    assert_eq!(count(&metrics, "GET", "io"), 1, "{}", Page::of(&metrics).text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_of_nothing_are_misses() {
    let Some(server) = start().await else { return };
    let metrics = fresh();
    // As a pool's guard has it: a connection that is only borrowed as one.
    let guard = Box::new(connection(&server).await);
    let mut redis = metrics.timed_redis(ByDeref(guard)).count_look_ups(CacheMetrics::new(&metrics, NAME));
    let () = redis.set("a", 1).await.unwrap();
    let () = redis.hset("h", "field", 1).await.unwrap();
    assert_eq!(redis.get::<_, Option<i64>>("a").await.unwrap(), Some(1));
    assert_eq!(redis.get::<_, Option<i64>>("b").await.unwrap(), None);
    assert_eq!(redis.hget::<_, _, Option<i64>>("h", "field").await.unwrap(), Some(1));
    let many: Vec<Option<i64>> = cmd("MGET").arg(&["a", "b", "c"]).query_async(&mut redis).await.unwrap();
    assert_eq!(many, [Some(1), None, None]);
    let fields: Vec<Option<i64>> = cmd("HMGET").arg(&["h", "field", "none"]).query_async(&mut redis).await.unwrap();
    assert_eq!(fields, [Some(1), None]);
    // An error is neither.
    assert!(redis.get::<_, Option<i64>>("h").await.is_err());
    assert_eq!(look_ups(&metrics), (4.0, 4.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_told_apart_by_their_labels() {
    let Some(server) = start().await else { return };
    let metrics = fresh();
    let connection = manager(&server);
    let mut redis = metrics.timed_redis(connection).labelled(|operation| operation.namespace("7"));
    let () = redis.set("a", 1).await.unwrap();
    let labels = [(label::DB_SYSTEM_NAME, "redis"), (label::DB_OPERATION_NAME, "SET"), (label::DB_NAMESPACE, "7")];
    assert_eq!(Page::of(&metrics).count(&db::CLIENT_OPERATION_DURATION, &labels), 1);
}
