//! What the service manager is told (sd_notify(3)), and the watchdog: it hears from us only while
//! every thread that matters goes round. Without a service manager all of it is silent.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use orca_messages::{Lang, Localize, Text, render, text};
use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// How often an event loop shows that it goes round.
const BEAT: Duration = Duration::from_millis(500);

/// The service manager, in its language.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manager {
    lang: Lang,
}

impl Manager {
    /// Tells nothing yet.
    pub(crate) fn new(lang: Lang) -> Self {
        Self { lang }
    }

    /// From now on clients are served, or everything is read again.
    pub(crate) fn ready(self, listen: &str) {
        let status = text!("{listen} で待ち受けています", "listening on {listen}");
        self.tell(&[NotifyState::Ready], &status);
    }

    /// A reload begins; [`Self::ready`] ends it.
    pub(crate) fn reloading(self) {
        let status = text!("設定を読み直しています", "reading everything again");
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now], &status),
            Err(_) => self.tell(&[], &status),
        }
    }

    /// Nothing new is accepted.
    pub(crate) fn stopping(self) {
        let status = text!(
            "処理中の要求の終了を待っています",
            "waiting for requests under way"
        );
        self.tell(&[NotifyState::Stopping], &status);
    }

    /// There is no start; `systemctl status` shows why.
    pub(crate) fn failed(self, trouble: &dyn Localize) {
        let (id, message) = (trouble.id(), trouble.message());
        let one = |text: &str| render::one_line(text);
        let (ja, en) = (one(message.get(Lang::Ja)), one(message.get(Lang::En)));
        self.tell(&[], &text!("{ja} [{id}]", "{en} [{id}]"));
    }

    /// Nobody to be told is no trouble.
    fn tell(self, states: &[NotifyState<'_>], status: &Text) {
        let mut states = states.to_vec();
        states.push(NotifyState::Status(status.get(self.lang)));
        let _ = sd_notify::notify(false, &states);
    }
}

/// The sign of life of one thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// Shows life once.
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows life for as long as the event loop of the caller goes round.
    pub(crate) async fn keep_beating(self) {
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.beat();
        }
    }
}

/// The pulses of all threads that must live.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchdog {
    pulses: Vec<(Pulse, u64)>,
}

impl Watchdog {
    /// One more thread that must live.
    pub(crate) fn pulse(&mut self) -> Pulse {
        let pulse = Pulse::default();
        self.pulses.push((pulse.clone(), 0));
        pulse
    }

    /// Pings the service manager twice in its time while everybody lives; ends at once where it
    /// asked for nothing. A thread that hangs gets us killed and started again.
    pub(crate) async fn keep_pinging(mut self) {
        let mut usec = 0;
        if !sd_notify::watchdog_enabled(false, &mut usec) {
            return;
        }
        let mut ticks = interval(Duration::from_micros(usec / 2).max(BEAT * 2));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is at once, and nobody had time to show life.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if self.all_alive() {
                let _: io::Result<()> = sd_notify::notify(false, &[NotifyState::Watchdog]);
            }
        }
    }

    /// Whether everybody has shown life since the last call.
    fn all_alive(&mut self) -> bool {
        let mut alive = true;
        for (pulse, seen) in &mut self.pulses {
            let now = pulse.0.load(Ordering::Relaxed);
            alive &= now != *seen;
            *seen = now;
        }
        alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_silent_thread_silences_the_watchdog() {
        let mut watchdog = Watchdog::default();
        let (one, two) = (watchdog.pulse(), watchdog.pulse());
        assert!(!watchdog.all_alive());
        one.beat();
        assert!(!watchdog.all_alive());
        one.beat();
        two.beat();
        assert!(watchdog.all_alive());
        assert!(!watchdog.all_alive());
    }
}
