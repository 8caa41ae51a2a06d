//! Any sequence of look-ups, changes, failures, invalidations and waits, beside a model of a few lines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outrigger::cache::{ReadThrough, ReadThroughBuilder};
use outrigger_semconv::{cache, label};
use proptest::prelude::*;
use tokio::time::{Instant, advance};

use crate::{NAME, fresh, look_ups, number};

const TTL: Duration = Duration::from_millis(1_000);
const STALE: Duration = Duration::from_millis(500);
const NEGATIVE: Duration = Duration::from_millis(300);
const RETRY: Duration = Duration::from_millis(1_000);

#[derive(Clone, Debug)]
enum Step {
    Get(u8),
    /// What the source says of a key from now on: a value, none, or an error.
    Change(u8, Result<Option<u8>, ()>),
    Wait(u16),
    Invalidate(u8),
    InvalidateTag(u8),
    InvalidateAll,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..6_u8;
    let said = prop_oneof![3 => any::<u8>().prop_map(|value| Ok(Some(value))), 1 => Just(Ok(None)), 1 => Just(Err(()))];
    prop_oneof![
        6 => key.clone().prop_map(Step::Get),
        3 => (key.clone(), said).prop_map(|(key, said)| Step::Change(key, said)),
        3 => (1..700_u16).prop_map(Step::Wait),
        1 => key.prop_map(Step::Invalidate),
        1 => (0..3_u8).prop_map(Step::InvalidateTag),
        1 => Just(Step::InvalidateAll),
    ]
}

/// A value is about its key's remainder and its own; an absence about its key's.
fn tags(key: u8, value: Option<u8>) -> Vec<String> {
    std::iter::once(key).chain(value).map(|number| (number % 3).to_string()).collect()
}

struct Model {
    /// How long an absence is remembered.
    negative: Duration,
    source: HashMap<u8, Result<Option<u8>, ()>>,
    held: HashMap<u8, Held>,
    hits: u32,
    misses: u32,
    refreshes: u32,
    failures: u32,
}

struct Held {
    value: Option<u8>,
    loaded: Instant,
    retry_at: Instant,
}

impl Model {
    fn get(&mut self, key: u8, now: Instant) -> Result<Option<u8>, ()> {
        let said = self.source.get(&key).copied().unwrap_or(Ok(None));
        if let Some(held) = self.held.get_mut(&key) {
            let value = held.value;
            let (ttl, window) = if value.is_some() { (TTL, STALE) } else { (self.negative, Duration::ZERO) };
            let age = now - held.loaded;
            if age < ttl + window {
                self.hits += 1;
                if age >= ttl && held.retry_at <= now {
                    match said {
                        Ok(_) => {
                            self.refreshes += 1;
                            self.load(key, now).expect("it says so");
                        }
                        Err(()) => {
                            self.failures += 1;
                            held.retry_at = now + RETRY;
                        }
                    }
                }
                return Ok(value);
            }
        }
        self.misses += 1;
        self.load(key, now)
    }

    fn load(&mut self, key: u8, now: Instant) -> Result<Option<u8>, ()> {
        let said = self.source.get(&key).copied().unwrap_or(Ok(None));
        if let Ok(value) = said {
            if value.is_some() || self.negative > Duration::ZERO {
                self.held.insert(key, Held { value, loaded: now, retry_at: now });
            } else {
                self.held.remove(&key);
            }
        }
        said
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_read_through_cache_does_what_its_model_does(
        steps in prop::collection::vec(step(), 1..80),
        negative in prop_oneof![Just(NEGATIVE), Just(Duration::ZERO)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(run(steps, negative))?;
    }
}

/// What the loader says of a key.
type Loaded = Result<Option<u8>, ()>;

async fn run(steps: Vec<Step>, negative: Duration) -> Result<(), TestCaseError> {
    let metrics = fresh();
    let source: Arc<Mutex<HashMap<u8, Loaded>>> = Arc::default();
    let asked = Arc::clone(&source);
    let cached: ReadThrough<u8, u8, ()> = ReadThroughBuilder::new(NAME)
        .ttl(TTL)
        .jitter(0.0)
        .stale_while_revalidate(STALE)
        .negative_ttl(negative)
        .tags(|key, value| tags(*key, value.copied()))
        .build(&metrics, move |key| {
            let said = asked.lock().unwrap().get(&key).copied().unwrap_or(Ok(None));
            async move { said }
        });
    let mut model =
        Model { negative, source: HashMap::new(), held: HashMap::new(), hits: 0, misses: 0, refreshes: 0, failures: 0 };
    for step in steps {
        match step {
            Step::Get(key) => {
                let expected = model.get(key, Instant::now());
                let found = cached.get(&key).await.map_err(|_| ());
                prop_assert_eq!(found, expected, "{:?}", step);
                // A refresh that has begun comes to its end.
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                }
            }
            Step::Change(key, said) => {
                model.source.insert(key, said);
                source.lock().unwrap().insert(key, said);
            }
            Step::Wait(millis) => advance(Duration::from_millis(millis.into())).await,
            Step::Invalidate(key) => {
                model.held.remove(&key);
                cached.invalidate(&key).await;
            }
            Step::InvalidateTag(tag) => {
                let tag = tag.to_string();
                model.held.retain(|key, held| !tags(*key, held.value).contains(&tag));
                cached.invalidate_tag(&tag).await;
            }
            Step::InvalidateAll => {
                model.held.clear();
                cached.invalidate_all().await;
            }
        }
    }
    prop_assert_eq!(look_ups(&metrics), (f64::from(model.hits), f64::from(model.misses)));
    let refreshes = |outcome| number(&metrics, &cache::REFRESHES, &[(label::OUTCOME, outcome)]);
    prop_assert_eq!(
        (refreshes("success"), refreshes("failure")),
        (f64::from(model.refreshes), f64::from(model.failures))
    );
    Ok(())
}
