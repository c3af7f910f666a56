//! The report in the text format of Prometheus (version 0.0.4).

use std::fmt::{self, Write};

use super::report::{Authority, Report};

/// All figures, each with its help and type.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write(report, &mut text);
    text
}

fn write(report: &Report, out: &mut String) -> fmt::Result {
    head(out, "info", "gauge", "Version and mode.")?;
    let info = format!(
        "{{version=\"{}\",mode=\"{}\"}}",
        report.version, report.mode
    );
    value(out, "info", &info, 1)?;
    for (name, kind, help, figure) in figures(report) {
        head(out, name, kind, help)?;
        value(out, name, "", figure)?;
    }
    write_certificate(out, report)?;
    write_ends(out, report)?;
    write_lists(out, &report.authorities)?;
    write_delivery(out, report)?;
    write_labelled(out, report)
}

type Figure = (&'static str, &'static str, &'static str, u64);

fn figures(report: &Report) -> [Figure; 8] {
    let connections = &report.connections;
    [
        (
            "crl_file_gone",
            "gauge",
            "Whether the file that the revocation lists came from is gone.",
            u64::from(report.crl_file_gone),
        ),
        (
            "listening",
            "gauge",
            "Whether the public listener is bound.",
            u64::from(report.listening),
        ),
        (
            "upstream_up",
            "gauge",
            "Whether the application answered last time.",
            u64::from(report.upstream.up),
        ),
        (
            "connections_open",
            "gauge",
            "Connections open now.",
            connections.open,
        ),
        (
            "connections_total",
            "counter",
            "Connections accepted.",
            connections.total,
        ),
        (
            "connections_ended_total",
            "counter",
            "Connections ended because their certificate counts no longer.",
            connections.ended,
        ),
        (
            "handshakes_total",
            "counter",
            "TLS handshakes completed.",
            report.handshakes,
        ),
        (
            "requests_total",
            "counter",
            "Requests answered by the application.",
            report.requests,
        ),
    ]
}

fn write_certificate(out: &mut String, report: &Report) -> fmt::Result {
    let Some(certificate) = &report.certificate else {
        return Ok(());
    };
    let name = "server_certificate_not_after_seconds";
    head(
        out,
        name,
        "gauge",
        "End of the server certificate, Unix time.",
    )?;
    value(out, name, "", certificate.not_after_seconds)?;
    let name = "server_certificate_days_left";
    let help = "Whole days left of the server certificate.";
    head(out, name, "gauge", help)?;
    value(out, name, "", certificate.days_left)
}

fn write_delivery(out: &mut String, report: &Report) -> fmt::Result {
    head(
        out,
        "crl_pushes_total",
        "counter",
        "Revocation lists that were sent, by what became of them.",
    )?;
    for (result, count) in &report.crl_pushes {
        let label = format!("{{result=\"{result}\"}}");
        value(out, "crl_pushes_total", &label, count)?;
    }
    let Some(fetch) = &report.crl_fetch else {
        return Ok(());
    };
    head(
        out,
        "crl_fetch_failing",
        "gauge",
        "Whether the address in CA_CRL gave no list last time.",
    )?;
    value(out, "crl_fetch_failing", "", i64::from(fetch.failing))?;
    if let Some(seconds) = fetch.last_success_seconds {
        let name = "crl_fetch_last_success_seconds";
        head(
            out,
            name,
            "gauge",
            "When the address in CA_CRL gave a list, Unix time.",
        )?;
        value(out, name, "", seconds)?;
    }
    Ok(())
}

fn write_labelled(out: &mut String, report: &Report) -> fmt::Result {
    head(
        out,
        "refusals_total",
        "counter",
        "Requests and handshakes that were not served, by cause.",
    )?;
    for (cause, count) in &report.refusals {
        let label = format!("{{cause=\"{cause}\"}}");
        value(out, "refusals_total", &label, count)?;
    }
    head(
        out,
        "admitted_total",
        "counter",
        "Requests served without a valid certificate, by ground and cause.",
    )?;
    for (ground, causes) in &report.admitted {
        for (cause, count) in causes {
            let label = format!("{{ground=\"{ground}\",cause=\"{cause}\"}}");
            value(out, "admitted_total", &label, count)?;
        }
    }
    head(out, "exemptions", "gauge", "Entries of GATEWAY_EXEMPT.")?;
    value(out, "exemptions", "", report.exemptions.len())?;
    head(
        out,
        "log_lines_dropped_total",
        "counter",
        "Log lines that were lost.",
    )?;
    let dropped = &report.dropped_log_lines;
    for (log, count) in [("event", dropped.event), ("access", dropped.access)] {
        let label = format!("{{log=\"{log}\"}}");
        value(out, "log_lines_dropped_total", &label, count)?;
    }
    head(
        out,
        "alarm",
        "gauge",
        "What somebody should look at; absent when there is nothing.",
    )?;
    for alarm in &report.alarms {
        value(out, "alarm", &format!("{{id=\"{alarm}\"}}"), 1)?;
    }
    Ok(())
}

/// How long it all lasts, and when files were read last.
fn write_ends(out: &mut String, report: &Report) -> fmt::Result {
    head(
        out,
        "access_log_writable",
        "gauge",
        "Whether the access log could be written last time.",
    )?;
    let writable = u64::from(report.access_log.writable);
    value(out, "access_log_writable", "", writable)?;
    if let Some(lockout) = &report.lockout {
        let name = "days_until_lockout";
        let help = "Whole days until the first certificate or list in use ends.";
        head(out, name, "gauge", help)?;
        value(out, name, "", lockout.days_left)?;
    }
    if !report.authorities.is_empty() {
        let name = "authority_not_after_seconds";
        head(out, name, "gauge", "End of a CA certificate, Unix time.")?;
        for ca in &report.authorities {
            let label = format!("{{issuer=\"{}\"}}", escaped(&ca.subject));
            value(out, name, &label, ca.not_after_seconds)?;
        }
        let name = "authority_days_left";
        head(out, name, "gauge", "Whole days left of a CA certificate.")?;
        for ca in &report.authorities {
            let label = format!("{{issuer=\"{}\"}}", escaped(&ca.subject));
            value(out, name, &label, ca.days_left)?;
        }
    }
    let Some(reload) = &report.last_reload else {
        return Ok(());
    };
    let name = "last_reload_seconds";
    let help = "When files were read last, Unix time, by what became of them.";
    head(out, name, "gauge", help)?;
    let label = format!("{{result=\"{}\"}}", reload.result);
    value(out, name, &label, reload.seconds)
}

fn write_lists(out: &mut String, authorities: &[Authority]) -> fmt::Result {
    if authorities.is_empty() {
        return Ok(());
    }
    let issuer = |ca: &Authority| format!("{{issuer=\"{}\"}}", escaped(&ca.subject));
    head(
        out,
        "crl_usable",
        "gauge",
        "Whether the revocation list of a CA can be relied on.",
    )?;
    for ca in authorities {
        value(out, "crl_usable", &issuer(ca), i64::from(ca.crl.usable))?;
    }
    head(
        out,
        "crl_days_left",
        "gauge",
        "Whole days until the revocation list ends.",
    )?;
    for ca in authorities {
        if let Some(days) = ca.crl.days_left {
            value(out, "crl_days_left", &issuer(ca), days)?;
        }
    }
    head(
        out,
        "crl_age_seconds",
        "gauge",
        "Time since the revocation list was issued.",
    )?;
    for ca in authorities {
        if let Some(age) = ca.crl.age_seconds {
            value(out, "crl_age_seconds", &issuer(ca), age)?;
        }
    }
    head(out, "crl_number", "gauge", "Number of the revocation list.")?;
    for ca in authorities {
        if let Some(number) = &ca.crl.number {
            value(out, "crl_number", &issuer(ca), number)?;
        }
    }
    head(
        out,
        "crl_next_update_seconds",
        "gauge",
        "End of the revocation list, Unix time.",
    )?;
    for ca in authorities {
        if let Some(seconds) = ca.crl.next_update_seconds {
            value(out, "crl_next_update_seconds", &issuer(ca), seconds)?;
        }
    }
    Ok(())
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP orca_gateway_{name} {help}")?;
    writeln!(out, "# TYPE orca_gateway_{name} {kind}")
}

fn value(out: &mut String, name: &str, labels: &str, figure: impl fmt::Display) -> fmt::Result {
    writeln!(out, "orca_gateway_{name}{labels} {figure}")
}

/// A label value: backslash, quote and line feed are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_cannot_break_out() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
