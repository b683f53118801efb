//! A look at every picture of a set, by several threads.

use crate::collection::{Collection, Part};
use crate::context::Context;
use crate::failure::Outcome;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::thread::available_parallelism;
use wgrad::Result;
use wgrad::data::{DataLoader, DataLoaderOptions, Dataset, Image, ImageHeader, SequentialSampler};

/// Height and width of thumbnails for comparing pictures, with one more column for differences.
pub const SIDE: usize = 16;

/// The facts about a picture that matter here.
pub struct Facts {
    pub size: [usize; 2],
    /// Channels in the file, regardless of how it is read.
    pub channels: usize,
    pub has_alpha: bool,
    /// Hash of shape and pixels.
    pub hash: u64,
    /// The thumbnail, `[C, 16, 17]`, channel by channel.
    pub thumbnail: Vec<u8>,
}

/// A picture's facts, or the error of reading it.
pub struct Looked {
    pub part: &'static str,
    pub index: usize,
    pub label: i32,
    /// Its file, or else its part and number.
    pub name: String,
    pub facts: Result<Facts>,
}

/// All pictures of a set.
pub fn look(collection: &Collection, context: &Context) -> Outcome<Vec<Looked>> {
    let mut looked = Vec::new();
    let total: usize = collection.parts().iter().map(|(_, part)| part.len()).sum();
    let bar = context.progress(total, "pictures");
    for (name, part) in collection.parts() {
        let workers = available_parallelism().map_or(1, usize::from);
        let options = DataLoaderOptions::default().batch_size(16).workers(workers);
        let set = Eye { part: part.clone() };
        let loader = DataLoader::new(set, SequentialSampler::new(part.len()), Ok, options)?;
        let mut index = 0;
        for batch in loader.epoch(0)? {
            for facts in batch? {
                let file = part.path(index).map(|path| path.display().to_string());
                let label = part.labels()[index];
                looked.push(Looked {
                    part: name,
                    index,
                    label,
                    name: file.unwrap_or(format!("{name} {index}")),
                    facts,
                });
                bar.inc(1);
                index += 1;
            }
        }
    }
    bar.finish_and_clear();
    Ok(looked)
}

/// A set of facts about pictures; unreadable pictures are not errors of the set.
struct Eye {
    part: Part,
}

impl Dataset for Eye {
    type Item = Result<Facts>;

    fn len(&self) -> usize {
        self.part.len()
    }

    fn get(&self, index: usize) -> Result<Result<Facts>> {
        Ok(self.facts(index))
    }
}

impl Eye {
    fn facts(&self, index: usize) -> Result<Facts> {
        let image = self.part.get(index)?.image;
        let [channels, height, width] = image.shape();
        let header = self.part.path(index).map(ImageHeader::read).transpose()?;
        let mut hasher = DefaultHasher::new();
        (image.shape(), image.pixels()).hash(&mut hasher);
        Ok(Facts {
            size: [height, width],
            channels: header.map_or(channels, |header| header.channels),
            has_alpha: header.is_some_and(|header| header.has_alpha),
            hash: hasher.finish(),
            thumbnail: shrink(&image, [SIDE, SIDE + 1]),
        })
    }
}

/// An image at another size: means of the pixels that shrink to one, nearest pixels where it grows.
pub fn shrink(image: &Image, [rows, columns]: [usize; 2]) -> Vec<u8> {
    let [channels, height, width] = image.shape();
    let span = |at: usize, of: usize, size: usize| (at * size / of)..((at + 1) * size / of).max(at * size / of + 1);
    let mut shrunk = Vec::with_capacity(channels * rows * columns);
    for plane in image.pixels().chunks_exact((height * width).max(1)) {
        for row in 0..rows {
            for column in 0..columns {
                let (ys, xs) = (span(row, rows, height), span(column, columns, width));
                let sum: usize =
                    ys.clone().flat_map(|y| &plane[y * width..][xs.clone()]).map(|&v| usize::from(v)).sum();
                shrunk.push(u8::try_from(sum / (ys.len() * xs.len())).unwrap_or(u8::MAX));
            }
        }
    }
    shrunk
}
