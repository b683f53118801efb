//! Annotations in COCO's format (Lin et al., "Microsoft COCO: common objects in context", 2014).

use super::{ColorMode, ImageFiles};
use crate::data::BoundingBox;
use crate::error::{Error, Result};
use crate::number::nearest;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

#[derive(Deserialize)]
struct Instances {
    images: Vec<ImageEntry>,
    categories: Vec<Category>,
    #[serde(default)]
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct ImageEntry {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    /// Left, top, width, height.
    bbox: [f64; 4],
    area: Option<f64>,
    #[serde(default)]
    iscrowd: u8,
}

/// COCO's JSON file of instances; its images are in `folder`. Images come by id, as in torchvision's `CocoDetection`, those
/// without objects among them. Classes are numbered by the ids of the categories, without gaps.
///
/// # Errors
/// [`Error::File`] if the file is missing or not of this format, an id occurs twice, or an annotation names an unknown image or
/// category, or has no box.
///
/// ```no_run
/// use wgrad::data::{ColorMode, coco};
/// let set = coco("annotations/instances_val2017.json", "val2017", ColorMode::Rgb)?;
/// let boxes = &set.targets()[0];
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn coco(
    annotations: impl AsRef<Path>,
    folder: impl AsRef<Path>,
    mode: ColorMode,
) -> Result<ImageFiles<Vec<BoundingBox>>> {
    let (path, folder) = (annotations.as_ref(), folder.as_ref());
    let file = File::open(path).map_err(|error| Error::file(path, error))?;
    let instances: Instances =
        serde_json::from_reader(BufReader::new(file)).map_err(|error| Error::file(path, error))?;
    let fault = |reason: String| Error::file(path, reason);

    let mut categories = BTreeMap::new();
    for Category { id, name } in instances.categories {
        if categories.insert(id, name).is_some() {
            return Err(fault(format!("two categories have the id {id}")));
        }
    }
    let numbers: BTreeMap<u64, i32> = categories.keys().copied().zip(0..).collect();
    let mut images = BTreeMap::new();
    for ImageEntry { id, file_name } in instances.images {
        if images.insert(id, (folder.join(file_name), Vec::new())).is_some() {
            return Err(fault(format!("two images have the id {id}")));
        }
    }
    for (at, annotation) in instances.annotations.iter().enumerate() {
        let fault = |reason: String| fault(format!("annotation {at}: {reason}"));
        let Some((_, boxes)) = images.get_mut(&annotation.image_id) else {
            return Err(fault(format!("there is no image {}", annotation.image_id)));
        };
        let Some(&class) = numbers.get(&annotation.category_id) else {
            return Err(fault(format!("there is no category {}", annotation.category_id)));
        };
        let [left, top, width, height] = annotation.bbox;
        let corners = [left, top, left + width, top + height].map(nearest::<f32>);
        let mut found = BoundingBox::new(class, corners).map_err(fault)?;
        found.area = annotation.area.map_or(found.area, nearest);
        found.is_ignored = annotation.iscrowd != 0;
        boxes.push(found);
    }
    Ok(ImageFiles::new(images.into_values().collect(), categories.into_values().collect(), mode))
}
