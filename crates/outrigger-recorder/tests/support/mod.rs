//! What several tests need.
#![allow(dead_code, reason = "each test uses some of it")]

use outrigger_exposition::{Families, Family, Format, Value, families};
use outrigger_recorder::{PageFormat, Recorder};

/// The recorder's families as our parser reads them from its page; they must be what the recorder itself hands out.
#[track_caller]
pub(crate) fn families_of(recorder: &Recorder) -> Vec<Family> {
    let page = recorder.render(PageFormat::OpenMetrics);
    let read = read(&page, Format::OpenMetrics);
    let own: Vec<_> = recorder.families().into_iter().map(without_what_the_page_leaves_out).collect();
    assert_eq!(read.families, own);
    read.families
}

/// Reads a page that has nothing wrong with it.
#[track_caller]
pub(crate) fn read(page: &str, format: Format) -> Families {
    let read = families(page.as_bytes(), format);
    assert_eq!((&read.bad_lines, &read.problems, read.over_limit), (&vec![], &vec![], 0), "{page}");
    read
}

fn without_what_the_page_leaves_out(mut family: Family) -> Family {
    let fits = |unit: &String| family.name.ends_with(&format!("_{unit}"));
    family.unit = family.unit.take().filter(fits);
    family
}

/// The value of one series.
pub(crate) fn sample(families: &[Family], name: &str, labels: &[(&str, &str)]) -> Option<Value> {
    let family = families.iter().find(|family| family.name == name)?;
    let is_it = |point: &&outrigger_exposition::Point| {
        let own = point.labels.iter().map(|label| (&*label.name, &*label.value));
        own.eq(labels.iter().copied())
    };
    family.points.iter().find(is_it).map(|point| point.value.clone())
}
