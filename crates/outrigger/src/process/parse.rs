//! What stands in the files of `/proc`: see [proc(5)](https://man7.org/linux/man-pages/man5/proc.5.html).

/// Fields of `/proc/self/stat`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stat {
    pub(super) user_ticks: f64,
    pub(super) system_ticks: f64,
    pub(super) threads: f64,
    /// Since boot.
    pub(super) start_ticks: f64,
}

pub(super) fn stat(text: &str) -> Option<Stat> {
    // The second field is the program's name in parentheses, and may hold spaces and parentheses itself.
    let (_, fields) = text.rsplit_once(')')?;
    // Numbered as in proc(5), where the state, the first one here, is 3.
    let mut fields = fields.split_ascii_whitespace().skip(14 - 3);
    let user_ticks = number(fields.next()?)?;
    let system_ticks = number(fields.next()?)?;
    let threads = number(fields.nth(20 - 16)?)?;
    let start_ticks = number(fields.nth(22 - 21)?)?;
    Some(Stat { user_ticks, system_ticks, threads, start_ticks })
}

/// The resident set in `/proc/self/statm`, in pages.
pub(super) fn resident_pages(text: &str) -> Option<f64> {
    number(text.split_ascii_whitespace().nth(1)?)
}

/// The soft limit in `/proc/self/limits`; `Some(None)` is unlimited.
#[allow(clippy::option_option, reason = "not there and no limit are two things")]
pub(super) fn max_open_files(text: &str) -> Option<Option<f64>> {
    let limits = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match limits.split_ascii_whitespace().next()? {
        "unlimited" => Some(None),
        soft => number(soft).map(Some),
    }
}

/// `btime` in `/proc/stat`: the boot, in seconds since the Unix epoch.
pub(super) fn boot_time(text: &str) -> Option<f64> {
    number(text.lines().find_map(|line| line.strip_prefix("btime "))?.trim())
}

/// A whole number, as all of them are.
#[allow(clippy::cast_precision_loss, reason = "below 2^53: ticks, pages and counts of one machine")]
fn number(text: &str) -> Option<f64> {
    text.parse::<u64>().ok().map(|number| number as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    // A real line; the name has been replaced by one that is as awkward as the kernel lets it be.
    const STAT: &str = "4242 (a) (b c) S 1 4242 4242 0 -1 4194560 1529 0 3 0 57 31 2 4 20 0 12 0 8812345 123456789 2048 \
        18446744073709551615 1 1 0 0 0 0 0 4096 17642 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

    #[test]
    fn stat_is_read_past_an_awkward_name() {
        let expected = Stat { user_ticks: 57.0, system_ticks: 31.0, threads: 12.0, start_ticks: 8_812_345.0 };
        assert_eq!(stat(STAT), Some(expected));
        for text in ["", "4242 (a", "4242 (a) S 1 2", "1 (a) S x x x x x x x x x x x x x x x x x x x x"] {
            assert_eq!(stat(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_other_files_are_read() {
        assert_eq!(resident_pages("30140 2048 1024 200 0 1500 0\n"), Some(2048.0));
        assert_eq!(resident_pages("30140"), None);
        let limits =
            |value: &str| format!("Limit  Soft Limit  Hard Limit  Units\nMax open files  {value}  1048576  files\n");
        assert_eq!(max_open_files(&limits("1024")), Some(Some(1024.0)));
        assert_eq!(max_open_files(&limits("unlimited")), Some(None));
        assert_eq!(max_open_files("Max processes 1 2 processes\n"), None);
        assert_eq!(boot_time("cpu  1 2 3\nbtime 1790000000\nprocesses 7\n"), Some(1_790_000_000.0));
        assert_eq!(boot_time("cpu  1 2 3\n"), None);
    }
}
