//! Pictures of items, small enough for a page.

use super::super::answers::Answer;
use crate::data::Image;
use crate::error::Result;
use crate::number::nearest;
use crate::picture::Picture;

/// The longest side of a picture on the page.
const LONGEST: usize = 224;

/// A wrong answer, and its picture, where there is one.
pub(in crate::report) struct Mistake {
    pub answer: Answer,
    /// A PNG as a `data:` address, and true if pixels should be seen one by one.
    pub picture: Option<(String, bool)>,
}

impl Mistake {
    /// With the image of the item.
    ///
    /// # Errors
    /// `None` if the image can't be shown.
    pub fn new(answer: Answer, image: Option<&Image>) -> Result<Mistake> {
        let picture = |image: &Image| {
            let small = small(image);
            Ok((small.address()?, small.is_small()))
        };
        Ok(Mistake { answer, picture: image.map(picture).transpose()? })
    }
}

/// The image with no side above [`LONGEST`]: means of squares of pixels.
fn small(image: &Image) -> Picture {
    let [channels, height, width] = image.shape();
    let square = height.max(width).div_ceil(LONGEST).max(1);
    let (down, across) = (height.div_ceil(square), width.div_ceil(square));
    let mut pixels = Vec::with_capacity(down * across * channels);
    for y in 0..down {
        for x in 0..across {
            for channel in 0..channels {
                let (mut sum, mut count) = (0, 0);
                for row in y * square..((y + 1) * square).min(height) {
                    for column in x * square..((x + 1) * square).min(width) {
                        sum += usize::from(image.pixels()[(channel * height + row) * width + column]);
                        count += 1;
                    }
                }
                pixels.push(nearest::<u8>((sum + count / 2) / count.max(1)));
            }
        }
    }
    Picture { width: across, height: down, channels, pixels }
}
