//! Steps that were taken, and their way back.

use orca_messages::{Finding, render, text};

use super::door;
use super::files;
use super::plan::Change;
use super::record::Record;
use super::service;
use super::{AttachError, Tell};

/// What was done and may have to be undone.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A file was changed.
    Restore(Change),
    /// WebORCA read a changed file.
    RestartWeborca,
    /// The gateway was started where it had not been.
    StopGateway,
    /// Clients were led to the gateway.
    OpenDoor,
}

/// The steps in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Undo(Vec<Step>);

impl Undo {
    /// Notes a step before it is taken, so that half of one is undone too.
    pub(super) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    /// Undoes everything, the last first; what cannot be undone is told and the rest goes on.
    pub(super) fn all(self, tell: Tell<'_>) {
        for step in self.0.into_iter().rev() {
            if let Err(error) = step.undo() {
                tell(&not_undone(&error));
            }
        }
        tell(&undone());
    }
}

impl Step {
    fn undo(self) -> Result<(), AttachError> {
        match self {
            Self::Restore(change) => match &change.before {
                Some(before) => files::replace(&change.path, before.as_bytes(), 0o640)?,
                None => files::remove(&change.path)?,
            },
            Self::RestartWeborca => service::systemctl(&["restart", service::WEBORCA])?,
            Self::StopGateway => {
                let units = [service::SOCKET, service::GATEWAY];
                service::systemctl(&[&["stop"][..], &units[..]].concat())?;
                service::systemctl(&[&["disable"][..], &units[..]].concat())?;
                service::listen_as_shipped()?;
            }
            Self::OpenDoor => {
                Record::remove()?;
                door::open()?;
                if service::is_there() {
                    service::systemctl(&["disable", service::DOOR])?;
                    service::systemctl(&["stop", service::DOOR])?;
                }
            }
        }
        Ok(())
    }
}

fn undone() -> Finding {
    Finding::ok(
        "attach-undone",
        text!("すべて元に戻しました。", "everything is as it was before"),
    )
}

fn not_undone(error: &AttachError) -> Finding {
    let cause = render::one_line(&error.to_string());
    Finding::failure(
        "attach-not-undone",
        text!(
            "元に戻せないものがあります({cause})。",
            "something cannot be undone: {cause}"
        ),
        text!(
            "設定ファイルのそばの .before-attach が変更前の内容です。",
            "the files with .before-attach beside the configuration hold what stood there before"
        ),
    )
}
