//! A contact sheet: samples of each class in a row.

use super::look::shrink;
use crate::collection::Collection;
use crate::failure::{Failure, Outcome};
use image::{ImageFormat, Rgb, RgbImage};
use std::path::Path;
use wgrad::data::{Dataset, Image};

/// Side of a picture's cell, in pixels.
const PLACE: usize = 64;
/// Pixels between cells.
const GAP: usize = 4;
const BACKGROUND: u8 = 24;
/// The most rows of a sheet.
const MOST_ROWS: usize = 100;

/// Writes the sheet, and returns a description of its rows.
pub fn write(path: &Path, collection: &Collection, samples: usize) -> Outcome<String> {
    let classes = &collection.classes[..collection.classes.len().min(MOST_ROWS)];
    let columns = samples.max(1);
    let side = |places: usize| u32::try_from(places * (PLACE + GAP) + GAP).unwrap_or(u32::MAX);
    let mut sheet = RgbImage::from_pixel(side(columns), side(classes.len()), Rgb([BACKGROUND; 3]));
    let labels = collection.train.labels();
    for row in 0..classes.len() {
        let members: Vec<usize> = (0..labels.len()).filter(|&at| usize::try_from(labels[at]) == Ok(row)).collect();
        // Samples from all over the class, since neighbours in a folder often show one thing.
        let some = (0..members.len().min(columns)).map(|at| members[at * members.len() / members.len().min(columns)]);
        for (column, index) in some.enumerate() {
            // An unreadable picture leaves its cell empty; the list of unreadable files has it.
            if let Ok(sample) = collection.train.get(index) {
                place(&mut sheet, &sample.image, [row, column]);
            }
        }
    }
    let fault = |error| Failure::new(format!("{}: {error}", path.display()));
    sheet.save_with_format(path, ImageFormat::Png).map_err(fault)?;
    let numbered = classes.iter().enumerate().map(|(at, class)| format!("{} {class}", at + 1));
    Ok(format!("rows {}", numbered.collect::<Vec<_>>().join(", ")))
}

/// Draws a picture in the middle of its cell, as large as fits.
fn place(sheet: &mut RgbImage, image: &Image, place: [usize; 2]) {
    let [channels, height, width] = image.shape();
    let longest = height.max(width);
    let size = [height, width].map(|size| (size * PLACE / longest).max(1));
    let pixels = shrink(image, size);
    let [top, left] = [0, 1].map(|axis| GAP + place[axis] * (PLACE + GAP) + (PLACE - size[axis]) / 2);
    for y in 0..size[0] {
        for x in 0..size[1] {
            let channel = |c: usize| pixels[(c * size[0] + y) * size[1] + x];
            let color = if channels < 3 { [channel(0); 3] } else { [0, 1, 2].map(channel) };
            if let (Ok(x), Ok(y)) = (u32::try_from(left + x), u32::try_from(top + y)) {
                sheet.put_pixel(x, y, Rgb(color));
            }
        }
    }
}
