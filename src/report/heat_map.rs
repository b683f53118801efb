//! Heat maps over a picture.

use super::axis::Axis;
use super::colour::Colour;
use super::drawing::{Anchor, Drawing, Point};
use super::font::fit;
use super::line_chart::{TEXT, heading};
use crate::data::Image;
use crate::explain::{ColourMap, HeatMap};
use crate::number::nearest;
use crate::picture::Picture;

/// The longest side of a picture.
const SIDE: f64 = 224.0;
/// The height of a colour bar at least, so that its numbers are apart.
const LOWEST: f64 = 96.0;
const NAME: f64 = 22.0;
const MARGIN: f64 = 14.0;
const BAR: f64 = 12.0;
/// The width reserved for a bar's numbers.
const NUMBER: f64 = 46.0;
const SMALL: f64 = 11.0;

/// A picture and heat maps over it, each with its name and a colour bar, whose numbers are attributions.
///
/// ```
/// use wgrad::data::Image;
/// use wgrad::explain::{Explainer, HeatMap, HeatMapOptions};
/// use wgrad::report::HeatMapChart;
/// # use wgrad::{Device, models::LeNet5, nn::Scope};
/// # let device = Device::reference();
/// # let net = LeNet5::new(&Scope::new(&device))?;
/// let picture = Image::new([1, 28, 28], vec![0; 784])?;
/// # let images = wgrad::Tensor::rand(&device, &[1, 1, 28, 28])?;
/// let map = &HeatMap::read(&Explainer::new(&net).saliency(&images)?, &HeatMapOptions::default())?[0];
/// let drawing = HeatMapChart::new("A seven", &picture).map("saliency", map).draw();
/// assert!(drawing.svg()?.contains("saliency"));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeatMapChart {
    title: String,
    picture: Image,
    maps: Vec<(String, HeatMap)>,
    colours: Option<ColourMap>,
    opacity: f64,
    columns: usize,
}

impl HeatMapChart {
    /// A picture without maps.
    pub fn new(title: &str, picture: &Image) -> HeatMapChart {
        HeatMapChart {
            title: title.to_string(),
            picture: picture.clone(),
            maps: Vec::new(),
            colours: None,
            opacity: 0.6,
            columns: 5,
        }
    }

    /// Adds a map of any size, which is resized to the picture's.
    #[must_use = "it returns the chart with the map"]
    pub fn map(mut self, name: &str, map: &HeatMap) -> HeatMapChart {
        self.maps.push((name.to_string(), map.clone()));
        self
    }

    /// Draws all maps in these colours; where none are named, maps with signs are [`ColourMap::Diverging`] and others
    /// [`ColourMap::Viridis`].
    #[must_use = "it returns the chart with the colours"]
    pub fn colours(mut self, colours: ColourMap) -> HeatMapChart {
        self.colours = Some(colours);
        self
    }

    /// The opacity of a map's colours, from 0 to 1, over the picture in grey; 0.6 by default.
    #[must_use = "it returns the chart with the share"]
    pub fn opacity(mut self, opacity: f64) -> HeatMapChart {
        self.opacity = opacity.clamp(0.0, 1.0);
        self
    }

    /// Pictures and maps in a row; 5 by default.
    #[must_use = "it returns the chart with the row"]
    pub fn columns(mut self, columns: usize) -> HeatMapChart {
        self.columns = columns.max(1);
        self
    }

