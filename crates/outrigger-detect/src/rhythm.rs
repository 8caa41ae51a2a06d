//! Anomalies that come by the clock: what a job slows for some minutes of every hour, or of every night. They are told until
//! their rhythm is known; from then on only one that is worse or longer than they use to be.

use serde::{Deserialize, Serialize};

/// Anomalies that make a rhythm.
const KNOWN: usize = 3;
/// The shortest rhythm, in seconds: what comes back sooner than that is trouble, however regular.
const SHORTEST: u32 = 1500;
/// An anomaly is on time that begins within so many seconds, and within this part of the period.
const TOLERANCE: u32 = 120;
const TOLERANCE_PART: u32 = 10;
/// Periods after which a rhythm that was not heard of is over.
const SILENT: u32 = 4;
/// What is expected may last so much longer than it uses to, and a minute more, and be so much stronger.
const LONGER: f64 = 1.5;
const LONGER_SECONDS: f64 = 60.0;
const STRONGER: f64 = 1.5;
/// And this much more, as a logarithm of latency: weak anomalies differ by their noise.
const STRONGER_RISE: f64 = 0.05;
/// What is three times as slow is told however often it comes: the logarithm of that.
const NEVER_USUAL: f64 = 1.1;
/// Rises are kept in thousandths.
const RISE_UNIT: f64 = 1e-3;

/// One anomaly that ended by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Past {
    /// When it began, in seconds since the epoch.
    at: u32,
    seconds: u16,
    /// By how much the mean logarithm of latency rose.
    rise: u16,
}

/// What comes again and again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Habit {
    /// Seconds from the beginning of one to that of the next.
    period: u32,
    latest: Past,
}

impl Habit {
    /// Whether what begins at a time comes with the rhythm.
    fn is_on_time(&self, at: u32) -> bool {
        at.checked_sub(self.latest.at).is_some_and(|gap| is_multiple(gap, self.period))
    }
}

/// Whether some time is one, two or a few periods.
fn is_multiple(gap: u32, period: u32) -> bool {
    let times = gap.saturating_add(period / 2) / period.max(1);
    (1..=SILENT).contains(&times)
        && gap.abs_diff(times.saturating_mul(period)) <= TOLERANCE.min(period / TOLERANCE_PART)
}

/// The anomalies of one route by the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rhythm {
    habit: Option<Habit>,
    /// The latest that were told, newest first; those that never were begin at 0.
    past: [Past; KNOWN],
}

impl Rhythm {
    /// Learns from an anomaly that ended by itself. One that was told although it came with the rhythm was worse than usual: what
    /// is expected grows only when that, too, has come three times. Nothing is learnt where the time is not known.
    pub(crate) fn remember(&mut self, began: f64, seconds: f64, rise: f64, was_told: bool) {
        let Some(at) = second(began) else { return };
        let past = Past {
            at,
            seconds: seconds.clamp(0.0, 65_535.0) as u16,
            rise: (rise / RISE_UNIT).clamp(0.0, 65_535.0) as u16,
        };
        if let Some(habit) = self.habit.as_mut().filter(|habit| habit.is_on_time(at)) {
            habit.latest.at = at;
            if !was_told {
                // One that was mild says little of the next.
                let usual = |new: u16, old: u16| new.max(old.midpoint(new));
                habit.latest.seconds = usual(past.seconds, habit.latest.seconds);
                habit.latest.rise = usual(past.rise, habit.latest.rise);
                return;
            }
        }
        self.past.rotate_right(1);
        let [newest, middle, oldest] = &mut self.past;
        *newest = past;
        let known = oldest.at > 0;
        if let (Some(last), Some(first)) = (at.checked_sub(middle.at), middle.at.checked_sub(oldest.at))
            && known
            && last.min(first) >= SHORTEST
            && is_multiple(last.max(first), last.min(first))
        {
            let of = |part: fn(&Past) -> u16| part(newest).max(part(middle)).max(part(oldest));
            let latest = Past { at, seconds: of(|past| past.seconds), rise: of(|past| past.rise) };
            self.habit = Some(Habit { period: last.min(first), latest });
            self.past = Default::default();
        }
    }

    /// Whether an anomaly that began at a time, lasts for so long, and raised the mean logarithm of latency by so much, is what
    /// comes by the clock, and no worse.
    pub(crate) fn expects(&self, began: f64, seconds: f64, rise: f64, longest: f64) -> bool {
        let (Some(habit), Some(at)) = (&self.habit, second(began)) else { return false };
        let usual = &habit.latest;
        let may_last = (f64::from(usual.seconds) * LONGER + LONGER_SECONDS).min(longest);
        habit.is_on_time(at)
            && seconds <= may_last
            && rise <= (f64::from(usual.rise) * RISE_UNIT * STRONGER + STRONGER_RISE).min(NEVER_USUAL)
    }

    /// Whether the parts agree, for a state that comes from outside.
    pub(crate) fn is_sound(&self) -> bool {
        self.habit.is_none_or(|habit| habit.period >= SHORTEST)
    }
}

