//! Whatever is recorded, the page says just that.

mod support;

use metrics::{Key, Label, Level, Metadata, Recorder as _};
use outrigger_exposition::{Family, Format, Value};
use outrigger_recorder::{Matcher, PageFormat, Recorder};
use proptest::prelude::*;
use support::{families_of, read};

const METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);

#[derive(Clone, Debug)]
struct Act {
    name: String,
    labels: Vec<(String, String)>,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Count(u64),
    CountTo(u64),
    Set(f64),
    Step(f64),
    Observe(f64, usize),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}",
        "[a-z_.:0-9]{0,8}",
        "\\PC{0,6}",
        prop::sample::select(vec![
            "le",
            "__name__",
            "quantile",
            "\"",
            "\\",
            "\n",
            "\\n",
            "\r",
            "{}",
            ",",
            "=",
            "#",
            " ",
            "é\u{0}",
            "+Inf",
            "otel_metric_overflow",
            "x_total",
            "x_count",
            "x",
        ])
        .prop_map(str::to_owned),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let what = prop_oneof![
        (0..u64::from(u32::MAX)).prop_map(What::Count),
        (0..1_u64 << 53).prop_map(What::CountTo),
        any::<f64>().prop_map(What::Set),
        (-1e6..1e6_f64).prop_map(What::Step),
        (any::<f64>(), 0..5_usize).prop_map(|(value, count)| What::Observe(value, count)),
        (-10.0..10.0_f64, 0..5_usize).prop_map(|(value, count)| What::Observe(value, count)),
    ];
    (text(), prop::collection::vec((text(), text()), 0..4), what).prop_map(|(name, labels, what)| Act {
        name,
        labels,
        what,
    })
}

fn play(recorder: &Recorder, Act { name, labels, what }: &Act) {
    let labels: Vec<_> = labels.iter().map(|(name, value)| Label::new(name.clone(), value.clone())).collect();
    let key = Key::from_parts(name.clone(), labels);
    match *what {
        What::Count(count) => recorder.register_counter(&key, &METADATA).increment(count),
        What::CountTo(count) => recorder.register_counter(&key, &METADATA).absolute(count),
        What::Set(value) => recorder.register_gauge(&key, &METADATA).set(value),
        What::Step(value) => recorder.register_gauge(&key, &METADATA).increment(value),
        What::Observe(value, count) => recorder.register_histogram(&key, &METADATA).record_many(value, count),
    }
}

/// As text, for NaN equals itself there.
fn shown(families: &[Family]) -> String {
    format!("{families:#?}")
}

proptest! {
    #[test]
    fn pages_read_back_as_what_was_recorded(acts in prop::collection::vec(act(), 1..60), limit in 1..8_usize) {
        let recorder = Recorder::builder()
            .buckets(Matcher::Suffix(String::new()), &[-1.0, 0.0, 0.5, 1e6])
            .series_limit(limit)
            .build()
            .unwrap();
        acts.iter().for_each(|act| play(&recorder, act));
        let own = recorder.families();
        let openmetrics = read(&recorder.render(PageFormat::OpenMetrics), Format::OpenMetrics).families;
        prop_assert_eq!(shown(&openmetrics), shown(&own));
        let text = read(&recorder.render(PageFormat::Text), Format::Text).families;
        prop_assert_eq!(shown(&text), shown(&own));
        for family in &own {
            let folded = usize::from(family.points.iter().any(|point| point.labels.iter().any(|it| it.name == "otel_metric_overflow")));
            let is_own = family.name.starts_with("outrigger_");
            prop_assert!(is_own || family.points.len() <= limit + folded, "{}", shown(&own));
        }
    }

    #[test]
    fn order_of_labels_makes_no_difference(mut act in act(), seed in any::<u64>()) {
        let recorder = Recorder::new();
        act.what = What::Count(1);
        act.labels.sort();
        act.labels.dedup_by(|one, other| one.0 == other.0);
        // Names that only become equal by their spelling would let the order decide.
        prop_assume!(act.labels.iter().all(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphabetic())));
        for _ in 0..3 {
            play(&recorder, &act);
            fastrand::Rng::with_seed(seed).shuffle(&mut act.labels);
        }
        let families = families_of(&recorder);
        prop_assert_eq!(families.len(), 1);
        prop_assert_eq!(families[0].points.len(), 1);
        prop_assert_eq!(&families[0].points[0].value, &Value::Counter(3.0));
    }
}