    /// Draws it, the picture first.
    pub fn draw(&self) -> Drawing {
        let [_, height, width] = self.picture.shape();
        let longest = height.max(width).max(1) as f64;
        // Whole numbers of dots for each pixel.
        let scale = if longest > SIDE { SIDE / longest } else { (SIDE / longest).floor() };
        let shown = (width as f64 * scale, height as f64 * scale);
        let row = NAME + shown.1.max(LOWEST) + 2.0 * MARGIN;
        let column = shown.0 + BAR + NUMBER + 2.0 * MARGIN;
        let columns = self.columns.min(self.maps.len() + 1);
        // The picture has no bar; its space is saved if nothing is drawn below.
        let saved = if columns > self.maps.len() { BAR + NUMBER } else { 0.0 };
        let across = (MARGIN + column * columns as f64 - saved).max(320.0);
        let mut drawing = Drawing::new(&self.title, across, 0.0);
        let top = heading(&mut drawing, &self.title, across);
        drawing.set_height(top + row * (self.maps.len() + 1).div_ceil(columns) as f64);
        let place = |at: usize| {
            let left = MARGIN + column * (at % columns) as f64 - if at == 0 { 0.0 } else { saved };
            (left, top + row * (at / columns) as f64)
        };

        let mut panel = |at: usize, name: &str, picture: Picture| -> Point {
            let (left, top) = place(at);
            drawing.text(
                fit(name, TEXT, column - saved - MARGIN),
                (left, top + NAME / 2.0),
                TEXT,
                Anchor::Start,
                Colour::INK,
            );
            drawing.picture((left, top + NAME), (left + shown.0, top + NAME + shown.1), picture);
            (left + shown.0 + MARGIN / 2.0, top + NAME)
        };
        panel(0, "picture", self.painted(None));
        let bars: Vec<(Point, &HeatMap)> = (self.maps.iter().enumerate())
            .map(|(at, (name, map))| (panel(at + 1, name, self.painted(Some(map))), map))
            .collect();
        for (at, map) in bars {
            self.bar(&mut drawing, at, shown.1.max(LOWEST), map);
        }
        drawing
    }

    fn colours_of(&self, map: &HeatMap) -> ColourMap {
        self.colours.unwrap_or(if map.is_signed() { ColourMap::Diverging } else { ColourMap::Viridis })
    }

    /// The picture, or its grey with a map over it.
    fn painted(&self, map: Option<&HeatMap>) -> Picture {
        let [_, height, width] = self.picture.shape();
        let shares = map.map(|map| (self.colours_of(map), map.resized([height, width])));
        let pixel = |pixel: usize| {
            let rgb = rgb(&self.picture, pixel);
            let Some((colours, map)) = &shares else { return rgb };
            // Grey, so that all colours are the map's.
            let grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
            let over = colours.colour(share(map, map.values()[pixel]));
            over.map(|channel| self.opacity * channel + (1.0 - self.opacity) * grey)
        };
        let pixels = (0..height * width).flat_map(pixel).map(byte).collect();
        Picture { width, height, channels: 3, pixels }
    }

    /// The colours of a map, and its numbers.
    fn bar(&self, drawing: &mut Drawing, (left, top): Point, height: f64, map: &HeatMap) {
        let colours = self.colours_of(map);
        drawing.colour_bar((left, top), [BAR, height], 56, |share| Colour(colours.colour(share).map(byte)));
        let limit = map.limit();
        let ends = if map.is_signed() { (-limit, limit) } else { (limit.min(0.0), limit.max(0.0)) };
        let ticks = match limit == 0.0 {
            true => vec![(0.0, "0".to_string())],
            // So that the end of a map up to nearly 1 has its number.
            false => Axis::from_to(ends.0 * (1.0 + 1e-6), ends.1 * (1.0 + 1e-6)).ticks(nearest(height / 40.0)),
        };
        for (number, name) in ticks {
            let share = share(map, if limit == 0.0 { 0.0 } else { number / limit });
            let y = (top + height * (1.0 - share)).clamp(top + 5.0, top + height - 5.0);
            let name = fit(&name, SMALL, NUMBER);
            drawing.text(name, (left + BAR + 5.0, y), SMALL, Anchor::Start, Colour::FAINT);
        }
    }
}

/// The position of a map's number among colours.
fn share(map: &HeatMap, value: f64) -> f64 {
    if map.is_signed() { (value + 1.0) / 2.0 } else { value }
}

/// Red, green and blue from 0 to 1, on white where the picture is transparent.
fn rgb(image: &Image, pixel: usize) -> [f64; 3] {
    let [channels, height, width] = image.shape();
    let at = |channel: usize| f64::from(image.pixels()[channel * height * width + pixel]) / 255.0;
    let colour = if channels < 3 { [at(0); 3] } else { [0, 1, 2].map(at) };
    let alpha = if channels.is_multiple_of(2) { at(channels - 1) } else { 1.0 };
    colour.map(|channel| 1.0 - alpha + alpha * channel)
}

fn byte(share: f64) -> u8 {
    nearest(nearest::<usize>((share * 255.0).round()))
}
