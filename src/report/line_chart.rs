//! Curves over an axis.

use super::axis::Axis;
use super::colour::Colour;
use super::drawing::{Anchor, Drawing, Point};
use super::font::{fit, width, wrap};
use crate::number::nearest;

pub(super) const TITLE: f64 = 16.0;
pub(super) const TEXT: f64 = 12.0;
const LINE: f64 = 18.0;
const DASH: f64 = 6.0;
/// The most points of a series with a dot each.
const MOST_DOTS: usize = 30;

#[derive(Clone, Debug)]
struct Series {
    name: String,
    points: Vec<Point>,
    is_reference: bool,
    dashed: bool,
    dots: bool,
    colour: Colour,
}

/// Curves: losses over epochs, rates, ROC and the like. Points that are not finite, or not positive on a logarithmic axis, are
/// gaps.
///
/// ```
/// use wgrad::report::LineChart;
///
/// let chart = LineChart::new("Loss", "epoch", "loss")
///     .series("training", vec![(1.0, 0.9), (2.0, 0.4), (3.0, 0.2)])
///     .series("validation", vec![(1.0, 0.8), (2.0, 0.5), (3.0, 0.4)])
///     .log_y();
/// assert!(chart.draw().svg()?.contains("validation"));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LineChart {
    title: String,
    labels: [String; 2],
    logs: [bool; 2],
    ranges: [Option<(f64, f64)>; 2],
    size: Point,
    series: Vec<Series>,
    marks: Vec<(f64, String)>,
}

