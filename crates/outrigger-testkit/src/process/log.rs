//! What a process says: read by a thread per stream, kept within bounds.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

const MOST_BYTES: usize = 8 * 1024 * 1024;
const LONGEST_LINE: u64 = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<(Stream, String)>,
    bytes: usize,
    dropped: usize,
    open_streams: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    shared: Arc<(Mutex<Lines>, Condvar)>,
}

impl Log {
    pub(super) fn follow(out: Option<impl Read + Send + 'static>, err: Option<impl Read + Send + 'static>) -> Self {
        let log = Self::default();
        if let Some(out) = out {
            log.read(Stream::Out, out);
        }
        if let Some(err) = err {
            log.read(Stream::Err, err);
        }
        log
    }

    fn read(&self, stream: Stream, from: impl Read + Send + 'static) {
        self.lines().open_streams += 1;
        let log = self.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(from);
            let mut line = Vec::new();
            while reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                log.push(stream, String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned());
                line.clear();
            }
            log.lines().open_streams -= 1;
            log.shared.1.notify_all();
        });
    }

    fn push(&self, stream: Stream, line: String) {
        let mut all = self.lines();
        all.bytes += line.len() + 1;
        all.lines.push_back((stream, line));
        while all.bytes > MOST_BYTES {
            let Some((_, oldest)) = all.lines.pop_front() else { break };
            all.bytes -= oldest.len() + 1;
            all.dropped += 1;
        }
    }

    pub(super) fn text(&self, wanted: impl Fn(Stream) -> bool) -> String {
        let all = self.lines();
        let mut text = match all.dropped {
            0 => String::new(),
            dropped => format!("[testkit: the oldest {dropped} lines were dropped]\n"),
        };
        for (_, line) in all.lines.iter().filter(|(stream, _)| wanted(*stream)) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    pub(super) fn tail(&self, most: usize) -> String {
        let all = self.lines();
        let from = all.lines.len().saturating_sub(most);
        all.lines.range(from..).map(|(_, line)| format!("    {line}\n")).collect()
    }

    pub(super) fn find(&self, part: &str) -> Option<String> {
        self.lines().lines.iter().map(|(_, line)| line).find(|line| line.contains(part)).cloned()
    }

    /// Waits until both streams are closed, so that the last words are in: at most `patience`, for a descendant that
    /// left the group may hold them open for ever.
    pub(super) fn drain(&self, patience: Duration) {
        let all = self.lines();
        let _ = self.shared.1.wait_timeout_while(all, patience, |all| all.open_streams > 0);
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: Vec<u8>) -> Log {
        let log = Log::follow(Some(std::io::Cursor::new(bytes)), None::<std::io::Empty>);
        log.drain(Duration::from_secs(10));
        log
    }

    #[test]
    fn lines_are_kept_in_order_and_found_by_part() {
        let log = read(b"one\r\ntwo is here\nthree".to_vec());
        assert_eq!(log.text(|_| true), "one\ntwo is here\nthree\n");
        assert_eq!(log.find("is").as_deref(), Some("two is here"));
        assert_eq!(log.find("four"), None);
        assert_eq!(log.tail(1), "    three\n");
    }

    #[test]
    fn memory_is_bounded_and_the_loss_is_told() {
        let line = "x".repeat(99_999);
        let mut bytes = Vec::new();
        for _ in 0..200 {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        let text = read(bytes).text(|_| true);
        assert!(text.len() <= MOST_BYTES + 100, "{}", text.len());
        assert!(text.starts_with("[testkit: the oldest 117 lines were dropped]"), "{}", &text[..80]);
    }
}
