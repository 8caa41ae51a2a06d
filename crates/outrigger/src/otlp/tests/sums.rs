//! Deltas add up to totals, whatever fails in between.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, metric, number_data_point};
use outrigger_exposition::{Family, Histogram, Kind, NativeBuckets, NativeHistogram, Value};
use proptest::prelude::*;

use super::super::delta::{Deltas, Taken};
use super::super::message::{Form, Temporality, message};
use super::{decoded, family, metrics, text};

const SERIES: [&str; 4] = ["a", "b", "c", "d"];
const BOUNDS: [f64; 2] = [1.0, 8.0];

/// What a registry has counted: of each label, a counter's value and observations.
type Totals = BTreeMap<&'static str, (u64, Vec<u8>)>;

/// What happens between two pushes, and which requests are taken.
#[derive(Clone, Debug)]
struct Round {
    added: Vec<(usize, u64, Vec<u8>)>,
    hidden: usize,
    /// The last observation is counted, but not yet in the sum.
    is_late: bool,
    taken: Vec<bool>,
}

fn round() -> impl Strategy<Value = Round> {
    let added = (0..SERIES.len(), 0..1000_u64, proptest::collection::vec(1..20_u8, 0..4));
    let added = proptest::collection::vec(added, 0..6);
    (added, 0..SERIES.len() * 2, any::<bool>(), proptest::collection::vec(any::<bool>(), 8))
        .prop_map(|(added, hidden, is_late, taken)| Round { added, hidden, is_late, taken })
}

fn histogram(observed: &[u8]) -> Histogram {
    let mut counts = vec![0; BOUNDS.len() + 1];
    let mut native = vec![0; 8];
    for value in observed {
        counts[BOUNDS.iter().filter(|bound| f64::from(*value) > **bound).count()] += 1;
        native[f64::from(*value).log2().ceil() as usize] += 1;
    }
    Histogram {
        bounds: BOUNDS.to_vec(),
        counts,
        sum: Some(observed.iter().map(|value| f64::from(*value)).sum()),
        native: Some(NativeHistogram {
            positive: NativeBuckets { offset: 0, counts: native },
            ..NativeHistogram::default()
        }),
        ..Histogram::default()
    }
}

/// The registry's families, without one series: it is idle and not on this page.
fn families(totals: &Totals, hidden: Option<&str>, is_late: bool) -> Vec<Family> {
    let shown = || totals.iter().filter(|(label, _)| Some(**label) != hidden);
    let histogram = |observed: &[u8]| {
        let late = observed.last().filter(|_| is_late).map_or(0.0, |value| f64::from(*value));
        let histogram = histogram(observed);
        Histogram { sum: histogram.sum.map(|sum| sum - late), ..histogram }
    };
    let classic = |observed: &[u8]| Value::Histogram(Histogram { native: None, ..histogram(observed) });
    vec![
        family("jobs", Kind::Counter, shown().map(|(label, (count, _))| (*label, Value::Counter(*count as f64)))),
        family("sizes", Kind::Histogram, shown().map(|(label, (_, observed))| (*label, classic(observed)))),
        family(
            "waits",
            Kind::Histogram,
            shown().map(|(label, (_, observed))| (*label, Value::Histogram(histogram(observed)))),
        ),
    ]
}

/// What an endpoint makes of deltas.
#[derive(Debug, Default)]
struct Sums {
    /// Of each series: the numbers added up, and when the last interval ended.
    series: BTreeMap<(String, String), (BTreeMap<i64, f64>, u64)>,
}

impl Sums {
    fn add(&mut self, name: &str, of: String, start: u64, time: u64, numbers: impl IntoIterator<Item = (i64, f64)>) {
        let (sums, ended) = self.series.entry((name.to_owned(), of)).or_default();
        assert!(*ended <= start && start < time, "{name}: {start} to {time} after one that ended at {ended}");
        *ended = time;
        for (index, number) in numbers {
            *sums.entry(index).or_default() += number;
        }
    }

