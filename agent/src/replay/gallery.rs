//! The pictures of a replay: a folder with a page for each incident and one that lists them.

use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::player::{Episode, Played};
use super::report::{Found, Summary};
use crate::picture::incident::{head, length, page, seconds};
use crate::picture::svg::{Px, Short, Text, moment};

/// A folder that pictures are put into.
pub(crate) struct Gallery {
    folder: PathBuf,
    pages: usize,
}

const INDEX: &str = "index.html";
/// What a list of this making has, and hardly any other.
const MARK: &str = "<h1>What would have been flagged</h1>";
/// The most pages. What is flagged more often than this needs no picture to be judged.
const MAX_PAGES: usize = 1000;

impl Gallery {
    /// Makes the folder if it is missing. One with a list that is not of this making is refused.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        match fs::read_to_string(folder.join(INDEX)) {
            Ok(index) if !index.contains(MARK) => {
                return Err(io::Error::other("its index.html is of another kind; name another folder"));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self { folder: folder.to_owned(), pages: 0 })
    }

    /// Draws an incident. Answers the name of its file.
    pub(crate) fn add(&mut self, episode: &Episode) -> io::Result<Option<String>> {
        if self.pages >= MAX_PAGES {
            return Ok(None);
        }
        self.pages += 1;
        // The id is of the agent's making: hexadecimal digits and a dash.
        let name = format!("{}.html", episode.told.id);
        fs::write(self.folder.join(&name), page(&episode.told, &episode.scenes, INDEX))?;
        Ok(Some(name))
    }

    /// Writes the list. Answers where it is.
    pub(crate) fn finish(self, found: &[Found], played: &Played, summary: &Summary) -> io::Result<PathBuf> {
        let path = self.folder.join(INDEX);
        let mut html = head("Replay");
        // Writing to a String cannot fail.
        let _ = write_index(&mut html, found, played, summary);
        html.push_str("</main></body></html>\n");
        fs::write(&path, html)?;
        Ok(path)
    }
}

fn write_index(html: &mut String, found: &[Found], played: &Played, summary: &Summary) -> fmt::Result {
    write!(html, "{MARK}\n<dl class=\"facts\">")?;
    let mut fact = |name: &str, value: &str| write!(html, "<div><dt>{name}</dt><dd>{}</dd></div>", Text(value));
    fact("Incidents", &summary.incidents.to_string())?;
    if let Some(per_day) = summary.told_per_day() {
        fact("Incidents per day", &Short(per_day).to_string())?;
    }
    fact("Time of alarm", &length(summary.alarm_hours * 3600.0))?;
    fact("Watched", &length(summary.hours_watched * 3600.0))?;
    fact("Targets", &summary.targets.to_string())?;
    fact("Routes", &summary.routes.to_string())?;
    fact("Requests", &summary.requests.to_string())?;
    html.write_str("</dl>\n")?;
    if let Some(why) = &summary.broke_off {
        writeln!(html, "<p class=\"bad\">This is not the whole time that was asked for: {}.</p>", Text(why))?;
    }
    html.write_str(&timeline(found, played))?;
    if found.is_empty() {
        return html.write_str("<p>Nothing would have been flagged in this time.</p>\n");
    }
    html.write_str(
        "<div style=\"overflow-x:auto\"><table><thead><tr><th>Onset</th><th>What</th><th>Moved</th><th>Likely cause</th>\
         <th class=\"n\">Noticed after</th><th class=\"n\">Lasted</th><th class=\"n\">Affected</th></tr></thead><tbody>\n",
    )?;
    for found in found {
        let told = &found.told;
        let onset = seconds(told.started_at);
        let title = match &found.page {
            Some(page) => format!("<a href=\"{}\">{}</a>", Text(page), Text(&told.title())),
            None => Text(&told.title()).to_string(),
        };
        let moved = told.routes.first().and_then(|route| route.moved());
        let moved = moved.map(|(what, before, during)| format!("{what} {before} → {during}")).unwrap_or_default();
        let cause = told.causes.first().map_or("unknown".to_owned(), |cause| cause.cause.replace('_', " "));
        writeln!(
            html,
            "<tr><td class=\"n\">{}</td><td>{title}<br><span class=\"dim\">{}</span></td><td>{}</td><td>{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            moment(onset).replace('T', " ").trim_end_matches('Z'),
            Text(&told.target),
            Text(&moved),
            Text(&cause),
            length(seconds(told.detected_at) - onset),
            told.end().map_or("open".to_owned(), |end| length(end - onset)),
            told.requests_affected,
        )?;
    }
    html.write_str("</tbody></table></div>\n<p class=\"dim\">Times are UTC.</p>\n")
}

const WIDTH: f64 = 960.0;
const ROW: f64 = 34.0;
/// The most targets that have a row of their own.
const MAX_ROWS: usize = 20;

/// When which target was watched, and when something was flagged.
fn timeline(found: &[Found], played: &Played) -> String {
    let from = played.targets.values().map(|target| target.from).fold(f64::INFINITY, f64::min);
    let to = played.targets.values().map(|target| target.to).fold(f64::NEG_INFINITY, f64::max);
    if to <= from {
        return String::new();
    }
    let x = |at: f64| 8.0 + (WIDTH - 16.0) * ((at - from) / (to - from)).clamp(0.0, 1.0);
    let rows = played.targets.len().min(MAX_ROWS);
    let height = ROW * rows as f64 + 22.0;
    let mut svg = format!(
        "<figure><svg class=\"pic\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\"><title>Incidents over time, by target</title>\
         <desc>{} incidents from {} to {}.</desc>\n",
        Px(height),
        found.len(),
        moment(from),
        moment(to)
    );
    for (row, (label, target)) in played.targets.iter().take(MAX_ROWS).enumerate() {
        let top = ROW * row as f64 + 14.0;
        let bar = |svg: &mut String, class: &str, (a, b): (f64, f64), inside: &str| {
            let (left, width) = (x(a), (x(b) - x(a)).max(2.5));
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"14\" rx=\"2\">{inside}</rect>",
                Px(left),
                Px(top),
                Px(width)
            );
        };
        let _ = writeln!(svg, "<text class=\"strong\" x=\"8\" y=\"{}\">{}</text>", Px(top - 3.0), Text(label));
        bar(&mut svg, "watched", (target.from, target.to), "");
        for found in found.iter().filter(|found| found.told.target == *label) {
            let span = (seconds(found.told.started_at), found.told.end().unwrap_or(target.to));
            let title = format!("<title>{}</title>", Text(&found.told.title()));
            if let Some(page) = &found.page {
                let _ = write!(svg, "<a href=\"{}\">", Text(page));
            }
            bar(&mut svg, "incident", span, &title);
            if found.page.is_some() {
                svg.push_str("</a>");
            }
        }
    }
    for (at, words) in crate::picture::svg::time_ticks(from, to, 9.0) {
        let _ =
            writeln!(svg, "<text class=\"mid\" x=\"{}\" y=\"{}\">{}</text>", Px(x(at)), Px(height - 4.0), Text(&words));
    }
    svg.push_str("</svg></figure>\n");
    svg
}
