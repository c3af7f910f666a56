//! What every run does beside its command, so that the CRL never lapses and reaches everybody.

use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::publication::PlaceReport;
use orca_messages::syslog::Syslog;
use orca_messages::{Finding, Localize, Text, text, zone};

use crate::args::Command;
use crate::session::{Failure, Session};

/// What a command leaves to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Upkeep {
    /// It makes and publishes a CRL itself, unless it fails before.
    Afterwards,
    /// It publishes, but makes no CRL.
    Before,
    /// It looks at what is there; nothing may change before its eyes.
    Nothing,
    /// It only reads, and stays quick: nobody is called.
    Reading,
    /// It changes something: whoever has not got the newest CRL is tried once more.
    Writing,
}

impl Upkeep {
    pub(crate) fn of(command: &Command) -> Self {
        match command {
            Command::RevokeCert(_) | Command::IssueCrl(_) => Self::Afterwards,
            Command::PublishCrl(_) => Self::Before,
            Command::Audit(_) => Self::Nothing,
            Command::ListCert(_) | Command::Overview | Command::Show(_) | Command::Diagnose(_) => {
                Self::Reading
            }
            Command::Init(_)
            | Command::IssueServerCert(_)
            | Command::IssueClientCert(_)
            | Command::IssueFromCsv(_)
            | Command::ExportCert(_)
            | Command::ServerKit(_)
            | Command::ApiKit(_) => Self::Writing,
        }
    }

    /// Renews a CRL that is old, and mends what a killed command left behind. The command itself
    /// runs whatever comes of it.
    pub(crate) fn before(
        self,
        authority: &mut Authority,
        session: &mut Session<'_>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if self == Self::Nothing {
            return Ok(());
        }
        note_configuration(authority, session, now)?;
        if self == Self::Afterwards {
            return Ok(());
        }
        renew(authority, session, now)?;
        if let Err(error) = authority.mend(now) {
            session.warn(error.id(), error.message(), error.remedy())?;
        }
        Ok(())
    }

    /// Sees to gateways, and to the CRL where the command that would have made one failed.
    pub(crate) fn after(
        self,
        authority: &mut Authority,
        session: &mut Session<'_>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if self == Self::Nothing {
            return Ok(());
        }
        session.output.flush()?;
        // The command may have added a place for CRLs.
        note_configuration(authority, session, now)?;
        let result = self.see_to_others(authority, session, now);
        tell_head(authority, now);
        result
    }

    fn see_to_others(
        self,
        authority: &mut Authority,
        session: &mut Session<'_>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let laggards = match self {
            Self::Afterwards => return renew(authority, session, now),
            Self::Nothing | Self::Before => return Ok(()),
            Self::Reading => authority.laggards(),
            Self::Writing => authority.remind_laggards(now),
        };
        match laggards {
            Ok(laggards) if laggards.is_empty() => Ok(()),
            Ok(laggards) => tell(&laggards, session),
            Err(error) => {
                session.warn(error.id(), error.message(), error.remedy())?;
                Ok(())
            }
        }
    }
}

/// A changed configuration belongs into the audit trail.
pub(crate) fn note_configuration(
    authority: &mut Authority,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    if let Err(error) = authority.note_configuration(now) {
        session.warn(error.id(), error.message(), error.remedy())?;
    }
    Ok(())
}

/// Tells the machine's log how far the audit trail has come: whoever rewrites the register later
/// contradicts it.
pub(crate) fn tell_head(authority: &Authority, now: Timestamp) {
    if let Some(head) = authority.trail_head() {
        let syslog = Syslog::new("orca-catool", zone::local());
        syslog.say(
            now,
            &format!("head of the audit trail: {head} [audit-head]"),
        );
    }
}

fn renew(
    authority: &mut Authority,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    match authority.renew_crl(now) {
        Ok(None) => {}
        Ok(Some(number)) => session.find(&Finding::ok(
            "crl-renewed",
            text!(
                "CRLの有効期間の半分が過ぎたため、新しいCRL(番号 {number})を発行しました。",
                "half the life of the CRL was over: number {number} was made and published"
            ),
        ))?,
        Err(error) => {
            let Text { ja, en } = error.message();
            let remedy = error.remedy();
            session.warn(
                "crl-not-renewed",
                text!(
                    "CRLの有効期間の半分が過ぎていますが、新しいCRLを届けられませんでした。{ja}",
                    "half the life of the CRL is over, but a new one could not be made or published: {en}"
                ),
                remedy,
            )?;
        }
    }
    Ok(())
}

fn tell(laggards: &[PlaceReport], session: &mut Session<'_>) -> Result<(), Failure> {
    let each = |pick: fn(&Text) -> &str, never: &str, before: &str| {
        let lines = laggards.iter().map(|laggard| {
            let has = match laggard.number {
                Some(number) => format!("{before}{number}"),
                None => never.to_owned(),
            };
            match laggard.failure.as_ref().map(|failure| failure.text()) {
                Some(cause) => format!("{} ({has}): {}", laggard.place, pick(&cause)),
                None => format!("{} ({has})", laggard.place),
            }
        });
        lines.collect::<Vec<_>>().join("; ")
    };
    let ja = each(|text| &text.ja, "未受信", "受信済みの番号 ");
    let en = each(|text| &text.en, "it has none", "it has number ");
    session.warn(
        "gateways-behind",
        text!(
            "最新のCRLがまだ届いていないゲートウェイがあります。{ja}",
            "gateways that have not got the newest CRL yet: {en}"
        ),
        text!(
            "原因を取り除いてから orca-catool publish_crl を実行してください。",
            "remove the cause, then run orca-catool publish_crl"
        ),
    )?;
    Ok(())
}
