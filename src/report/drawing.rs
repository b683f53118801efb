//! Pictures as lists of shapes, and their way into SVG and PNG.

use super::colour::Colour;
use super::font::{self, Label};
use crate::error::{Error, Result};
use crate::file;
use crate::number::nearest;
use crate::picture::Picture;
use plotters_backend::text_anchor::HPos;
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, DrawingBackend, DrawingErrorKind};
use plotters_bitmap::BitMapBackend;
use plotters_svg::SVGBackend;
use std::path::Path;

/// Backends take whole numbers: this many make a pixel of an SVG.
const SVG_UNITS: f64 = 10.0;
/// A PNG is drawn this many times as large in each direction, and averaged.
const SAMPLES: usize = 2;
/// The largest PNG in either direction.
const MOST_PIXELS: f64 = 16_384.0;

/// A position, in pixels from the upper left corner.
pub(super) type Point = (f64, f64);

/// The part of a text that is at its position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Line {
        points: Vec<Point>,
        width: f64,
        colour: Colour,
    },
    Rect {
        from: Point,
        to: Point,
        colour: Colour,
    },
    Circle {
        centre: Point,
        radius: f64,
        colour: Colour,
    },
    /// Its middle line passes through the position; `upright` reads upwards.
    Text {
        text: String,
        at: Point,
        size: f64,
        anchor: Anchor,
        upright: bool,
        colour: Colour,
    },
}

/// A picture of pixels, below all shapes.
#[derive(Clone, Debug, PartialEq)]
struct Pixels {
    from: Point,
    to: Point,
    picture: Picture,
}

/// A picture: a chart is drawn once, and saved as SVG or PNG.
///
/// ```
/// use wgrad::report::LineChart;
/// # let folder = tempfile::tempdir().unwrap();
/// let drawing = LineChart::new("Loss", "epoch", "loss").series("training", vec![(1.0, 0.9), (2.0, 0.4)]).draw();
/// assert!(drawing.svg()?.starts_with("<svg "));
/// assert_eq!(&drawing.png(2.0)?[1..4], b"PNG");
/// drawing.save(&folder.path().join("loss.svg"))?;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    title: String,
    width: f64,
    height: f64,
    pixels: Vec<Pixels>,
    pub(super) shapes: Vec<Shape>,
}

impl Drawing {
    pub(super) fn new(title: &str, width: f64, height: f64) -> Drawing {
        let title = title.to_string();
        Drawing { title, width: width.ceil(), height: height.ceil(), pixels: Vec::new(), shapes: Vec::new() }
    }

    /// For charts that know their height only after drawing the heading.
    pub(super) fn set_height(&mut self, height: f64) {
        self.height = height.ceil();
    }

