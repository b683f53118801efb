//! Areas, overlaps and formats of boxes, composed of pointwise operations.

use super::check_boxes;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Tensor, ascribe_to_caller};
use crate::ops::case::Case;

/// The format of a box's four numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BoxFormat {
    /// Two corners: x1, y1, x2, y2.
    #[default]
    Xyxy,
    /// A corner and the size: x1, y1, width, height.
    Xywh,
    /// The centre and the size: x, y, width, height.
    Cxcywh,
}

/// Component `at` of every box.
#[track_caller]
fn column(boxes: &Tensor, at: usize) -> Result<Tensor> {
    boxes.narrow(-1, at, 1)?.squeeze(-1)
}

/// Two components of every box of one set with those of every box of another: `[.., N, 1]` and `[.., 1, M]`.
#[track_caller]
fn pair(boxes: &Tensor, others: &Tensor, at: usize) -> Result<(Tensor, Tensor)> {
    Ok((column(boxes, at)?.unsqueeze(-1)?, column(others, at)?.unsqueeze(-2)?))
}

/// The length of the interval between two coordinates.
#[track_caller]
fn length(from: &Tensor, to: &Tensor) -> Result<Tensor> {
    (to - from)?.clamp(Some(0.0), None)
}

/// Sizes, `[.., N, M]`, of the smallest boxes around each pair.
#[track_caller]
fn hull(boxes: &Tensor, others: &Tensor) -> Result<[Tensor; 2]> {
    let _line = ascribe_to_caller();
    let side = |d: usize| {
        let (from, to) = (pair(boxes, others, d)?, pair(boxes, others, d + 2)?);
        length(&from.0.minimum(&from.1)?, &to.0.maximum(&to.1)?)
    };
    Ok([side(0)?, side(1)?])
}

/// Areas of the intersections and unions of each two boxes (as corners).
#[track_caller]
fn intersection_and_union(boxes: &Tensor, others: &Tensor) -> Result<(Tensor, Tensor)> {
    let _line = ascribe_to_caller();
    let side = |d: usize| {
        let (from, to) = (pair(boxes, others, d)?, pair(boxes, others, d + 2)?);
        length(&from.0.maximum(&from.1)?, &to.0.minimum(&to.1)?)
    };
    let shared = (side(0)? * side(1)?)?;
    let area = |boxes: &Tensor| boxes.box_area(BoxFormat::Xyxy);
    let union = (area(boxes)?.unsqueeze(-1)? + area(others)?.unsqueeze(-2)? - &shared)?;
    Ok((shared, union))
}

/// Boxes in f32, in which areas do not overflow.
#[track_caller]
fn upcast(op: &'static str, boxes: &Tensor) -> Result<Tensor> {
    check_boxes(op, boxes)?;
    boxes.to_dtype(DType::F32)
}

