//! A circuit breaker's state machine: times and results in, verdicts out. It reads no clock.
//!
//! Time is what has passed since the breaker was made. A call that is let in gets a [`Ticket`], and comes back with it;
//! what comes back after the state has changed says nothing about the new one, and is ignored.

use std::time::Duration;

use super::{BreakerSettings, State};

#[derive(Debug)]
pub(super) struct Machine {
    settings: BreakerSettings,
    phase: Phase,
    /// Rises with each change of state, and with each new round of probes.
    generation: u64,
}

#[derive(Debug)]
enum Phase {
    Closed(Window),
    Open { since: Duration },
    HalfOpen { since: Duration, out: u32, succeeded: u32 },
}

/// What a call is let in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    generation: u64,
}

impl Machine {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, phase: Phase::Closed(Window::default()), generation: 0 }
    }

    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Closed(_) => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Whether a call that came now would be let in.
    pub(super) fn would_admit(&self, now: Duration) -> bool {
        match self.phase {
            Phase::Closed(_) => true,
            Phase::Open { since } => self.is_over(since, now),
            Phase::HalfOpen { since, out, succeeded } => {
                out + succeeded < self.settings.probes || self.is_over(since, now)
            }
        }
    }

    /// Lets a call in, or not.
    pub(super) fn admit(&mut self, now: Duration) -> Option<Ticket> {
        if !self.would_admit(now) {
            return None;
        }
        match &mut self.phase {
            Phase::Closed(_) => {}
            Phase::HalfOpen { out, succeeded, .. } if *out + *succeeded < self.settings.probes => *out += 1,
            // The open time is over; or probes are out for as long, and others are sent instead.
            Phase::Open { .. } | Phase::HalfOpen { .. } => {
                self.enter(Phase::HalfOpen { since: now, out: 1, succeeded: 0 });
            }
        }
        Some(Ticket { generation: self.generation })
    }

    /// A call came back.
    pub(super) fn ended(&mut self, ticket: Ticket, failed: bool, now: Duration) {
        if ticket.generation != self.generation {
            return;
        }
        match &mut self.phase {
            Phase::Closed(window) => {
                let (calls, failures) = window.add(failed, now, self.settings.window);
                let enough = calls >= self.settings.minimum_calls;
                if failed && enough && f64::from(failures) >= f64::from(calls) * self.settings.failure_ratio {
                    self.enter(Phase::Open { since: now });
                }
            }
            Phase::HalfOpen { .. } if failed => self.enter(Phase::Open { since: now }),
            Phase::HalfOpen { out, succeeded, .. } => {
                *out = out.saturating_sub(1);
                *succeeded += 1;
                if *succeeded >= self.settings.probes {
                    self.enter(Phase::Closed(Window::default()));
                }
            }
            Phase::Open { .. } => {}
        }
    }

    /// A call was given up: it says nothing, and leaves its place to another.
    pub(super) fn cancelled(&mut self, ticket: Ticket) {
        if ticket.generation == self.generation
            && let Phase::HalfOpen { out, .. } = &mut self.phase
        {
            *out = out.saturating_sub(1);
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation = self.generation.wrapping_add(1);
    }

    fn is_over(&self, since: Duration, now: Duration) -> bool {
        now.saturating_sub(since) >= self.settings.open_for
    }
}

/// The pieces that a window moves by.
const PIECES: u64 = 10;

/// Calls and failures of the last while, in pieces: it moves on by a tenth at a time.
#[derive(Debug, Default)]
struct Window {
    pieces: [Piece; PIECES as usize],
}

#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    /// Which one since the beginning; what was there before is overwritten.
    number: u64,
    calls: u32,
    failures: u32,
}

impl Window {
    /// Adds a call, and returns all calls and failures of the window.
    fn add(&mut self, failed: bool, now: Duration, length: Duration) -> (u32, u32) {
        let number = piece_number(now, length);
        let index = usize::try_from(number % PIECES).unwrap_or_default();
        if let Some(piece) = self.pieces.get_mut(index) {
            if piece.number != number {
                *piece = Piece { number, ..Piece::default() };
            }
            piece.calls = piece.calls.saturating_add(1);
            piece.failures = piece.failures.saturating_add(failed.into());
        }
        let current = self.pieces.iter().filter(|piece| piece.number + PIECES > number);
        current.fold((0, 0), |(calls, failures): (u32, u32), piece| {
            (calls.saturating_add(piece.calls), failures.saturating_add(piece.failures))
        })
    }
}

