//! Annotations in YOLO's format: a text file for each image.

use super::decode::ImageHeader;
use super::folder::{images_below, stem};
use super::names::class_names;
use super::{ColorMode, ImageFiles};
use crate::data::{BoundingBox, Dataset, Sample, file};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Images with boxes in YOLO's text files; see [`yolo`].
#[derive(Clone, Debug)]
pub struct YoloFolder {
    /// Boxes in shares of width and height.
    files: ImageFiles<Vec<BoundingBox>>,
}

/// Images in one folder, and in another, under the same relative paths, text files with a box a line: class,
/// then centre and size in shares of the image's width and height. An image without a text file has no objects. Names of the
/// classes are in a file of theirs, one a line.
///
/// # Errors
/// [`Error::File`], with the line, if a folder or file can't be read, there are no images, or a line is not a box of such a
/// class.
///
/// ```no_run
/// use wgrad::data::{ColorMode, yolo};
/// // images/train/a.jpg, labels/train/a.txt: 0 0.5 0.5 0.2 0.1
/// let set = yolo("images/train", "labels/train", "classes.txt", ColorMode::Rgb)?;
/// let boxes = set.boxes(0)?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn yolo(
    images: impl AsRef<Path>,
    labels: impl AsRef<Path>,
    classes: impl AsRef<Path>,
    mode: ColorMode,
) -> Result<YoloFolder> {
    let (folder, labels) = (images.as_ref(), labels.as_ref());
    let classes = class_names(classes.as_ref())?;
    let images = images_below(folder)?;
    if images.is_empty() {
        return Err(Error::file(folder, "it holds no images"));
    }
    let with_boxes = |image: PathBuf| {
        let place = image.strip_prefix(folder).unwrap_or(&image).with_file_name(stem(&image)).into_os_string();
        let mut text = labels.join(place).into_os_string();
        text.push(".txt");
        let boxes = boxes(Path::new(&text), classes.len())?;
        Ok((image, boxes))
    };
    let files = images.into_iter().map(with_boxes).collect::<Result<_>>()?;
    Ok(YoloFolder { files: ImageFiles::new(files, classes, mode) })
}

impl YoloFolder {
    /// The file of each image.
    pub fn paths(&self) -> &[PathBuf] {
        self.files.paths()
    }

    /// Names of the classes, by their numbers.
    pub fn classes(&self) -> &[String] {
        self.files.classes()
    }

    /// The boxes of an image in pixels. Only the header of its file is read.
    ///
    /// # Errors
    /// [`Error::File`] if it can't be; [`Error::IndexOutOfRange`].
    pub fn boxes(&self, index: usize) -> Result<Vec<BoundingBox>> {
        crate::data::dataset::check_index("boxes", index, self.len())?;
        Ok(scaled(&self.files.targets()[index], ImageHeader::read(&self.files.paths()[index])?.size))
    }
}

impl Dataset for YoloFolder {
    type Item = Sample<Vec<BoundingBox>>;

    fn len(&self) -> usize {
        self.files.len()
    }

    fn get(&self, index: usize) -> Result<Sample<Vec<BoundingBox>>> {
        let Sample { image, target } = self.files.get(index)?;
        let [_, height, width] = image.shape();
        Ok(Sample { image, target: scaled(&target, [height, width]) })
    }
}

fn scaled(boxes: &[BoundingBox], [height, width]: [usize; 2]) -> Vec<BoundingBox> {
    let (width, height) = (width as f32, height as f32);
    let scaled = |found: &BoundingBox| {
        let [left, top, right, bottom] = found.corners;
        let corners = [left * width, top * height, right * width, bottom * height];
        BoundingBox { corners, area: found.area * width * height, ..*found }
    };
    boxes.iter().map(scaled).collect()
}

/// The boxes of a text file, in shares; none where there is no file.
fn boxes(path: &Path, classes: usize) -> Result<Vec<BoundingBox>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = file::read_text(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parsed = lines.map(|(at, line)| {
        parse(line, classes).map_err(|reason| Error::file(path, format!("line {}: {reason}", at + 1)))
    });
    parsed.collect()
}

fn parse(line: &str, classes: usize) -> Result<BoundingBox, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [class, numbers @ ..] = &words[..] else { return Err("no box".to_string()) };
    let class = class.parse::<i32>().ok().filter(|&class| usize::try_from(class).is_ok_and(|class| class < classes));
    let class = class.ok_or_else(|| format!("class {:?}, of {classes} classes", words[0]))?;
    let numbers: Option<Vec<f32>> = numbers.iter().map(|number| number.parse().ok()).collect();
    let Some([x, y, width, height]) = numbers.as_deref() else {
        return Err(format!("{line:?} is not a class and four numbers"));
    };
    BoundingBox::new(class, [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0])
}