    /// Pixels in a row.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> f64 {
        self.height
    }

    pub(super) fn line(&mut self, points: Vec<Point>, width: f64, colour: Colour) {
        self.shapes.push(Shape::Line { points, width, colour });
    }

    pub(super) fn rect(&mut self, from: Point, to: Point, colour: Colour) {
        self.shapes.push(Shape::Rect { from, to, colour });
    }

    /// Adds the colours of the shares from 0, at the bottom, to 1.
    pub(super) fn colour_bar(
        &mut self,
        (left, top): Point,
        [width, height]: [f64; 2],
        steps: usize,
        colour: impl Fn(f64) -> Colour,
    ) {
        for step in 0..steps {
            let bottom = top + height * (1.0 - step as f64 / steps as f64);
            let colour = colour(step as f64 / (steps - 1) as f64);
            self.rect((left, bottom - height / steps as f64), (left + width, bottom), colour);
        }
    }

    /// Adds a picture of pixels, stretched between two corners.
    pub(super) fn picture(&mut self, from: Point, to: Point, picture: Picture) {
        self.pixels.push(Pixels { from, to, picture });
    }

    pub(super) fn circle(&mut self, centre: Point, radius: f64, colour: Colour) {
        self.shapes.push(Shape::Circle { centre, radius, colour });
    }

    pub(super) fn text(&mut self, text: impl Into<String>, at: Point, size: f64, anchor: Anchor, colour: Colour) {
        self.shapes.push(Shape::Text { text: text.into(), at, size, anchor, upright: false, colour });
    }

    /// Adds a text that reads upwards.
    pub(super) fn upright(&mut self, text: impl Into<String>, at: Point, size: f64, anchor: Anchor, colour: Colour) {
        self.shapes.push(Shape::Text { text: text.into(), at, size, anchor, upright: true, colour });
    }

    /// Draws an SVG, in which texts stay texts.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a text can't be drawn.
    pub fn svg(&self) -> Result<String> {
        let mut svg = String::new();
        let backend = SVGBackend::with_string(&mut svg, self.size(SVG_UNITS));
        let line =
            |backend: &mut _, points: &[_], stroke: &_| SVGBackend::draw_path(backend, points.iter().copied(), stroke);
        self.render(backend, SVG_UNITS, |_, _| Ok(()), line)?;
        // The backend's own head names units instead of pixels.
        let body = svg.split_once(">\n").map_or("", |(_, body)| body);
        let (paper, shapes) = body.split_once('\n').unwrap_or((body, ""));
        let pixels = self.pixels.iter().map(Pixels::svg).collect::<Result<String>>()?;
        let (width, height) = (self.width, self.height);
        let (units_across, units_down) = self.size(SVG_UNITS);
        let title = escape(&self.title);
        Ok(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {units_across} \
             {units_down}\" role=\"img\" stroke-linejoin=\"round\">\n<title>{title}</title>\n{paper}\n{pixels}{shapes}"
        ))
    }

    /// Draws a PNG with this many pixels for each of an SVG: 2 is right for most screens.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the picture would have no pixel, or more than 16,384 in a direction.
    pub fn png(&self, scale: f64) -> Result<Vec<u8>> {
        let largest = self.width.max(self.height) * scale;
        if largest.is_nan() || self.width.min(self.height) * scale < 1.0 || largest > MOST_PIXELS {
            let rule =
                format!("{} x {} pixels at scale {scale} are no PNG of 1 to {MOST_PIXELS}", self.width, self.height);
            return Err(Error::invalid("png", rule));
        }
        let width: usize = nearest((self.width * scale).round());
        let height: usize = nearest((self.height * scale).round());
        let (across, down) = (width * SAMPLES, height * SAMPLES);
        let mut pixels = vec![255; across * down * 3];
        let backend = BitMapBackend::with_buffer(&mut pixels, (nearest(across), nearest(down)));
        let units = scale * SAMPLES as f64;
        self.render(backend, units, |backend, pixels| pixels.draw(backend, units), round_line)?;
        let pixels = average(&pixels, width, height);
        Picture { width, height, channels: 3, pixels }.png()
    }

    /// Writes a file: an SVG, or for the extension `.png` a PNG of twice as many pixels.
    ///
    /// # Errors
    /// [`Error::File`], also for other extensions; those of [`svg`](Drawing::svg) and [`png`](Drawing::png).
    pub fn save(&self, path: &Path) -> Result<()> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("svg") => file::replace(path, self.svg()?.as_bytes()),
            Some("png") => file::replace(path, &self.png(2.0)?),
            _ => Err(Error::file(path, "a picture's name ends in .svg or .png")),
        }
    }

    fn size(&self, units: f64) -> (u32, u32) {
        (nearest(nearest::<usize>(self.width * units)), nearest(nearest::<usize>(self.height * units)))
    }

    /// Renders it with a backend, pictures of pixels by `picture` and lines by `line`.
    fn render<B: DrawingBackend>(
        &self,
        mut backend: B,
        units: f64,
        picture: impl Fn(&mut B, &Pixels) -> Drawn<B>,
        line: impl Fn(&mut B, &[BackendCoord], &Stroke) -> Drawn<B>,
    ) -> Result<()> {
        let scaled = |value: f64| nearest::<i32>((value * units).round());
        let place = |(x, y): Point| (scaled(x), scaled(y));
        let paper = Stroke { colour: Colour::PAPER, width: 1 };
        let failed =
            |error: plotters_backend::DrawingErrorKind<B::ErrorType>| Error::invalid("draw", error.to_string());
        backend.draw_rect((0, 0), place((self.width, self.height)), &paper, true).map_err(failed)?;
        self.pixels.iter().try_for_each(|pixels| picture(&mut backend, pixels)).map_err(failed)?;
        for shape in &self.shapes {
            let drawn = match shape {
                Shape::Line { points, width, colour } => {
                    let stroke = Stroke { colour: *colour, width: nearest::<u32>((width * units).round().max(1.0)) };
                    let points: Vec<BackendCoord> = points.iter().map(|&point| place(point)).collect();
                    line(&mut backend, &points, &stroke)
                }
                Shape::Rect { from, to, colour } => {
                    backend.draw_rect(place(*from), place(*to), &Stroke { colour: *colour, width: 1 }, true)
                }
                Shape::Circle { centre, radius, colour } => {
                    let radius = nearest::<u32>((radius * units).round());
                    backend.draw_circle(place(*centre), radius, &Stroke { colour: *colour, width: 1 }, true)
                }
                Shape::Text { text, at, size, anchor, upright, colour } => {
                    let anchor = match anchor {
                        Anchor::Start => HPos::Left,
                        Anchor::Middle => HPos::Center,
                        Anchor::End => HPos::Right,
                    };
                    let label = Label { size: size * units, anchor, upright: *upright, colour: *colour };
                    backend.draw_text(&font::printable(text), &label, place(*at))
                }
            };
            drawn.map_err(failed)?;
        }
        backend.present().map_err(failed)
    }
}

