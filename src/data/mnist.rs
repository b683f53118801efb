//! Sets of the MNIST family: 28 x 28 grey images in IDX files.

use super::image::transpose_planes;
use super::{Array, Images, idx};
use crate::error::{Error, Result};
use std::path::Path;

const SIDE: usize = 28;

/// MNIST: handwritten digits (LeCun, Cortes and Burges).
#[derive(Clone, Debug)]
pub struct Mnist {
    /// 60,000 images in the original.
    pub train: Images,
    /// 10,000 images in the original.
    pub test: Images,
}

impl Mnist {
    /// Reads the four IDX files under their original names, each gzipped or not, from a folder.
    ///
    /// # Errors
    /// [`Error::File`], naming the file, if one is missing, cut off, longer than it says, not IDX, of another
    /// type or size, if images and labels differ in number, or a label is above 9.
    ///
    /// ```no_run
    /// # use wgrad::{Device, data::Mnist};
    /// let mnist = Mnist::open("data/mnist")?;
    /// let device = Device::open()?;
    /// for batch in mnist.train.shuffled(&device, 64, 0, 0)? {
    ///     assert_eq!(batch?.images.shape()[1..], [1, 28, 28]);
    /// }
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn open(folder: impl AsRef<Path>) -> Result<Mnist> {
        let (train, test) = train_and_test(folder.as_ref(), ["train", "t10k"], &digits(), |_| ())?;
        Ok(Mnist { train, test })
    }
}

/// Fashion-MNIST: articles of clothing (Xiao, Rasul and Vollgraf, 2017).
#[derive(Clone, Debug)]
pub struct FashionMnist {
    /// 60,000 images in the original.
    pub train: Images,
    /// 10,000 images in the original.
    pub test: Images,
}

impl FashionMnist {
    /// Reads the four IDX files, whose names are those of [`Mnist`], from a folder.
    ///
    /// # Errors
    /// As [`Mnist::open`].
    pub fn open(folder: impl AsRef<Path>) -> Result<FashionMnist> {
        let classes =
            ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
        let classes = classes.map(String::from);
        let (train, test) = train_and_test(folder.as_ref(), ["train", "t10k"], &classes, |_| ())?;
        Ok(FashionMnist { train, test })
    }
}

/// The parts of EMNIST, which share images; they differ in classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmnistSplit {
    /// 814,255 characters of 62 classes: digits, capitals and small letters.
    ByClass,
    /// 814,255 characters of 47 classes: small letters that look as their capitals do are counted among those.
    ByMerge,
    /// 131,600 characters of the same 47 classes, equally many of each.
    Balanced,
    /// 145,600 letters of 26 classes, capitals and small ones together. Labels begin at 1; class 0 is "N/A", as in
    /// torchvision.
    Letters,
    /// 280,000 digits.
    Digits,
    /// 70,000 digits.
    Mnist,
}

impl EmnistSplit {
    /// The name in the files' names.
    fn name(self) -> &'static str {
        match self {
            EmnistSplit::ByClass => "byclass",
            EmnistSplit::ByMerge => "bymerge",
            EmnistSplit::Balanced => "balanced",
            EmnistSplit::Letters => "letters",
            EmnistSplit::Digits => "digits",
            EmnistSplit::Mnist => "mnist",
        }
    }

    fn classes(self) -> Vec<String> {
        let letters = |range: std::ops::RangeInclusive<char>| range.map(String::from).collect::<Vec<_>>();
        let small = letters('a'..='z');
        match self {
            EmnistSplit::ByClass => [digits(), letters('A'..='Z'), small].concat(),
            EmnistSplit::ByMerge | EmnistSplit::Balanced => {
                let distinct = ["a", "b", "d", "e", "f", "g", "h", "n", "q", "r", "t"].map(String::from).to_vec();
                [digits(), letters('A'..='Z'), distinct].concat()
            }
            EmnistSplit::Letters => [vec!["N/A".to_string()], small].concat(),
            EmnistSplit::Digits | EmnistSplit::Mnist => digits(),
        }
    }
}

/// EMNIST: handwritten letters and digits (Cohen, Afshar, Tapson and van Schaik, 2017).
#[derive(Clone, Debug)]
pub struct Emnist {
    /// The training images, upright.
    pub train: Images,
    /// The test images, upright.
    pub test: Images,
}

impl Emnist {
    /// Reads the four IDX files of a split under their original names, such as `emnist-letters-train-images-idx3-ubyte.gz`, from
    /// a folder. The files hold the images column by column; they are transposed here.
    ///
    /// # Errors
    /// As [`Mnist::open`].
    pub fn open(folder: impl AsRef<Path>, split: EmnistSplit) -> Result<Emnist> {
        let stem = |set: &str| format!("emnist-{}-{set}", split.name());
        let upright = |pixels: &mut [u8]| transpose_planes(pixels, SIDE);
        let (train, test) =
            train_and_test(folder.as_ref(), [&stem("train"), &stem("test")], &split.classes(), upright)?;
        Ok(Emnist { train, test })
    }
}

fn digits() -> Vec<String> {
    (0..10).map(|digit: u8| digit.to_string()).collect()
}

/// Both sets, normalised by the training pixels.
fn train_and_test(
    folder: &Path,
    stems: [&str; 2],
    classes: &[String],
    arrange: impl Fn(&mut [u8]),
) -> Result<(Images, Images)> {
    let read = |stem| read(folder, stem, classes, &arrange);
    let (train, test) = (read(stems[0])?, read(stems[1])?);
    let test = test.with_normalization(train.normalization())?;
    Ok((train, test))
}

fn read(folder: &Path, stem: &str, classes: &[String], arrange: impl Fn(&mut [u8])) -> Result<Images> {
    let mut images = idx::read(folder, &format!("{stem}-images-idx3-ubyte"), &[SIDE, SIDE])?;
    let labels = idx::read(folder, &format!("{stem}-labels-idx1-ubyte"), &[])?;
    if images.sizes[0] == 0 {
        return Err(Error::file(images.path, "it holds no images"));
    }
    if images.sizes[0] != labels.sizes[0] {
        let reason =
            format!("{} labels for the {} images of {}", labels.sizes[0], images.sizes[0], images.path.display());
        return Err(Error::file(labels.path, reason));
    }
    let last = classes.len() - 1;
    if let Some(at) = labels.values.iter().position(|&label| usize::from(label) > last) {
        return Err(Error::file(labels.path, format!("label {at} is {}; expected 0 to {last}", labels.values[at])));
    }
    arrange(&mut images.values);
    let labels = labels.values.into_iter().map(i32::from).collect();
    Images::new(Array::new(images.sizes, images.values)?, labels, classes.to_vec())
}
