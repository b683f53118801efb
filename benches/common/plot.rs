//! The two plots: kernels under the adapter's roofline, and other programs' times as multiples of ours.

use super::report::significant;
use super::svg::{Anchor, Svg};

const GREY: &str = "#bbbbbb";
const BLACK: &str = "#333333";
const COLOURS: [&str; 6] = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b"];

/// One kernel under the roofline.
pub struct Point {
    pub name: String,
    /// Operations for each byte that goes through memory.
    pub intensity: f64,
    pub gflops: f64,
}

/// A logarithmic axis over part of the drawing.
struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// From the power of ten below the least value to the one above the largest.
    fn over(values: impl Iterator<Item = f64>, start: f64, end: f64) -> Scale {
        let (least, most) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(a, b), v| (a.min(v), b.max(v)));
        Scale { from: least.log10().floor(), to: most.log10().ceil(), start, end }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - self.from) / (self.to - self.from).max(1.0);
        self.start + share * (self.end - self.start)
    }

    /// The powers of ten.
    fn ticks(&self) -> impl Iterator<Item = f64> + use<> {
        (self.from as i32..=self.to as i32).map(|power| 10f64.powi(power))
    }
}

/// The kernels of `points` under the roof of an adapter that does `peak_gflops` and copies `peak_gbps`.
pub fn roofline(title: &str, points: &[Point], peak_gflops: f64, peak_gbps: f64) -> String {
    const RIGHT: f64 = 620.0;
    let height = (120.0 + 14.0 * points.len() as f64).max(460.0);
    let (left, top, bottom) = (60.0, 40.0, height - 45.0);
    let ridge = peak_gflops / peak_gbps;
    let intensities = || points.iter().map(|point| point.intensity).chain([ridge]);
    let x = Scale::over(intensities(), left, RIGHT);
    let y = Scale::over(points.iter().map(|point| point.gflops).chain([peak_gflops]), bottom, top);
    let mut svg = Svg::new([RIGHT + 260.0, height]);
    svg.text([left, 22.0], Anchor::Start, title);
    for tick in x.ticks() {
        svg.line([x.at(tick), top], [x.at(tick), bottom], GREY, 0.5);
        svg.text([x.at(tick), bottom + 16.0], Anchor::Middle, &tick.to_string());
    }
    for tick in y.ticks() {
        svg.line([left, y.at(tick)], [RIGHT, y.at(tick)], GREY, 0.5);
        svg.text([left - 6.0, y.at(tick) + 4.0], Anchor::End, &tick.to_string());
    }
    svg.text([(left + RIGHT) / 2.0, bottom + 34.0], Anchor::Middle, "operations a byte");
    svg.text([left, top - 6.0], Anchor::End, "GFLOP/s");
    // The slope leaves the drawing through its left or its lower edge.
    let start = 10f64.powf(x.from).max(10f64.powf(y.from) / peak_gbps);
    svg.line([x.at(start), y.at(start * peak_gbps)], [x.at(ridge), y.at(peak_gflops)], BLACK, 1.5);
    svg.line([x.at(ridge), y.at(peak_gflops)], [RIGHT, y.at(peak_gflops)], BLACK, 1.5);
    let peaks = format!("{} GFLOP/s, {} GB/s", significant(peak_gflops), significant(peak_gbps));
    svg.text([RIGHT, y.at(peak_gflops) - 6.0], Anchor::End, &peaks);
    for (i, point) in points.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let at = [x.at(point.intensity), y.at(point.gflops)];
        svg.dot(at, colour);
        svg.text([at[0] + 5.0, at[1] - 4.0], Anchor::Start, &(i + 1).to_string());
        let line = top + 14.0 * i as f64;
        svg.dot([RIGHT + 20.0, line - 4.0], colour);
        svg.text([RIGHT + 28.0, line], Anchor::Start, &format!("{} {}", i + 1, point.name));
    }
    svg.finish()
}

/// Another program's time as a multiple of ours.
pub struct Ratio {
    pub name: String,
    pub peer: String,
    pub ratio: f64,
}

