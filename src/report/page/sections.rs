//! The parts of a page.

use super::super::drawing::escape;
use super::super::{Drawing, LineChart};
use super::Page;
use crate::error::Result;
use crate::logs::text::short;

/// Measures of a run that get a chart; the others are in the table of the last epoch.
const MOST_CHARTS: usize = 12;

pub(super) fn section(title: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!("<section>\n<h2>{title}</h2>\n{body}</section>\n") }
}

/// The numbers to look at first.
pub(super) fn tiles(page: &Page) -> String {
    let mut tiles: Vec<(String, String)> = Vec::new();
    if let Some(last) = page.last() {
        tiles.push((last.epoch.to_string(), if last.epoch == 1 { "epoch" } else { "epochs" }.to_string()));
        tiles.push((last.step.to_string(), "steps".to_string()));
    }
    for name in ["val/accuracy", "val/iou/macro", "val/map", "val/loss", "train/loss"] {
        if let Some((value, row)) = page.history.best(name) {
            tiles.push((short(value), format!("best {name}, epoch {}", row.epoch.max(1))));
        }
    }
    let number = |name: &str| page.last().and_then(|row| row.get(name));
    tiles.extend(number("items/s").map(|rate| (format!("{rate:.0}"), "items/s in training".to_string())));
    tiles.extend(number("wait").map(|share| (percent(share), "of the time waited for data".to_string())));
    let megabytes =
        number("peak_bytes").map(|bytes| (format!("{:.0} MB", bytes / 1e6), "of device memory".to_string()));
    tiles.extend(megabytes);
    let tile = |(value, name): &(String, String)| {
        format!("<div><b>{}</b><span>{}</span></div>\n", escape(value), escape(name))
    };
    match tiles.is_empty() {
        true => "<p>No epoch has ended yet.</p>\n".to_string(),
        false => format!("<div class=\"tiles\">\n{}</div>\n", tiles.iter().map(tile).collect::<String>()),
    }
}

pub(super) fn percent(share: f64) -> String {
    format!("{} %", short((share * 1000.0).round() / 10.0))
}

/// Charts of the measures, training and validation together.
pub(super) fn curves(page: &Page) -> Result<String> {
    let history = page.history;
    let chart = |title: &str, y: &str| LineChart::new(title, history.axis(), y).size(500.0, 330.0);
    let mut charts = Vec::new();
    for measure in history.measures().iter().take(MOST_CHARTS) {
        let series = [("training", format!("train/{measure}")), ("validation", format!("val/{measure}"))];
        // A curve has the same colour in all charts.
        let drawn = series.iter().fold(chart(measure, ""), |chart, (name, of)| match history.curve(of) {
            points if points.is_empty() => chart.series("", points),
            points => chart.series(name, points),
        });
        charts.push(drawn);
    }
    for (title, name) in
        [("Learning rate", "lr"), ("Items a second", "items/s"), ("Share of time waited for data", "wait")]
    {
        let points = history.curve(name);
        if points.len() > 1 {
            charts.push(chart(title, "").series("", points));
        }
    }
    if history.steps.len() > 1 {
        let steps = LineChart::new("Loss of single steps", "step", "").size(500.0, 330.0);
        charts.push(steps.series("", history.steps.clone()).without_dots());
    }
    let figures: Vec<String> = charts.iter().map(|chart| figure(&chart.draw().svg()?)).collect::<Result<_>>()?;
    let figures = figures.concat();
    Ok(section(
        "Curves",
        &if figures.is_empty() { figures } else { format!("<div class=\"charts\">\n{figures}</div>\n") },
    ))
}

pub(super) fn figure(svg: &str) -> Result<String> {
    Ok(format!("<figure>\n{svg}</figure>\n"))
}

/// Drawings of the trained model.
pub(super) fn figures(page: &Page) -> Result<String> {
    let one = |(title, drawing): &(String, Drawing)| {
        Ok(section(&escape(title), &format!("<div class=\"charts\">\n{}</div>\n", figure(&drawing.svg()?)?)))
    };
    page.figures.iter().map(one).collect()
}

/// Numbers of the last epoch, configuration, machine.
pub(super) fn facts(page: &Page) -> String {
    let mut tables = Vec::new();
    if let Some(last) = page.last() {
        let numbers = last.scalars.iter().map(|(name, value)| (name.clone(), short(*value))).collect();
        tables.push(("Last epoch", numbers));
    }
    tables.extend(page.facts.iter().cloned());
    let table = |(title, rows): &(&str, Vec<(String, String)>)| match rows.is_empty() {
        true => String::new(),
        false => format!("<h3>{title}</h3>\n{}", self::table(rows)),
    };
    section("The run", &tables.iter().map(table).collect::<String>())
}

/// A table of names and values.
pub(super) fn table(rows: &[(String, String)]) -> String {
    let row =
        |(name, value): &(String, String)| format!("<tr><td>{}</td><td>{}</td></tr>\n", escape(name), escape(value));
    let rows: String = rows.iter().map(row).collect();
    format!("<div class=\"scroll\"><table class=\"facts\">\n<tbody>\n{rows}</tbody>\n</table></div>\n")
}