impl Tensor {
    /// Areas of boxes, torchvision's `box_area`: `[.., 4]` becomes `[..]`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the last dimension is not 4.
    #[track_caller]
    pub fn box_area(&self, fmt: BoxFormat) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let boxes = upcast("box_area", self)?;
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| column(&boxes, at));
        match fmt {
            BoxFormat::Xyxy => (c? - a?)? * (d? - b?),
            _ => c? * d?,
        }
    }

    /// Intersection over union of each two boxes, torchvision's `box_iou`: `[.., N, 4]` and `[.., M, 4]` become
    /// `[.., N, M]`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if a last dimension is not 4;
    /// [`Error::Broadcast`](crate::Error::Broadcast).
    ///
    /// ```
    /// # use wgrad::{BoxFormat, Device, Tensor};
    /// # let device = Device::reference();
    /// let a = Tensor::from_slice(&device, &[0.0f32, 0.0, 2.0, 2.0], &[1, 4])?;
    /// let b = Tensor::from_slice(&device, &[1.0f32, 0.0, 3.0, 2.0], &[1, 4])?;
    /// assert_eq!(a.box_iou(&b, BoxFormat::Xyxy)?.to_vec::<f32>()?, [2.0 / 6.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn box_iou(&self, other: &Tensor, fmt: BoxFormat) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let corners = |boxes: &Tensor| upcast("box_iou", boxes)?.box_convert(fmt, BoxFormat::Xyxy);
        let (shared, union) = intersection_and_union(&corners(self)?, &corners(other)?)?;
        &shared / &union
    }

    /// `iou - (hull - union) / hull` of each two boxes (as corners), with the area of the smallest box around both: torchvision's
    /// `generalized_box_iou`.
    ///
    /// # Errors
    /// As [`box_iou`](Tensor::box_iou).
    #[track_caller]
    pub fn generalized_box_iou(&self, other: &Tensor) -> Result<Tensor> {
        let [a, b] = [self, other].map(|boxes| upcast("generalized_box_iou", boxes));
        let (a, b) = (a?, b?);
        let (shared, union) = intersection_and_union(&a, &b)?;
        let [width, height] = hull(&a, &b)?;
        let hull = (&width * &height)?;
        (&shared / &union)? - (&hull - &union) / &hull
    }

    /// `iou - d^2 / (c^2 + eps)` of each two boxes (as corners), with the distance `d` of their centres and the
    /// diagonal `c` of the smallest box around both: torchvision's `distance_box_iou` (whose `eps` is 1e-7).
    ///
    /// # Errors
    /// As [`box_iou`](Tensor::box_iou).
    #[track_caller]
    pub fn distance_box_iou(&self, other: &Tensor, eps: f64) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let [a, b] = [self, other].map(|boxes| upcast("distance_box_iou", boxes));
        let (a, b) = (a?, b?);
        let (shared, union) = intersection_and_union(&a, &b)?;
        let [width, height] = hull(&a, &b)?;
        let diagonal = ((width.square()? + height.square()?)? + eps)?;
        let apart = |d: usize| {
            let (from, to) = (pair(&a, &b, d)?, pair(&a, &b, d + 2)?);
            let centre = |from: &Tensor, to: &Tensor| (from + to)? * 0.5;
            (centre(&from.0, &to.0)? - centre(&from.1, &to.1)?)?.square()
        };
        (&shared / &union)? - (apart(0)? + apart(1)?) / &diagonal
    }

    /// The distance overlap, minus a penalty for different aspect ratios: torchvision's `complete_box_iou` (whose `eps` is 1e-7).
    /// `diou - alpha v`, with `v = (2 / pi (atan(w / h) - atan(w' / h')))^2` and the constant `alpha = v / (1 - iou + v + eps)`.
    ///
    /// # Errors
    /// As [`box_iou`](Tensor::box_iou).
    #[track_caller]
    pub fn complete_box_iou(&self, other: &Tensor, eps: f64) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let distance = self.distance_box_iou(other, eps)?;
        let [a, b] = [self, other].map(|boxes| upcast("complete_box_iou", boxes));
        let iou = self.box_iou(other, BoxFormat::Xyxy)?.detach();
        let angle = |boxes: &Tensor| -> Result<Tensor> {
            let side = |d: usize| column(boxes, d + 2)? - column(boxes, d)?;
            (side(0)? / side(1)?)?.atan()
        };
        let angles = (angle(&a?)?.unsqueeze(-1)? - angle(&b?)?.unsqueeze(-2)?)?;
        let v = (angles.square()? * (4.0 / (std::f64::consts::PI * std::f64::consts::PI)))?;
        let alpha = (v.detach() / ((v.detach() - &iou)? + (1.0 + eps)))?;
        &distance - &alpha * &v
    }

    /// Boxes in another format, torchvision's `box_convert`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the last dimension is not 4;
    /// [`Error::WrongDType`](crate::Error::WrongDType) for bool.
    ///
    /// ```
    /// # use wgrad::{BoxFormat, Device, Tensor};
    /// # let device = Device::reference();
    /// let boxes = Tensor::from_slice(&device, &[1.0f32, 2.0, 5.0, 4.0], &[1, 4])?;
    /// let centred = boxes.box_convert(BoxFormat::Xyxy, BoxFormat::Cxcywh)?;
    /// assert_eq!(centred.to_vec::<f32>()?, [3.0, 3.0, 4.0, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn box_convert(&self, in_fmt: BoxFormat, out_fmt: BoxFormat) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        check_boxes("box_convert", self)?;
        if in_fmt == out_fmt {
            return Ok(self.clone());
        }
        let (a, b) = (self.narrow(-1, 0, 2)?, self.narrow(-1, 2, 2)?);
        let half = |t: &Tensor| t * 0.5;
        let (from, to) = match in_fmt {
            BoxFormat::Xyxy => (a, b),
            BoxFormat::Xywh => (a.clone(), (&a + &b)?),
            BoxFormat::Cxcywh => ((&a - half(&b)?)?, (&a + half(&b)?)?),
        };
        let (first, second) = match out_fmt {
            BoxFormat::Xyxy => (from, to),
            BoxFormat::Xywh => (from.clone(), (&to - &from)?),
            BoxFormat::Cxcywh => (half(&(&from + &to)?)?, (&to - &from)?),
        };
        Tensor::cat(&[&first, &second], -1)
    }

    /// Boxes (as corners) clipped to the edges of an image of a height and width, torchvision's
    /// `clip_boxes_to_image`. The gradient is 0 where one was cut, and at an edge.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the last dimension is not 4.
    #[track_caller]
    pub fn clip_boxes_to_image(&self, size: [usize; 2]) -> Result<Tensor> {
        check_boxes("clip_boxes_to_image", self)?;
        let [height, width] = size.map(|size| size as f32);
        let most = Tensor::from_slice(self.device(), &[width, height, width, height], &[4])?.to_dtype(self.dtype())?;
        let inside = self.clamp(Some(0.0), None)?;
        inside.ge(&most)?.where_(&most, &inside)
    }

    /// Indices (i32) of the boxes (`[N, 4]`, as corners) whose sides are both at least `min_size`, torchvision's
    /// `remove_small_boxes`. Their number is part of the result's shape, so this call waits for the device and reads it back.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for other shapes; those of a readback.
    #[track_caller]
    pub fn remove_small_boxes(&self, min_size: f64) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        const OP: &str = "remove_small_boxes";
        check_boxes(OP, self)?;
        if self.rank() != 2 {
            return Err(crate::Error::invalid(OP, format!("boxes are [N, 4]; got {}", self.shape())));
        }
        let long = |d: usize| (column(self, d + 2)? - column(self, d)?)?.ge_scalar(min_size);
        let keep = long(0)?.logical_and(&long(1)?)?.to_vec::<bool>()?;
        let kept: Vec<i32> = (0..).zip(keep).filter(|&(_, keep)| keep).map(|(at, _)| at).collect();
        Tensor::from_slice(self.device(), &kept, &[kept.len()])
    }
}