/// A bar for each ratio, on a logarithmic axis with 1, where both are equally fast, marked.
pub fn ratios(title: &str, ratios: &[Ratio]) -> String {
    const RIGHT: f64 = 640.0;
    let (left, top) = (240.0, 60.0);
    let bottom = top + 18.0 * ratios.len() as f64;
    let x = Scale::over(ratios.iter().map(|ratio| ratio.ratio).chain([1.0, 10.0]), left, RIGHT);
    let mut peers: Vec<&str> = ratios.iter().map(|ratio| &ratio.peer[..]).collect();
    peers.sort_unstable();
    peers.dedup();
    let mut svg = Svg::new([RIGHT + 80.0, bottom + 40.0]);
    svg.text([10.0, 22.0], Anchor::Start, title);
    svg.text([10.0, 40.0], Anchor::Start, "their time / ours: to the right of 1 we are faster");
    for tick in x.ticks() {
        svg.line([x.at(tick), top - 8.0], [x.at(tick), bottom], GREY, 0.5);
        svg.text([x.at(tick), bottom + 16.0], Anchor::Middle, &tick.to_string());
    }
    for (i, Ratio { name, peer, ratio }) in ratios.iter().enumerate() {
        let line = top + 18.0 * i as f64;
        let colour = COLOURS[peers.iter().position(|known| known == peer).unwrap_or(0) % COLOURS.len()];
        let (from, to) = (x.at(ratio.min(1.0)), x.at(ratio.max(1.0)));
        svg.rectangle([from, line - 6.0], [(to - from).max(1.0), 12.0], colour);
        svg.text([left - 8.0, line + 4.0], Anchor::End, &format!("{name}, {peer}"));
        svg.text([to + 5.0, line + 4.0], Anchor::Start, &significant(*ratio));
    }
    svg.line([x.at(1.0), top - 8.0], [x.at(1.0), bottom], BLACK, 1.0);
    svg.finish()
}

/// A line of a panel, through its points.
pub struct Series {
    pub name: String,
    pub points: Vec<[f64; 2]>,
}

/// A quantity over the axis that all panels share.
pub struct Panel {
    pub unit: String,
    pub series: Vec<Series>,
}

/// Panels stacked vertically, on logarithmic axes: quantities that grow alike are parallel.
pub fn panels(title: &str, panels: &[Panel]) -> String {
    const RIGHT: f64 = 520.0;
    const HEIGHT: f64 = 190.0;
    let left = 60.0;
    let mut svg = Svg::new([RIGHT + 140.0, 40.0 + HEIGHT * panels.len() as f64]);
    svg.text([10.0, 22.0], Anchor::Start, title);
    for (at, Panel { unit, series }) in panels.iter().enumerate() {
        let points = || series.iter().flat_map(|series| &series.points);
        if points().next().is_none() {
            continue;
        }
        let top = 60.0 + HEIGHT * at as f64;
        let bottom = top + HEIGHT - 60.0;
        let x = Scale::over(points().map(|point| point[0]), left, RIGHT);
        let y = Scale::over(points().map(|point| point[1].max(1e-3)), bottom, top);
        svg.text([10.0, top - 8.0], Anchor::Start, unit);
        for tick in x.ticks() {
            svg.line([x.at(tick), top], [x.at(tick), bottom], GREY, 0.5);
            svg.text([x.at(tick), bottom + 14.0], Anchor::Middle, &tick.to_string());
        }
        for tick in y.ticks() {
            svg.line([left, y.at(tick)], [RIGHT, y.at(tick)], GREY, 0.5);
            svg.text([left - 6.0, y.at(tick) + 4.0], Anchor::End, &tick.to_string());
        }
        for (line, Series { name, points }) in series.iter().enumerate() {
            let colour = COLOURS[line % COLOURS.len()];
            let at: Vec<[f64; 2]> = points.iter().map(|point| [x.at(point[0]), y.at(point[1].max(1e-3))]).collect();
            at.windows(2).for_each(|pair| svg.line(pair[0], pair[1], colour, 1.5));
            at.iter().for_each(|&point| svg.dot(point, colour));
            let label = [RIGHT + 20.0, top + 14.0 * line as f64];
            svg.dot([label[0], label[1] - 4.0], colour);
            svg.text([label[0] + 8.0, label[1]], Anchor::Start, name);
        }
    }
    svg.finish()
}
