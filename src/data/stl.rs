//! STL-10: 96 x 96 colour photographs, in the binary version of its files.

use super::image::transpose_planes;
use super::{Array, Images, file};
use crate::error::{Error, Result};
use std::path::Path;

const SIDE: usize = 96;
const IMAGE: usize = 3 * SIDE * SIDE;

const CLASSES: [&str; 10] = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"];

/// STL-10 (Coates, Lee and Ng, "An analysis of single-layer networks in unsupervised feature learning", 2011).
#[derive(Clone, Debug)]
pub struct Stl10 {
    /// 5,000 images in the original.
    pub train: Images,
    /// 8,000 images in the original.
    pub test: Images,
    /// Numbers of the training images in each of the ten folds on which its authors ask to train; none where there is no
    /// `fold_indices.txt`.
    pub folds: Vec<Vec<usize>>,
}

impl Stl10 {
    /// Reads `train_X.bin`, `train_y.bin`, `test_X.bin`, `test_y.bin` and `fold_indices.txt` from a folder, `stl10_binary` as
    /// it is unpacked. The files hold the images column by column and count classes from 1; here images are upright and
    /// classes begin at 0.
    ///
    /// # Errors
    /// [`Error::File`], naming the file, if one is missing, is empty or ends within an image, if images and labels differ
    /// in number, a label is not 1 to 10, or a fold names an image that there is not.
    ///
    /// ```no_run
    /// # use wgrad::data::{Dataset, Stl10};
    /// let stl = Stl10::open("stl10_binary")?;
    /// let fold = stl.train.subset(stl.folds[0].clone())?;
    /// assert_eq!(fold.len(), 1000);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn open(folder: impl AsRef<Path>) -> Result<Stl10> {
        let folder = folder.as_ref();
        let train = labelled(folder, "train")?;
        let test = labelled(folder, "test")?.with_normalization(train.normalization())?;
        let path = folder.join("fold_indices.txt");
        let folds = if path.is_file() { folds(&path, train.len())? } else { Vec::new() };
        Ok(Stl10 { train, test, folds })
    }

    /// Reads the 100,000 images without labels, whose labels are -1, from `unlabeled_X.bin`. They take 2.8 GB.
    ///
    /// # Errors
    /// As [`open`](Stl10::open).
    pub fn unlabeled(folder: impl AsRef<Path>) -> Result<Images> {
        let pixels = pixels(&folder.as_ref().join("unlabeled_X.bin"))?;
        let labels = vec![-1; pixels.len() / IMAGE];
        images(pixels, labels)
    }
}

fn labelled(folder: &Path, set: &str) -> Result<Images> {
    let pixels = pixels(&folder.join(format!("{set}_X.bin")))?;
    let path = folder.join(format!("{set}_y.bin"));
    let labels = file::read(&path)?;
    if labels.len() != pixels.len() / IMAGE {
        let reason = format!("{} labels for the {} images of {set}_X.bin", labels.len(), pixels.len() / IMAGE);
        return Err(Error::file(path, reason));
    }
    if let Some(at) = labels.iter().position(|label| !(1..=10).contains(label)) {
        return Err(Error::file(path, format!("label {at} is {}; expected 1 to 10", labels[at])));
    }
    images(pixels, labels.into_iter().map(|label| i32::from(label) - 1).collect())
}

fn images(pixels: Vec<u8>, labels: Vec<i32>) -> Result<Images> {
    Images::new(Array::new(vec![labels.len(), 3, SIDE, SIDE], pixels)?, labels, CLASSES.map(String::from).to_vec())
}

fn pixels(path: &Path) -> Result<Vec<u8>> {
    let mut pixels = file::read(path)?;
    if pixels.is_empty() || pixels.len() % IMAGE != 0 {
        let reason = format!("{} bytes are no whole number of images, which take {IMAGE} each", pixels.len());
        return Err(Error::file(path, reason));
    }
    transpose_planes(&mut pixels, SIDE);
    Ok(pixels)
}

/// A line a fold: the numbers of its images.
fn folds(path: &Path, images: usize) -> Result<Vec<Vec<usize>>> {
    let number = |line: usize, word: &str| match word.parse() {
        Ok(number) if number < images => Ok(number),
        _ => Err(Error::file(path, format!("line {}: {word:?} is no number below {images}", line + 1))),
    };
    let text = file::read_text(path)?;
    text.lines()
        .enumerate()
        .map(|(line, text)| text.split_whitespace().map(|word| number(line, word)).collect())
        .collect()
}
