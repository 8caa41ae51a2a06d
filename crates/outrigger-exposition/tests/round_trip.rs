//! What is written comes back: any families, with any text in labels and help, in both formats.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hostile;

use outrigger_exposition::{
    BucketExemplar, Encoder, Exemplar, Families, Family, Format, Histogram, Kind, Label, Point, Quantile, Summary,
    Value, families,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text(families in pages(Format::Text)) {
        round_trip(Format::Text, &families);
    }

    #[test]
    fn openmetrics(families in pages(Format::OpenMetrics)) {
        round_trip(Format::OpenMetrics, &families);
    }

    #[test]
    fn any_bytes_hold_the_invariants(page in vec(any::<u8>(), 0..400)) {
        outrigger_exposition::fuzz_one(&page);
    }

    #[test]
    fn any_text_holds_the_invariants(page in "[ab_:{}=\",\\\\# 0-9.\n\r+eé]{0,200}") {
        outrigger_exposition::fuzz_one(page.as_bytes());
    }
}

#[test]
fn hostile_label_values() {
    let mut family = Family::new("hostile", Kind::Gauge);
    family.points.extend(hostile::values().into_iter().enumerate().map(|(index, value)| {
        let labels = vec![Label::new("hostile", value.clone()), Label::new("again", value)];
        Point::new(labels, Value::Gauge(index as f64))
    }));
    assert!(family.points.len() > 1400);
    for format in [Format::Text, Format::OpenMetrics] {
        round_trip(format, std::slice::from_ref(&family));
    }
}

fn round_trip(format: Format, written: &[Family]) {
    let mut encoder = Encoder::new(format, String::new()).with_created(true);
    for family in written {
        encoder.family(family).unwrap();
    }
    let page = encoder.finish().unwrap();
    let read = families(page.as_bytes(), format);
    let expected = Families { families: written.to_vec(), parsed: read.parsed, ..Families::default() };
    // As text, since NaN equals nothing, not even itself.
    assert_eq!(format!("{read:#?}"), format!("{expected:#?}"), "{page}");
    assert_eq!(read.parsed.bad_lines, 0, "{page}");
    assert_eq!(read.parsed.eof, format == Format::OpenMetrics);
}

/// Families that the format can say in full, with distinct names.
fn pages(format: Format) -> impl Strategy<Value = Vec<Family>> {
    vec(family(format), 0..5).prop_map(|mut families| {
        for (index, family) in families.iter_mut().enumerate() {
            family.name = format!("f{index}_{}", family.name);
            if let Some(unit) = &family.unit {
                family.name = format!("{}_{unit}", family.name);
            }
            for point in &mut family.points {
                // A state's label is named after its family.
                point.labels.iter_mut().filter(|label| label.name == "STATE").for_each(|label| {
                    label.name.clone_from(&family.name);
                });
            }
        }
        families
    })
}

fn family(format: Format) -> impl Strategy<Value = Family> {
    let kinds = match format {
        Format::Text => &[Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary, Kind::Unknown][..],
        Format::OpenMetrics => &[
            Kind::Counter,
            Kind::Gauge,
            Kind::Histogram,
            Kind::Summary,
            Kind::Unknown,
            Kind::GaugeHistogram,
            Kind::Info,
            Kind::StateSet,
        ],
    };
    let name = prop_oneof!["[a-zA-Z_:][a-zA-Z0-9_:]{0,8}x", "[a-z.é {}#,=]{1,8}x"];
    (select(kinds), name, option::of(hostile()), option::of(select(&["seconds", "bytes"][..]))).prop_flat_map(
        move |(kind, name, help, unit)| {
            vec(point(kind, format), 0..4).prop_map(move |mut points| {
                for (index, point) in points.iter_mut().enumerate() {
                    point.labels.push(Label::new("index", index.to_string()));
                }
                Family {
                    name: name.clone(),
                    help: help.as_ref().map(|help| help.trim_end_matches('\r').to_owned()),
                    unit: unit.filter(|_| !matches!(kind, Kind::Info | Kind::StateSet)).map(str::to_owned),
                    kind,
                    points,
                }
            })
        },
    )
}

