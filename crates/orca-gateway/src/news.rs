//! What is worth a line in the event log once, and not at every request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Texts remembered at most, so that strangers cannot fill the log or the memory.
const MOST: usize = 64;
/// How long a text is not told again.
const PAUSE: Duration = Duration::from_secs(3600);

/// Texts that were told of late.
#[derive(Debug, Default)]
pub(crate) struct News(Mutex<HashMap<String, Instant>>);

impl News {
    /// Whether to tell `text` now: once an hour, and only so many different ones.
    pub(crate) fn is_news(&self, text: &str, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.saturating_duration_since(*at) < PAUSE);
        if told.contains_key(text) || told.len() >= MOST {
            return false;
        }
        told.insert(text.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_once_an_hour_and_strangers_cannot_fill_the_log() {
        let news = News::default();
        let now = Instant::now();
        assert!(news.is_news("a", now));
        assert!(!news.is_news("a", now + PAUSE / 2));
        assert!(news.is_news("a", now + PAUSE));
        let told = (0..2 * MOST).filter(|number| news.is_news(&number.to_string(), now + PAUSE));
        assert_eq!(told.count(), MOST - 1);
    }
}