pub(super) fn cases() -> Vec<Case> {
    // Corners that are far from each other, as overlaps have kinks where they meet.
    const FIRST: [f32; 12] = [0.0, 0.5, 3.0, 3.5, 1.0, 1.5, 5.0, 4.5, 2.0, 2.5, 6.5, 7.0];
    const SECOND: [f32; 8] = [0.5, 1.0, 4.0, 5.0, 1.5, 2.0, 5.5, 6.0];
    #[track_caller]
    fn centred(boxes: &Tensor) -> Result<Tensor> {
        boxes.box_convert(BoxFormat::Xyxy, BoxFormat::Cxcywh)
    }
    type Two = fn(&Tensor, &Tensor) -> Result<Tensor>;
    let two = |op: &'static str, run: Two| {
        Case::new(op, &[&[3, 4], &[2, 4]], move |x| {
            let first = x[0].add(&Tensor::from_slice(x[0].device(), &FIRST, &[3, 4])?)?;
            let second = x[1].add(&Tensor::from_slice(x[1].device(), &SECOND, &[2, 4])?)?;
            Ok(vec![run(&first, &second)?])
        })
        .domain(0, -0.1, 0.1)
        .domain(1, -0.1, 0.1)
    };
    let mut clipped = Case::new("clip_boxes_to_image", &[&[5, 4]], |x| Ok(vec![x[0].clip_boxes_to_image([1, 1])?]));
    clipped.inputs[0].kinks = &[0.0, 1.0];
    vec![
        Case::new("box_area", &[&[5, 4]], |x| Ok(vec![x[0].box_area(BoxFormat::Xyxy)?])),
        Case::new("box_area", &[&[2, 3, 4]], |x| Ok(vec![x[0].box_area(BoxFormat::Cxcywh)?])),
        two("box_iou", |a, b| a.box_iou(b, BoxFormat::Xyxy)),
        two("box_iou", |a, b| centred(a)?.box_iou(&centred(b)?, BoxFormat::Cxcywh)).with("format", BoxFormat::Cxcywh),
        two("generalized_box_iou", |a, b| a.generalized_box_iou(b)),
        two("distance_box_iou", |a, b| a.distance_box_iou(b, 1e-7)),
        two("complete_box_iou", |a, b| a.complete_box_iou(b, 1e-7)).no_differences(),
        Case::new("box_convert", &[&[2, 3, 4]], |x| Ok(vec![x[0].box_convert(BoxFormat::Xyxy, BoxFormat::Cxcywh)?])),
        Case::new("box_convert", &[&[0, 4]], |x| Ok(vec![x[0].box_convert(BoxFormat::Xywh, BoxFormat::Xyxy)?])),
        clipped,
        Case::new("remove_small_boxes", &[&[5, 4]], |x| Ok(vec![x[0].remove_small_boxes(0.5)?])).no_gradient(),
    ]
}