/// A time in whole seconds since the epoch, if it is one.
fn second(at: f64) -> Option<u32> {
    (at.is_finite() && at >= 1.0 && at < f64::from(u32::MAX)).then_some(at as u32)
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, Rhythm};

    const HOUR: f64 = 3600.0;
    const START: f64 = 1.8e9;

    /// A rhythm of three minutes at each of the given times, a rise by half each.
    fn of(times: &[f64]) -> Rhythm {
        let mut rhythm = Rhythm::default();
        for at in times {
            rhythm.remember(START + at, 180.0, 0.4, true);
        }
        rhythm
    }

    fn expects(rhythm: &Rhythm, at: f64) -> bool {
        rhythm.expects(START + at, 6.0, 0.4, 1800.0)
    }

    #[test]
    fn three_make_a_rhythm() {
        let hours: Vec<f64> = (0..=KNOWN).map(|hour| hour as f64 * HOUR).collect();
        for known in 0..=KNOWN {
            assert_eq!(expects(&of(&hours[..known]), hours[known]), known == KNOWN, "after {known}");
        }
        // A little early or late, and again after one that was missed.
        let rhythm = of(&hours[..KNOWN]);
        for (late, expected) in [(-100.0, true), (100.0, true), (HOUR, true), (-150.0, false), (1800.0, false)] {
            assert_eq!(expects(&rhythm, hours[KNOWN] + late), expected, "{late} s late");
        }
        assert!(!expects(&rhythm, hours[KNOWN] + 6.0 * HOUR), "half a night without it");
    }

    #[test]
    fn a_night_is_a_period_too_and_twenty_minutes_are_none() {
        assert!(expects(&of(&[0.0, 24.0 * HOUR, 48.0 * HOUR]), 72.0 * HOUR));
        assert!(expects(&of(&[0.0, 1800.0, 3600.0]), 5400.0));
        assert!(!expects(&of(&[0.0, 1200.0, 2400.0]), 3600.0));
        // One of them was missed while they were learnt.
        assert!(expects(&of(&[0.0, 2.0 * HOUR, 3.0 * HOUR]), 4.0 * HOUR));
        assert!(!expects(&of(&[0.0, 1.4 * HOUR, 2.4 * HOUR]), 3.4 * HOUR));
    }

    #[test]
    fn worse_or_longer_is_not_expected() {
        let rhythm = of(&[0.0, HOUR, 2.0 * HOUR]);
        let at = START + 3.0 * HOUR;
        for (seconds, rise, expected) in
            [(300.0, 0.4, true), (400.0, 0.4, false), (60.0, 0.6, true), (60.0, 0.7, false), (60.0, 0.0, true)]
        {
            assert_eq!(rhythm.expects(at, seconds, rise, 1800.0), expected, "{seconds} s, {rise}");
        }
        assert!(!rhythm.expects(at, 300.0, 0.4, 200.0), "never longer than the limit");
        let mut outage = Rhythm::default();
        (0..3).for_each(|hour| outage.remember(START + f64::from(hour) * HOUR, 180.0, 2.0, true));
        assert!(!outage.expects(at, 60.0, 2.0, 1800.0), "never what nobody would put up with");
    }

    #[test]
    fn what_grows_is_told_three_times_again() {
        let mut rhythm = of(&[0.0, HOUR, 2.0 * HOUR]);
        for hour in 3..6 {
            let at = START + f64::from(hour) * HOUR;
            assert!(!rhythm.expects(at, 60.0, 1.0, 1800.0), "hour {hour}");
            rhythm.remember(at, 180.0, 1.0, true);
        }
        assert!(rhythm.expects(START + 6.0 * HOUR, 60.0, 1.0, 1800.0));
        // And what becomes milder is expected to stay so, after a while.
        for hour in 6..12 {
            rhythm.remember(START + f64::from(hour) * HOUR, 30.0, 0.1, false);
        }
        assert!(!rhythm.expects(START + 12.0 * HOUR, 60.0, 1.0, 1800.0));
    }

    #[test]
    fn other_trouble_does_not_break_it() {
        let mut rhythm = of(&[0.0, HOUR, 2.0 * HOUR]);
        rhythm.remember(START + 2.4 * HOUR, 900.0, 2.0, true);
        rhythm.remember(START + 2.7 * HOUR, 900.0, 2.0, true);
        assert!(expects(&rhythm, 3.0 * HOUR));
        assert!(!rhythm.expects(START + 3.0 * HOUR, 60.0, 2.0, 1800.0), "and teaches it nothing");
    }

    #[test]
    fn a_clock_that_is_set_or_unknown_does_no_harm() {
        let mut rhythm = of(&[2.0 * HOUR, HOUR, 0.0]);
        assert!(!expects(&rhythm, HOUR));
        for at in [f64::NAN, f64::INFINITY, -5.0, 0.0, 1e300] {
            let before = rhythm;
            rhythm.remember(at, 180.0, 0.4, true);
            assert_eq!(rhythm, before);
            assert!(!rhythm.expects(at, 6.0, 0.0, 1800.0));
        }
        rhythm.remember(START, f64::NAN, f64::NAN, false);
        assert!(rhythm.is_sound());
    }
}