fn point(kind: Kind, format: Format) -> impl Strategy<Value = Point> {
    let extras = (option::of(any::<i64>()), option::of(float()), option::of(exemplar()));
    (labels(), value(kind, format), extras).prop_map(move |(mut labels, value, (timestamp_ms, created, exemplar))| {
        if kind == Kind::StateSet {
            labels.push(Label::new("STATE", "on"));
        }
        let openmetrics = format == Format::OpenMetrics;
        let counts = matches!(kind, Kind::Counter | Kind::Histogram | Kind::Summary);
        Point {
            labels,
            value,
            timestamp_ms,
            created: created.filter(|_| openmetrics && counts),
            exemplar: exemplar.filter(|_| openmetrics && kind == Kind::Counter),
        }
    })
}

fn value(kind: Kind, format: Format) -> proptest::strategy::BoxedStrategy<Value> {
    match kind {
        Kind::Counter => float().prop_map(Value::Counter).boxed(),
        Kind::Gauge => float().prop_map(Value::Gauge).boxed(),
        Kind::Unknown => float().prop_map(Value::Unknown).boxed(),
        Kind::Histogram => histogram(format).prop_map(Value::Histogram).boxed(),
        Kind::GaugeHistogram => histogram(format).prop_map(Value::GaugeHistogram).boxed(),
        Kind::Summary => summary().prop_map(Value::Summary).boxed(),
        Kind::Info => Just(Value::Info).boxed(),
        Kind::StateSet => any::<bool>().prop_map(Value::State).boxed(),
    }
}

fn histogram(format: Format) -> impl Strategy<Value = Histogram> {
    let bounds = vec(float(), 0..5).prop_map(|mut bounds| {
        bounds.retain(|bound| bound.is_finite());
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        bounds
    });
    bounds.prop_flat_map(move |bounds| {
        let buckets = bounds.len() + 1;
        (vec(0..1_u64 << 50, buckets), option::of(float()), vec(option::of(exemplar()), buckets)).prop_map(
            move |(counts, sum, exemplars)| Histogram {
                bounds: bounds.clone(),
                counts,
                sum,
                exemplars: exemplars
                    .into_iter()
                    .enumerate()
                    .filter_map(|(bucket, exemplar)| Some(BucketExemplar { bucket, exemplar: exemplar? }))
                    .filter(|_| format == Format::OpenMetrics)
                    .collect(),
                native: None,
            },
        )
    })
}

fn summary() -> impl Strategy<Value = Summary> {
    (vec((0.0..=1.0, float()), 0..4), option::of(float()), 0..1_u64 << 53).prop_map(|(quantiles, sum, count)| {
        let mut quantiles: Vec<_> =
            quantiles.into_iter().map(|(quantile, value)| Quantile { quantile, value }).collect();
        quantiles.sort_by(|a, b| a.quantile.total_cmp(&b.quantile));
        quantiles.dedup_by(|a, b| a.quantile == b.quantile);
        Summary { quantiles, sum, count: Some(count) }
    })
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    ("[^\u{0}]{0,20}", float(), option::of(any::<i64>())).prop_map(|(trace, value, timestamp_ms)| Exemplar {
        labels: vec![Label::new("trace_id", trace)],
        value,
        timestamp_ms,
    })
}

fn labels() -> impl Strategy<Value = Vec<Label>> {
    vec(("[a-zA-Z_][a-zA-Z0-9_]{0,6}|[a-z.é ,=#{}]{1,6}", hostile()), 0..4).prop_map(|labels| {
        labels
            .into_iter()
            .enumerate()
            // Numbered, so that none comes twice and none is `le`.
            .map(|(index, (name, value))| Label::new(format!("{name}{index}"), value))
            .collect()
    })
}

/// Text that knows the formats' sore spots, or none of them.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\\\\"\n\r\t n,={}#é\u{2028}]{0,12}",
        select(
            &[
                "",
                "\\",
                "\\\\",
                "\\n",
                "\n",
                "\"",
                "\\\"",
                " leading",
                "trailing ",
                "# EOF",
                "\n# EOF\n",
                "{a=\"b\"} 1"
            ][..]
        )
        .prop_map(str::to_owned),
    ]
}

/// Any float; only the sign and payload of NaN are lost.
fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        any::<u64>().prop_map(f64::from_bits),
        select(&[0.0, -0.0, 1.0, 0.1, 1e5, 1e6, 1e15, 1e16, 1e-4, 1e-5, f64::MAX, 5e-324, f64::INFINITY, f64::NAN][..]),
        (-1000..1000_i32).prop_map(|whole| f64::from(whole) / 8.0),
    ]
    .prop_map(|value| if value.is_nan() { f64::NAN } else { value })
}