    fn take(&mut self, data: metric::Data, name: &str) {
        let delta = AggregationTemporality::Delta;
        match data {
            metric::Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality() == delta);
                for point in sum.data_points {
                    let Some(number_data_point::Value::AsDouble(value)) = point.value else { panic!("{point:?}") };
                    let of = text(&point.attributes)["of"].clone();
                    self.add(name, of, point.start_time_unix_nano, point.time_unix_nano, [(0, value)]);
                }
            }
            metric::Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality(), delta);
                for point in histogram.data_points {
                    assert_eq!(point.count, point.bucket_counts.iter().sum::<u64>());
                    let counts = (0..).zip(point.bucket_counts.iter().map(|count| *count as f64));
                    let numbers = counts.chain([(-1, point.sum.unwrap())]);
                    let of = text(&point.attributes)["of"].clone();
                    self.add(name, of, point.start_time_unix_nano, point.time_unix_nano, numbers);
                }
            }
            metric::Data::ExponentialHistogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality(), delta);
                for point in histogram.data_points {
                    let positive = point.positive.unwrap();
                    assert_eq!(point.count, positive.bucket_counts.iter().sum::<u64>());
                    let counts = positive.bucket_counts.iter().map(|count| *count as f64);
                    // The index is one less here than in Prometheus.
                    let numbers = (i64::from(positive.offset) + 1..).zip(counts).chain([(-1, point.sum.unwrap())]);
                    let of = text(&point.attributes)["of"].clone();
                    self.add(name, of, point.start_time_unix_nano, point.time_unix_nano, numbers);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn of(&self, name: &str, label: &str) -> BTreeMap<i64, f64> {
        let sums = self.series.get(&(name.to_owned(), label.to_owned())).map(|(sums, _)| sums.clone());
        sums.unwrap_or_default().into_iter().filter(|(_, number)| *number != 0.0).collect()
    }
}

fn nonzero(numbers: impl IntoIterator<Item = (i64, f64)>) -> BTreeMap<i64, f64> {
    numbers.into_iter().filter(|(_, number)| *number != 0.0).collect()
}

proptest! {
    #[test]
    fn deltas_that_were_taken_add_up_to_the_totals(
        rounds in proptest::collection::vec(round(), 1..12),
        max_points in 1..7_usize,
    ) {
        let form = Form { resource: Vec::new(), gzip: true, max_points };
        let mut temporality = Temporality::Delta(Deltas::new(500, 100));
        let mut totals: Totals = SERIES.into_iter().map(|label| (label, (0, Vec::new()))).collect();
        let mut sums = Sums::default();
        // A sum that was late goes with the next observation.
        let added = (0..SERIES.len()).map(|series| (series, 0, vec![1])).collect();
        let last = Round { added, hidden: SERIES.len(), is_late: false, taken: vec![true; 100] };
        for (number, round) in (1..).zip(rounds.iter().chain([&last])) {
            for (series, count, observed) in &round.added {
                let total = totals.get_mut(SERIES[*series]).unwrap();
                total.0 += count;
                total.1.extend(observed);
            }
            let now = number * 1000;
            let hidden = SERIES.get(round.hidden).copied();
            let made = message(families(&totals, hidden, round.is_late), &form, &mut temporality, now);
            prop_assert_eq!((made.over_limit, made.unsupported), (0, 0));
            let taken = |request: usize| round.taken[request % round.taken.len()];
            for (index, request) in made.requests.iter().enumerate() {
                prop_assert!(request.points > 0 && request.points <= max_points as u64);
                if taken(index) {
                    for metric in metrics(decoded(request, true)) {
                        sums.take(metric.data.unwrap(), &metric.name);
                    }
                }
            }
            let Temporality::Delta(deltas) = &mut temporality else { panic!() };
            deltas.settle(now, taken);
        }
        for (label, (count, observed)) in &totals {
            let histogram = histogram(observed);
            let sum = (-1, histogram.sum.unwrap());
            let classic = (0..).zip(histogram.counts.iter().map(|count| *count as f64)).chain([sum]);
            let native = histogram.native.unwrap().positive.counts;
            let native = (0..).zip(native.iter().map(|count| *count as f64)).chain([sum]);
            prop_assert_eq!(sums.of("jobs_total", label), nonzero([(0, *count as f64)]));
            prop_assert_eq!(sums.of("sizes", label), nonzero(classic));
            prop_assert_eq!(sums.of("waits", label), nonzero(native));
        }
    }
}

