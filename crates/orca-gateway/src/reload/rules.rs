//! Keeps operators and windows in step with their files. A broken file keeps the old rules in force.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use orca_messages::{Finding, text};
use orca_pki::verification::Authorities;

use super::watched::Watched;
use crate::certificate_list::ListError;
use crate::log::EventLog;
use crate::meters::ReloadOutcome;
use crate::operators::Operators;
use crate::rules::Rules;
use crate::windows::Windows;

/// Polls without change before a file is taken: editors write in steps.
const SETTLE: u32 = 10;

/// Where the rules are written down.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct RuleFiles {
    pub(crate) operators: Option<PathBuf>,
    pub(crate) windows: Option<PathBuf>,
}

/// The rules in force, and their files.
pub(crate) struct RuleKeeper {
    files: RuleFiles,
    zone: TimeZone,
    rules: Arc<Rules>,
    watched: Watched,
}

impl RuleFiles {
    /// Reads both.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn read(&self, zone: &TimeZone) -> Result<Rules, Vec<ListError>> {
        let mut rules = Rules::none(zone.clone());
        let mut errors = Vec::new();
        if let Some(path) = &self.operators {
            match Operators::load(path) {
                Ok(operators) => rules.operators = operators,
                Err(wrong) => errors.extend(wrong),
            }
        }
        if let Some(path) = &self.windows {
            match Windows::load(path, zone.clone()) {
                Ok(windows) => rules.windows = windows,
                Err(wrong) => errors.extend(wrong),
            }
        }
        if errors.is_empty() {
            Ok(rules)
        } else {
            Err(errors)
        }
    }
}

impl RuleKeeper {
    /// Reads the files for the first time; hours are meant in `zone`.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn start(files: &RuleFiles, zone: TimeZone) -> Result<Self, Vec<ListError>> {
        let mut watched = Watched::new(files.operators.iter().chain(&files.windows));
        watched.take();
        Ok(Self {
            rules: Arc::new(files.read(&zone)?),
            files: files.clone(),
            zone,
            watched,
        })
    }

    /// Says what is in force, if anything.
    pub(super) fn tell(&self, log: &EventLog, authorities: &Authorities) {
        if self.files == RuleFiles::default() {
            return;
        }
        let operators = self.rules.operators.len();
        log.finding(&Finding::ok(
            "rules-taken",
            text!(
                "オペレータと利用時間の設定を読み込みました(オペレータ{operators}名)。",
                "operators and hours are read and in force ({operators} operators listed)",
            ),
        ));
        if let Some(warning) = self.rules.warning(authorities) {
            log.finding(&warning);
        }
    }

    /// What is in force.
    pub(super) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Whether a file has changed and come to rest.
    pub(super) fn has_changed(&mut self) -> bool {
        self.watched.settled(SETTLE)
    }

    /// Reads the files again; `None` where there are none.
    pub(super) fn reload(
        &mut self,
        log: &EventLog,
        authorities: &Authorities,
    ) -> Option<ReloadOutcome> {
        if self.files == RuleFiles::default() {
            return None;
        }
        self.watched.take();
        match self.files.read(&self.zone) {
            Ok(rules) => {
                self.rules = Arc::new(rules);
                self.tell(log, authorities);
                Some(ReloadOutcome::Taken)
            }
            Err(errors) => {
                for error in &errors {
                    log.trouble(error);
                }
                log.finding(&Finding::warning(
                    "old-rules-kept",
                    text!(
                        "新しいオペレータと利用時間の設定は使えないため、以前のものを使い続けます。",
                        "the new operators and hours cannot be used; the old ones stay in force",
                    ),
                    text!(
                        "上の原因を直してください。直したファイルは自動的に読み込まれます。",
                        "mend what the lines above say; the files are read again when they change",
                    ),
                ));
                Some(ReloadOutcome::Kept)
            }
        }
    }
}
