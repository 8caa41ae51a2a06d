//! Process metrics, written through the recorder.

use outrigger::Metrics;
use outrigger_semconv::{label, process};

use crate::support::Page;

pub(crate) async fn the_process_is_read(metrics: Metrics) {
    // A page that carries them by itself would say them twice.
    let carried = metrics.render().expect("a page").contains(process::START_TIME.name);
    if !carried {
        outrigger::process::record(&metrics).expect("Linux");
    }
    let page = Page::of(&metrics);
    let number = |metric, labels: &[_]| page.number(metric, labels).unwrap_or_else(|| panic!("{}", page.text()));
    assert!(number(&process::RESIDENT_MEMORY, &[]) > 1_000_000.0);
    assert_eq!(number(&process::MEMORY_USAGE, &[]), number(&process::RESIDENT_MEMORY, &[]));
    assert!(number(&process::THREAD_COUNT, &[]) >= 1.0);
    assert!(number(&process::OPEN_FDS, &[]) >= 3.0);
    assert_eq!(number(&process::UNIX_FILE_DESCRIPTOR_COUNT, &[]), number(&process::OPEN_FDS, &[]));
    assert!(number(&process::START_TIME, &[]) > 1_600_000_000.0);
    let modes = ["user", "system"].map(|mode| number(&process::CPU_TIME, &[(label::CPU_MODE, mode)]));
    let total = number(&process::CPU_SECONDS, &[]);
    // Through the facade each is cut to whole seconds.
    let margin = if carried { 1e-9 } else { 1.0 + 1e-9 };
    assert!(total >= 0.0 && (modes[0] + modes[1] - total).abs() <= margin, "{modes:?} {total}");
}