/// Which piece a moment lies in.
fn piece_number(now: Duration, length: Duration) -> u64 {
    let piece = (length.as_nanos() / u128::from(PIECES)).max(1);
    u64::try_from(now.as_nanos() / piece).unwrap_or(u64::MAX - PIECES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

    /// What happens to a breaker.
    #[derive(Clone, Debug)]
    enum Event {
        Passes(u64),
        Call,
        /// The call that has been out longest, or the n-th after it.
        Ends {
            which: usize,
            failed: bool,
        },
        Cancelled {
            which: usize,
        },
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            3 => (0_u64..1_500).prop_map(Event::Passes),
            6 => Just(Event::Call),
            5 => (0_usize..4, proptest::bool::weighted(0.6)).prop_map(|(which, failed)| Event::Ends { which, failed }),
            1 => (0_usize..4).prop_map(|which| Event::Cancelled { which }),
        ];
        vec(event, 0..300)
    }

    fn settings() -> BreakerSettings {
        BreakerSettings::default()
            .failure_ratio(0.5)
            .minimum_calls(4)
            .window(Duration::from_millis(1_000))
            .open_for(Duration::from_millis(2_000))
            .probes(2)
    }

    /// The same breaker, told as one would to a person: it remembers everything.
    struct Model {
        state: State,
        since: u64,
        /// When calls of this time of being closed ended, and how.
        ended: Vec<(u64, bool)>,
        /// Probes of this round.
        out: u32,
        succeeded: u32,
        round: u32,
    }

    impl Model {
        fn enter(&mut self, state: State, now: u64) {
            let (ended, round) = (Vec::new(), self.round + 1);
            *self = Self { state, since: now, ended, out: 0, succeeded: 0, round };
        }

        fn admit(&mut self, now: u64) -> bool {
            let over = now - self.since >= 2_000;
            match self.state {
                State::Closed => return true,
                State::Open if !over => return false,
                State::HalfOpen if self.out + self.succeeded < 2 => {}
                State::HalfOpen if !over => return false,
                State::Open | State::HalfOpen => self.enter(State::HalfOpen, now),
            }
            self.out += 1;
            true
        }

        fn ended(&mut self, failed: bool, now: u64) {
            match self.state {
                State::Closed => {
                    self.ended.push((now, failed));
                    let current = || self.ended.iter().filter(|(then, _)| then / 100 + 10 > now / 100);
                    let (calls, failures) = (current().count(), current().filter(|(_, failed)| *failed).count());
                    if failed && calls >= 4 && failures * 2 >= calls {
                        self.enter(State::Open, now);
                    }
                }
                State::HalfOpen if failed => self.enter(State::Open, now),
                State::HalfOpen => {
                    (self.out, self.succeeded) = (self.out - 1, self.succeeded + 1);
                    if self.succeeded == 2 {
                        self.enter(State::Closed, now);
                    }
                }
                State::Open => unreachable!("nothing that is let in belongs to it"),
            }
        }
    }

    proptest! {
        #[test]
        fn it_does_what_the_model_does(events in events()) {
            let mut machine = Machine::new(settings());
            let mut model =
                Model { state: State::Closed, since: 0, ended: Vec::new(), out: 0, succeeded: 0, round: 0 };
            let mut now = 0;
            let mut out: Vec<(Ticket, u32)> = Vec::new();
            for event in events {
                let time = Duration::from_millis(now);
                match event {
                    Event::Passes(millis) => now += millis,
                    Event::Call => {
                        let would = machine.would_admit(time);
                        let ticket = machine.admit(time);
                        assert_eq!(ticket.is_some(), would);
                        assert_eq!(ticket.is_some(), model.admit(now));
                        out.extend(ticket.map(|ticket| (ticket, model.round)));
                    }
                    Event::Ends { which, failed } if which < out.len() => {
                        let (ticket, round) = out.remove(which);
                        machine.ended(ticket, failed, time);
                        if round == model.round {
                            model.ended(failed, now);
                        }
                    }
                    Event::Cancelled { which } if which < out.len() => {
                        let (ticket, round) = out.remove(which);
                        machine.cancelled(ticket);
                        if round == model.round && model.state == State::HalfOpen {
                            model.out -= 1;
                        }
                    }
                    Event::Ends { .. } | Event::Cancelled { .. } => {}
                }
                assert_eq!(machine.state(), model.state);
                assert!(model.out <= 2, "no more probes than allowed");
            }
            // Whatever happened, and whatever never came back, it lets somebody in when its time is over.
            assert!(machine.would_admit(Duration::from_millis(now + 2_000)));
        }
    }

    #[test]
    fn old_calls_leave_the_window() {
        let mut machine = Machine::new(settings());
        let mut fail = |millis| {
            let now = Duration::from_millis(millis);
            let ticket = machine.admit(now).expect("it is closed");
            machine.ended(ticket, true, now);
            machine.state()
        };
        for millis in [0, 400, 800, 1_200, 1_600, 2_000] {
            assert_eq!(fail(millis), State::Closed, "never four within a second");
        }
        assert_eq!(fail(2_001), State::Open, "1200, 1600, 2000 and this one");
    }

    #[test]
    fn a_long_life_and_odd_settings_do_no_harm() {
        let odd = settings().window(Duration::ZERO).minimum_calls(0).probes(0).open_for(Duration::ZERO);
        let mut machine = Machine::new(odd);
        let ticket = machine.admit(Duration::MAX).expect("it is closed");
        machine.ended(ticket, true, Duration::MAX);
        assert_eq!(machine.state(), State::Open);
        let ticket = machine.admit(Duration::MAX).expect("it is over at once");
        machine.ended(ticket, false, Duration::MAX);
        assert_eq!(machine.state(), State::Closed, "no probes count as one");
    }
}
