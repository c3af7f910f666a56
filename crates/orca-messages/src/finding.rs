//! The result of one check.

use crate::Text;

/// How a check ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but somebody should look at it.
    Warning,
    /// Broken.
    Failure,
}

/// The result of one check: what was looked at, how it is, what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Stable identifier in kebab-case.
    pub id: &'static str,
    /// How the check ended.
    pub verdict: Verdict,
    /// What was seen.
    pub message: Text,
    /// What to do, where something is to be done.
    pub remedy: Option<Text>,
}

impl Finding {
    /// Nothing wrong.
    pub fn ok(id: &'static str, message: Text) -> Self {
        Self {
            id,
            verdict: Verdict::Ok,
            message,
            remedy: None,
        }
    }

    /// Works, with a reservation.
    pub fn warning(id: &'static str, message: Text, remedy: Text) -> Self {
        Self {
            id,
            verdict: Verdict::Warning,
            message,
            remedy: Some(remedy),
        }
    }

    /// Broken.
    pub fn failure(id: &'static str, message: Text, remedy: Text) -> Self {
        Self {
            id,
            verdict: Verdict::Failure,
            message,
            remedy: Some(remedy),
        }
    }
}
