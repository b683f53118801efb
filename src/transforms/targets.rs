//! Targets of images: boxes, masks and key points.

use super::Views;
use super::pending::Step;
use crate::data::BoundingBox;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::Projective;

const OP: &str = "Views";

/// Targets of a batch that have positions in its images.
#[derive(Clone, Debug, Default)]
pub(super) struct Targets {
    pub masks: Option<Tensor>,
    pub boxes: Option<Vec<Vec<BoundingBox>>>,
    pub key_points: Option<Vec<Vec<[f32; 2]>>>,
}

impl Targets {
    /// Moves the boxes and key points of each image by its step, from one height and width to another.
    pub fn follow(&mut self, steps: &[Step], sizes: &[[usize; 2]]) {
        for (image, (step, &size)) in steps.iter().zip(sizes).enumerate() {
            if matches!(step, Step::Stay | Step::Bend(_)) {
                continue;
            }
            let (map, size) = step.map(size);
            let forth = map.inverse();
            self.move_image(image, size, |place| forth.apply(place));
        }
    }

    /// Moves the boxes and key points of an image. Points that go nowhere stay.
    pub fn move_image(&mut self, image: usize, size: [usize; 2], to: impl Fn([f64; 2]) -> Option<[f64; 2]>) {
        if let Some(boxes) = &mut self.boxes {
            boxes[image].iter_mut().for_each(|one| *one = moved(one, size, &to));
        }
        if let Some(points) = &mut self.key_points {
            for point in &mut points[image] {
                let place = point.map(f64::from);
                *point = to(place).unwrap_or(place).map(nearest::<f32>);
            }
        }
    }
}

/// The box around a box's moved corners, within an image. Its object's area changes in proportion to the box's.
pub(super) fn moved(
    one: &BoundingBox,
    [height, width]: [usize; 2],
    to: impl Fn([f64; 2]) -> Option<[f64; 2]>,
) -> BoundingBox {
    let [left, top, right, bottom] = one.corners.map(f64::from);
    let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
    let places = corners.map(|corner| to(corner).unwrap_or(corner));
    let bound = |d: usize, most: usize| {
        let of = places.map(|place| place[d]);
        let (low, high) = of.into_iter().fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(x), h.max(x)));
        [low, high].map(|edge| edge.clamp(0.0, most as f64))
    };
    let ([x0, x1], [y0, y1]) = (bound(0, width), bound(1, height));
    let before = (right - left) * (bottom - top);
    let share = if before > 0.0 { (x1 - x0) * (y1 - y0) / before } else { 0.0 };
    BoundingBox { corners: [x0, y0, x1, y1].map(nearest::<f32>), area: nearest(f64::from(one.area) * share), ..*one }
}

/// Boxes on a device.
#[derive(Clone, Debug)]
pub struct BoxTensors {
    /// `[N, M, 4]` in f32, x1, y1, x2 and y2 in elements; zeros for images with fewer boxes than the most.
    pub boxes: Tensor,
    /// `[N, M]` in i32, the numbers of their classes; -1 where there is no box.
    pub classes: Tensor,
}

impl Views {
    /// With boxes for each image.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not one list of boxes for each image.
    pub fn with_boxes(mut self, boxes: Vec<Vec<BoundingBox>>) -> Result<Views> {
        self.check_count("boxes", boxes.len())?;
        self.targets.boxes = Some(boxes);
        Ok(self)
    }

    /// With masks, `[N, 1, H, W]` in i32: a number for each element. Elements outside of an image become 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they are not as many and as large as the images; [`Error::WrongDType`] for types other than i32.
    pub fn with_masks(mut self, masks: Tensor) -> Result<Views> {
        let [height, width] = self.size();
        if masks.shape()[..] != [self.len(), 1, height, width] || self.is_pending() {
            let rule = format!("masks {} for {} images of {height} x {width}", masks.shape(), self.len());
            return Err(Error::invalid(OP, rule));
        }
        if masks.dtype() != DType::I32 {
            return Err(Error::WrongDType { op: OP, expected: "masks in i32", got: masks.dtype() });
        }
        self.targets.masks = Some(masks);
        Ok(self)
    }

    /// With key points for each image, `[x, y]` in elements. They may be outside the image.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not one list of key points for each image.
    pub fn with_key_points(mut self, points: Vec<Vec<[f32; 2]>>) -> Result<Views> {
        self.check_count("key points", points.len())?;
        self.targets.key_points = Some(points);
        Ok(self)
    }

    fn check_count(&self, what: &str, count: usize) -> Result<()> {
        if count == self.len() {
            return Ok(());
        }
        Err(Error::invalid(OP, format!("{what} of {count} images for {}", self.len())))
    }

    /// The current boxes of each image.
    pub fn boxes(&self) -> Option<&[Vec<BoundingBox>]> {
        self.targets.boxes.as_deref()
    }

    /// The boxes of all images on the device.
    ///
    /// # Errors
    /// As [`Tensor::from_slice`].
    pub fn box_tensors(&self) -> Result<Option<BoxTensors>> {
        let Some(boxes) = self.boxes() else { return Ok(None) };
        let most = boxes.iter().map(Vec::len).max().unwrap_or(0);
        let mut corners = vec![0.0; boxes.len() * most * 4];
        let mut classes = vec![-1; boxes.len() * most];
        for (image, boxes) in boxes.iter().enumerate() {
            for (at, one) in boxes.iter().enumerate() {
                let place = image * most + at;
                corners[4 * place..][..4].copy_from_slice(&one.corners);
                classes[place] = one.class;
            }
        }
        Ok(Some(BoxTensors {
            boxes: Tensor::from_slice(self.device(), &corners, &[boxes.len(), most, 4])?,
            classes: Tensor::from_slice(self.device(), &classes, &[boxes.len(), most])?,
        }))
    }

    /// Keeps the boxes for which `keeps` is true, given an image's height and width.
    pub(super) fn retain_boxes(&mut self, keeps: impl Fn(usize, &BoundingBox, [usize; 2]) -> bool) {
        let sizes = self.sizes();
        let selected = self.selected.clone();
        let is_selected = |image: usize| selected.as_ref().is_none_or(|selected| selected[image]);
        let Some(boxes) = &mut self.targets.boxes else { return };
        for (image, (boxes, size)) in boxes.iter_mut().zip(sizes).enumerate() {
            boxes.retain(|one| !is_selected(image) || keeps(image, one, size));
        }
    }

    /// The current masks.
    ///
    /// # Errors
    /// Those of the operations that are recorded.
    pub fn masks(&mut self) -> Result<Option<Tensor>> {
        self.images()?;
        Ok(self.targets.masks.clone())
    }

    /// The current key points of each image.
    pub fn key_points(&self) -> Option<&[Vec<[f32; 2]>]> {
        self.targets.key_points.as_deref()
    }
}

/// The position to which displacements on the host, in elements, move a position. Like torchvision, it takes the displacement at
/// the position for the one at its source.
pub(super) fn displaced(field: &[f32], [height, width]: [usize; 2], place: [f64; 2]) -> Option<[f64; 2]> {
    let at = |x: f64, most: usize| nearest::<usize>(x.ceil()).min(most.saturating_sub(1));
    let (x, y) = (at(place[0], width), at(place[1], height));
    let by = |d: usize| field.get((y * width + x) * 2 + d).map(|&by| f64::from(by));
    Projective::translation([-by(0)?, -by(1)?]).apply([x as f64, y as f64])
}
