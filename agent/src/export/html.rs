//! The page for people: targets, routes and incidents, drawn anew every few seconds. Plain HTML, no scripts.

use std::fmt::{self, Write as _};

use crate::incident::IncidentsView;
use crate::picture::incident::told_nobody;
use crate::picture::svg::Text;
use crate::status::{RouteView, StatusView, TargetView};

/// The page as it stands now.
pub(crate) fn page(status: &StatusView, incidents: &IncidentsView) -> String {
    let mut html = String::from(HEAD);
    // Writing to a String cannot fail.
    let _ = write_incidents(&mut html, incidents);
    for target in &status.targets {
        let _ = write_target(&mut html, target);
    }
    html.push_str(FOOT);
    html
}

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Outrigger</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<style>
:root { color-scheme: light dark; --fg: #1c2733; --bg: #fff; --edge: #dfe5ea; --bad: #b3261e; --dim: #5b6b7a; }
@media (prefers-color-scheme: dark) { :root { --fg: #e4e9ee; --bg: #12181e; --edge: #33404c; --bad: #ff8a80; --dim: #97a6b4; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: var(--fg); background: var(--bg); }
a { color: inherit; } table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--edge); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } .bad { color: var(--bad); font-weight: 600; } .dim { color: var(--dim); }
</style></head><body>
<h1>Outrigger</h1>
<p><a href="/metrics">metrics</a> · <a href="/api/v1/incidents">incidents</a> · <a href="/api/v1/silences">silences</a> · <a href="/api/v1/status">status</a></p>
"#;

const FOOT: &str = "</body></html>\n";

/// The most incidents on the page; the API has all.
pub(crate) const SHOWN: usize = 20;

fn write_incidents(html: &mut String, view: &IncidentsView) -> fmt::Result {
    html.write_str("<h2>Incidents</h2>\n")?;
    if view.incidents.is_empty() {
        html.write_str("<p class=\"dim\">None.</p>\n")?;
    }
    for incident in &view.incidents {
        let class = if incident.state == "open" { "bad" } else { "dim" };
        writeln!(
            html,
            "<p id=\"{}\"><span class=\"{class}\">{}, {}</span> {} {}<br>{} <span class=\"dim\">{} requests affected.</span> \
             <a href=\"/incidents/{}\">picture</a>",
            Text(&incident.id),
            incident.state,
            incident.severity,
            incident.started_at,
            Text(&incident.target),
            Text(&incident.summary),
            incident.requests_affected,
            Text(&incident.id),
        )?;
        if let Some(cause) = incident.causes.first() {
            write!(html, "<br><span class=\"dim\">{}</span>", Text(cause.advice))?;
        }
        if let Some(profile) = &incident.profile {
            write!(html, "<br><span class=\"dim\">{}</span>", Text(&profile.summary))?;
            for link in &profile.links {
                let name = link.rsplit('/').next().unwrap_or_default();
                write!(html, " <a href=\"{}\">{}</a>", Text(link), Text(name))?;
            }
        }
        if let Some(mark) = &incident.mark {
            let what = if mark.false_alarm { "Marked as a false alarm." } else { "Noted." };
            write!(html, "<br><span class=\"dim\">{what} {}</span>", Text(&mark.note))?;
            if let Some(at) = mark.outgrown_at {
                write!(html, " <span class=\"dim\">Something else came at {at}.</span>")?;
            }
        }
        if let Some(held) = &incident.held {
            write!(html, "<br>{}", told_nobody(held.reason.as_str(), held.until))?;
        }
        html.write_str("</p>\n")?;
    }
    Ok(())
}

fn write_target(html: &mut String, target: &TargetView) -> fmt::Result {
    let state = if target.up { "up" } else { "down" };
    let class = if target.up { "dim" } else { "bad" };
    writeln!(
        html,
        "<h2><a href=\"{}\">{}</a> <span class=\"{class}\">{state}</span></h2>\n<p class=\"dim\">{} samples. {}</p>",
        Text(&target.url),
        Text(&target.target),
        target.samples,
        Text(target.last_error.as_deref().unwrap_or_default()),
    )?;
    html.write_str(
        "<table><tr><th>route</th><th>phase</th><th class=\"n\">requests/s</th><th class=\"n\">errors</th>\
         <th class=\"n\">p50</th><th class=\"n\">p95</th><th class=\"n\">p99</th></tr>\n",
    )?;
    for route in &target.routes {
        write_route(html, route)?;
    }
    html.write_str("</table>\n")
}

fn write_route(html: &mut String, route: &RouteView) -> fmt::Result {
    let (phase, class) = match route.phase {
        outrigger_detect::Phase::WarmingUp => ("warming up", "dim"),
        outrigger_detect::Phase::Calm => ("calm", "dim"),
        outrigger_detect::Phase::Anomalous => ("anomalous", "bad"),
    };
    let rate = route.requests_per_second.map(|rate| format!("{rate:.1}")).unwrap_or_default();
    let percent = route.error_ratio.map(|ratio| format!("{:.1} %", ratio * 100.0)).unwrap_or_default();
    write!(
        html,
        "<tr><td>{} {}</td><td class=\"{class}\">{phase}</td><td class=\"n\">{rate}</td><td class=\"n\">{percent}</td>",
        Text(&route.method),
        Text(&route.route),
    )?;
    for quantile in [route.p50, route.p95, route.p99] {
        let millis = quantile.map(|seconds| format!("{:.0} ms", seconds * 1e3)).unwrap_or_default();
        write!(html, "<td class=\"n\">{millis}</td>")?;
    }
    html.write_str("</tr>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_targets_write_cannot_become_markup() {
        assert_eq!(Text("<a href=\"x\">&'").to_string(), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    }
}