impl LineChart {
    /// A chart without curves, with the names of its axes.
    pub fn new(title: &str, x: &str, y: &str) -> LineChart {
        LineChart {
            title: title.to_string(),
            labels: [x.to_string(), y.to_string()],
            logs: [false; 2],
            ranges: [None; 2],
            size: (720.0, 420.0),
            series: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Adds a curve through points in their order.
    #[must_use = "it returns the chart with the curve"]
    pub fn series(mut self, name: &str, points: Vec<(f64, f64)>) -> LineChart {
        let index = self.series.iter().filter(|series| !series.is_reference).count();
        let dots = points.len() <= MOST_DOTS;
        // After the last colour, the colours repeat with dashes.
        let (colour, dashed) = (Colour::series(index), index / Colour::SERIES % 2 == 1);
        self.series.push(Series { name: name.to_string(), points, is_reference: false, dashed, dots, colour });
        self
    }

    /// Adds a dashed grey line for comparison.
    #[must_use = "it returns the chart with the line"]
    pub fn reference(mut self, name: &str, points: Vec<(f64, f64)>) -> LineChart {
        let name = name.to_string();
        self.series.push(Series { name, points, is_reference: true, dashed: true, dots: false, colour: Colour::FAINT });
        self
    }

    /// Adds a named upright line at a number of the lower axis.
    #[must_use = "it returns the chart with the line"]
    pub fn mark(mut self, name: &str, x: f64) -> LineChart {
        self.marks.push((x, name.to_string()));
        self
    }

    /// Leaves out dots, for curves of many corners.
    #[must_use = "it returns the chart without dots"]
    pub fn without_dots(mut self) -> LineChart {
        self.series.iter_mut().for_each(|series| series.dots = false);
        self
    }

    /// Makes the lower axis logarithmic.
    #[must_use = "it returns the chart with the axis"]
    pub fn log_x(mut self) -> LineChart {
        self.logs[0] = true;
        self
    }

    /// Makes the left axis logarithmic.
    #[must_use = "it returns the chart with the axis"]
    pub fn log_y(mut self) -> LineChart {
        self.logs[1] = true;
        self
    }

    /// Fixes the ends of the axes, which otherwise follow from the points.
    #[must_use = "it returns the chart with the ends"]
    pub fn ranges(mut self, x: Option<(f64, f64)>, y: Option<(f64, f64)>) -> LineChart {
        self.ranges = [x, y];
        self
    }

    /// Sets the size, in pixels of an SVG; 720 x 420 by default.
    #[must_use = "it returns the chart with the size"]
    pub fn size(mut self, width: f64, height: f64) -> LineChart {
        self.size = (width.max(200.0), height.max(160.0));
        self
    }

    fn axis(&self, index: usize) -> Axis {
        let of = |&(x, y): &Point| if index == 0 { x } else { y };
        match self.ranges[index] {
            Some((low, high)) => Axis::from_to(low, high),
            None => {
                let marks = self.marks.iter().filter(|_| index == 0).map(|&(x, _)| x);
                Axis::of(
                    self.series.iter().flat_map(|series| series.points.iter().map(of)).chain(marks),
                    self.logs[index],
                )
            }
        }
    }

    /// Draws it.
    pub fn draw(&self) -> Drawing {
        let mut drawing = Drawing::new(&self.title, self.size.0, self.size.1);
        let (across, down) = self.size;
        let top = heading(&mut drawing, &self.title, across);
        let (x, y) = (self.axis(0), self.axis(1));
        let plot_height = down - top - 54.0;
        let y_ticks = y.ticks(nearest(plot_height / 45.0));
        let widest = y_ticks.iter().map(|(_, name)| width(name, TEXT)).fold(0.0, f64::max);
        let left = widest + if self.labels[1].is_empty() { 22.0 } else { 42.0 };
        let top = self.legend(&mut drawing, left, top);
        let area = Area { left, right: across - 20.0, top: top + 10.0, bottom: down - 54.0 };

        for (number, name) in &y_ticks {
            let height = area.y(y.place(*number).unwrap_or(0.0));
            drawing.line(vec![(area.left, height), (area.right, height)], 1.0, Colour::GRID);
            drawing.text(name.clone(), (area.left - 8.0, height), TEXT, Anchor::End, Colour::FAINT);
        }
        self.lower_axis(&mut drawing, &x, &area);
        drawing.line(vec![(area.left, area.bottom), (area.right, area.bottom)], 1.0, Colour::FAINT);
        let label = fit(&self.labels[1], TEXT, area.bottom - area.top);
        drawing.upright(label, (14.0, (area.top + area.bottom) / 2.0), TEXT, Anchor::Middle, Colour::INK);
        for (at, name) in &self.marks {
            let Some(place) = x.place(*at) else { continue };
            let across = area.x(place);
            dashes(&[(across, area.top), (across, area.bottom)]).for_each(|dash| drawing.line(dash, 1.0, Colour::INK));
            let anchor = if place > 0.5 { Anchor::End } else { Anchor::Start };
            let beside = if place > 0.5 { across - 6.0 } else { across + 6.0 };
            drawing.text(name.clone(), (beside, area.top + 8.0), TEXT, anchor, Colour::INK);
        }
        for series in &self.series {
            curve(&mut drawing, series, &x, &y, &area);
        }
        drawing
    }

    /// Draws the names of the curves in rows; returns the end of the last row.
    fn legend(&self, drawing: &mut Drawing, left: f64, top: f64) -> f64 {
        let named: Vec<&Series> = self.series.iter().filter(|series| !series.name.is_empty()).collect();
        if named.is_empty() {
            return top;
        }
        let (mut across, mut down) = (left, top + LINE / 2.0);
        for series in named {
            let name = fit(&series.name, TEXT, self.size.0 - left - 60.0);
            let taken = 28.0 + width(&name, TEXT) + 18.0;
            if across > left && across + taken > self.size.0 {
                (across, down) = (left, down + LINE);
            }
            let sample = [(across, down), (across + 22.0, down)];
            match series.dashed {
                true => dashes(&sample).for_each(|dash| drawing.line(dash, 2.0, series.colour)),
                false => drawing.line(sample.to_vec(), 2.5, series.colour),
            }
            drawing.text(name, (across + 28.0, down), TEXT, Anchor::Start, Colour::INK);
            across += taken;
        }
        down + LINE / 2.0
    }

    fn lower_axis(&self, drawing: &mut Drawing, x: &Axis, area: &Area) {
        let mut ticks = x.ticks(nearest((area.right - area.left) / 80.0));
        // Epochs and steps have no fractions.
        let whole = self.series.iter().flat_map(|series| &series.points).all(|point| point.0.fract() == 0.0);
        ticks.retain(|(number, _)| !whole || number.fract() == 0.0);
        let mut free = f64::NEG_INFINITY;
        for (number, name) in ticks {
            let across = area.x(x.place(number).unwrap_or(0.0));
            drawing.line(vec![(across, area.bottom), (across, area.bottom + 5.0)], 1.0, Colour::FAINT);
            let half = width(&name, TEXT) / 2.0;
            // A name that would touch the previous one is left out.
            if across - half > free + 8.0 {
                let at = across.min(self.size.0 - half - 2.0);
                drawing.text(name, (at, area.bottom + 15.0), TEXT, Anchor::Middle, Colour::FAINT);
                free = at + half;
            }
        }
        let middle = (area.left + area.right) / 2.0;
        let label = fit(&self.labels[0], TEXT, area.right - area.left);
        drawing.text(label, (middle, area.bottom + 38.0), TEXT, Anchor::Middle, Colour::INK);
    }
}

/// Draws the title, in at most two lines; returns its end.
pub(super) fn heading(drawing: &mut Drawing, title: &str, across: f64) -> f64 {
    let lines = wrap(title, TITLE, across - 28.0, 2);
    for (index, line) in lines.iter().enumerate() {
        drawing.text(line.clone(), (14.0, 20.0 + 21.0 * index as f64), TITLE, Anchor::Start, Colour::INK);
    }
    14.0 + 21.0 * lines.len() as f64
}

/// The area of the curves.
pub(super) struct Area {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Area {
    pub fn x(&self, place: f64) -> f64 {
        self.left + place * (self.right - self.left)
    }

    pub fn y(&self, place: f64) -> f64 {
        self.bottom - place * (self.bottom - self.top)
    }
}

/// Draws a series in its pieces without gaps. Points outside fixed ends are drawn at the end.
fn curve(drawing: &mut Drawing, series: &Series, x: &Axis, y: &Axis, area: &Area) {
    let place = |&(across, height): &Point| {
        let (across, height) = (x.place(across)?, y.place(height)?);
        Some((area.x(across.clamp(0.0, 1.0)), area.y(height.clamp(0.0, 1.0))))
    };
    let places: Vec<Option<Point>> = series.points.iter().map(place).collect();
    for piece in places.split(Option::is_none) {
        let points = thinned(&piece.iter().flatten().copied().collect::<Vec<_>>());
        let dots = series.dots || points.len() == 1;
        points.iter().filter(|_| dots).for_each(|&point| drawing.circle(point, 3.0, series.colour));
        match series.dashed {
            true => dashes(&points).for_each(|dash| drawing.line(dash, 2.0, series.colour)),
            false if points.len() > 1 => drawing.line(points, 2.0, series.colour),
            false => {}
        }
    }
}

/// The first, the lowest, the highest and the last of the points in each column of pixels: the same picture with fewer
/// points.
fn thinned(points: &[Point]) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    for column in points.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
        if column.len() <= 4 {
            kept.extend(column);
            continue;
        }
        let order = |a: &&Point, b: &&Point| a.1.total_cmp(&b.1);
        kept.extend(column.first());
        kept.extend(column.iter().min_by(order));
        kept.extend(column.iter().max_by(order));
        kept.extend(column.last());
    }
    kept
}

/// Pieces of a line.
fn dashes(points: &[Point]) -> impl Iterator<Item = Vec<Point>> {
    let mut dashes = Vec::new();
    let mut gone = 0.0;
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let at = |along: f64| {
            let part = if length > 0.0 { along / length } else { 0.0 };
            (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part)
        };
        let mut along = 0.0;
        while along < length {
            let phase = (gone + along) % (2.0 * DASH);
            let end = (along + if phase < DASH { DASH - phase } else { 2.0 * DASH - phase }.max(0.01)).min(length);
            if phase < DASH {
                dashes.push(vec![at(along), at(end)]);
            }
            along = end;
        }
        gone += length;
    }
    dashes.into_iter()
}