fn counter(value: f64) -> Family {
    family("jobs", Kind::Counter, [("a", Value::Counter(value))])
}

/// What a counter's delta is, and since when, if it is taken.
fn taken(deltas: &mut Deltas, value: f64, created: Option<f64>, now: u64) -> (Taken, f64) {
    let mut point = counter(value).points.remove(0);
    point.created = created;
    let taken = deltas.take("jobs", &mut point, 0, now);
    deltas.settle(now, |_| true);
    let Value::Counter(added) = point.value else { panic!("{point:?}") };
    (taken, added)
}

#[test]
fn a_counter_that_fell_or_was_made_anew_is_added_as_a_whole() {
    let mut deltas = Deltas::new(5, 10);
    deltas.begin(3);
    assert_eq!(taken(&mut deltas, 7.0, None, 10), (Taken::Since(3), 7.0));
    deltas.begin(1);
    assert_eq!(taken(&mut deltas, 7.0, None, 20).0, Taken::Unchanged);
    assert_eq!(
        taken(&mut deltas, 9.0, None, 30),
        (Taken::Since(20), 2.0),
        "the interval in which nothing happened is over"
    );
    assert_eq!(taken(&mut deltas, 4.0, None, 40), (Taken::Since(30), 4.0));
    assert_eq!(taken(&mut deltas, 6.0, Some(45e-9), 50), (Taken::Since(45), 6.0), "it rose, but began anew");
    assert_eq!(taken(&mut deltas, 8.0, Some(45e-9), 45), (Taken::Since(45), 2.0), "the clock was set back");
}

#[test]
fn a_sum_that_comes_after_its_count_is_sent_with_the_next_count() {
    let mut deltas = Deltas::new(0, 10);
    // Five is counted before it is in the sum.
    let snapshots = [(vec![1], 1.0), (vec![1, 5], 1.0), (vec![1, 5], 6.0), (vec![1, 5], 6.0), (vec![1, 5, 2], 8.0)];
    let sent = (1..).zip(snapshots).map(|(now, (observed, sum))| {
        let value = Value::Histogram(Histogram { sum: Some(sum), ..histogram(&observed) });
        let mut point = family("sizes", Kind::Histogram, [("a", value)]).points.remove(0);
        let taken = deltas.take("sizes", &mut point, 0, now);
        deltas.settle(now, |_| true);
        let Value::Histogram(added) = point.value else { panic!("{point:?}") };
        (taken != Taken::Unchanged).then(|| (added.count(), added.sum.unwrap()))
    });
    assert_eq!(sent.collect::<Vec<_>>(), [Some((1, 1.0)), Some((1, 0.0)), None, None, Some((1, 7.0))]);
}

#[test]
fn what_is_remembered_is_bounded_and_room_is_made_of_what_has_gone() {
    let mut deltas = Deltas::new(0, 2);
    let mut take = |labels: &[&'static str], now: u64| {
        let points = labels.iter().map(|label| (*label, Value::Counter(1.0)));
        let mut family = family("jobs", Kind::Counter, points);
        let taken: Vec<Taken> = family.points.iter_mut().map(|point| deltas.take("jobs", point, 0, now)).collect();
        deltas.settle(now, |_| true);
        taken
    };
    assert_eq!(take(&["a", "b", "c"], 1), [Taken::Since(0), Taken::Since(0), Taken::Full]);
    assert_eq!(take(&["a", "c"], 2), [Taken::Unchanged, Taken::Full]);
    assert_eq!(take(&["a", "c"], 3), [Taken::Unchanged, Taken::Since(2)], "b has gone");
}
