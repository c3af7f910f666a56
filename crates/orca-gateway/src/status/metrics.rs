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
    let info = format!(
        "{{version=\"{}\",mode=\"{}\"}}",
        report.version, report.mode
    );
    single(out, "info", "gauge", "Version and mode.", &info, 1)?;
    single(
        out,
        "listening",
        "gauge",
        "Whether the public listener is bound.",
        "",
        i64::from(report.listening),
    )?;
    single(
        out,
        "upstream_up",
        "gauge",
        "Whether the application answered last time.",
        "",
        i64::from(report.upstream.up),
    )?;
    let connections = &report.connections;
    single(
        out,
        "connections_open",
        "gauge",
        "Connections open now.",
        "",
        connections.open,
    )?;
    single(
        out,
        "connections_total",
        "counter",
        "Connections accepted.",
        "",
        connections.total,
    )?;
    single(
        out,
        "requests_total",
        "counter",
        "Requests read.",
        "",
        report.requests,
    )?;
    head(
        out,
        "refusals_total",
        "counter",
        "Requests and handshakes that were not served, by cause.",
    )?;
    for (cause, count) in &report.refusals {
        value(
            out,
            "refusals_total",
            &format!("{{cause=\"{cause}\"}}"),
            count,
        )?;
    }
    if let Some(certificate) = &report.certificate {
        single(
            out,
            "server_certificate_not_after_seconds",
            "gauge",
            "End of the server certificate, Unix time.",
            "",
            certificate.not_after_seconds,
        )?;
    }
    write_lists(out, &report.authorities)?;
    head(
        out,
        "log_lines_dropped_total",
        "counter",
        "Log lines that were lost.",
    )?;
    let dropped = &report.dropped_log_lines;
    value(
        out,
        "log_lines_dropped_total",
        "{log=\"event\"}",
        dropped.event,
    )?;
    value(
        out,
        "log_lines_dropped_total",
        "{log=\"access\"}",
        dropped.access,
    )?;
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

fn single(
    out: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    labels: &str,
    figure: impl fmt::Display,
) -> fmt::Result {
    head(out, name, kind, help)?;
    value(out, name, labels, figure)
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