impl Pixels {
    fn svg(&self) -> Result<String> {
        let [x, y, width, height] = [self.from.0, self.from.1, self.to.0 - self.from.0, self.to.1 - self.from.1]
            .map(|length| length * SVG_UNITS);
        let style = if self.picture.is_small() { " style=\"image-rendering:pixelated\"" } else { "" };
        let address = self.picture.address()?;
        Ok(format!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\"{style} \
             href=\"{address}\"/>\n"
        ))
    }

    /// A rectangle for each pixel of three channels.
    fn draw<B: DrawingBackend>(&self, backend: &mut B, units: f64) -> Drawn<B> {
        let &Pixels { from, to, ref picture } = self;
        let along = |from: f64, to: f64, at: usize, of: usize| {
            nearest::<i32>(((from + (to - from) * at as f64 / of as f64) * units).round())
        };
        for (at, &colour) in picture.pixels.as_chunks().0.iter().enumerate() {
            let corner =
                |x: usize, y: usize| (along(from.0, to.0, x, picture.width), along(from.1, to.1, y, picture.height));
            let (x, y) = (at % picture.width, at / picture.width);
            let stroke = Stroke { colour: Colour(colour), width: 1 };
            backend.draw_rect(corner(x, y), corner(x + 1, y + 1), &stroke, true)?;
        }
        Ok(())
    }
}

type Drawn<B> = std::result::Result<(), DrawingErrorKind<<B as DrawingBackend>::ErrorType>>;

/// A line with round corners: plotters draws sharp corners of lines of pixels as spikes.
fn round_line<B: DrawingBackend>(backend: &mut B, points: &[BackendCoord], stroke: &Stroke) -> Drawn<B> {
    if stroke.width == 1 {
        return backend.draw_path(points.iter().copied(), stroke);
    }
    let half = f64::from(stroke.width) / 2.0;
    for pair in points.windows(2) {
        let [(x0, y0), (x1, y1)] = [pair[0], pair[1]].map(|(x, y)| (f64::from(x), f64::from(y)));
        let length = (x1 - x0).hypot(y1 - y0).max(1e-9);
        let (across, down) = ((y1 - y0) / length * half, (x0 - x1) / length * half);
        let corners =
            [(x0 + across, y0 + down), (x1 + across, y1 + down), (x1 - across, y1 - down), (x0 - across, y0 - down)];
        let place = |(x, y): Point| (nearest::<i32>(x.round()), nearest::<i32>(y.round()));
        backend.fill_polygon(corners.map(place), stroke)?;
    }
    let joints = points.get(1..points.len().saturating_sub(1)).unwrap_or_default();
    joints.iter().try_for_each(|&joint| backend.draw_circle(joint, nearest::<u32>(half.round()), stroke, true))
}

struct Stroke {
    colour: Colour,
    width: u32,
}

impl BackendStyle for Stroke {
    fn color(&self) -> BackendColor {
        self.colour.backend()
    }

    fn stroke_width(&self) -> u32 {
        self.width
    }
}

/// Means of squares of pixels.
fn average(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let across = width * SAMPLES * 3;
    let mut means = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let sample = |at: usize| {
                    let (down, right) = (y * SAMPLES + at / SAMPLES, x * SAMPLES + at % SAMPLES);
                    usize::from(pixels[down * across + right * 3 + channel])
                };
                let count = SAMPLES * SAMPLES;
                means.push(nearest::<u8>(((0..count).map(sample).sum::<usize>() + count / 2) / count));
            }
        }
    }
    means
}

/// Text for XML and HTML, as content and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in font::printable(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
