//! The objects of a batch of images, which a detector learns to find.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};

const OP: &str = "DetectionTargets";

/// The objects of a batch of images: a fixed number of rows for each image, of which those without an object have label -1.
///
/// Labels are numbered as torchvision numbers them for the detector at hand: SSD and the R-CNNs count the background as class 0,
/// so that objects start at 1; RetinaNet, FCOS and YOLO have no class for it.
#[derive(Clone, Debug)]
pub struct DetectionTargets {
    /// Corners `x1, y1, x2, y2` in pixels: `[N, M, 4]`, f32.
    pub boxes: Tensor,
    /// Classes: `[N, M]`, i32, and -1 where there is no object.
    pub labels: Tensor,
    /// Each object's pixels, 1 inside and 0 elsewhere: `[N, M, H, W]`, f32.
    pub masks: Option<Tensor>,
    /// Points `x, y, visibility` of each object: `[N, M, K, 3]`, f32.
    pub keypoints: Option<Tensor>,
}

impl DetectionTargets {
    /// Boxes `[N, M, 4]` (f32) and their labels `[N, M]` (i32), with `M` at least 1.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, [`Error::WrongDType`] for other types.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::detection::DetectionTargets};
    /// # let device = Device::reference();
    /// let boxes = Tensor::from_slice(&device, &[2.0f32, 3.0, 9.0, 8.0, 0.0, 0.0, 0.0, 0.0], &[1, 2, 4])?;
    /// let labels = Tensor::from_slice(&device, &[1, -1], &[1, 2])?;
    /// let one_object = DetectionTargets::new(&boxes, &labels)?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(boxes: &Tensor, labels: &Tensor) -> Result<DetectionTargets> {
        let shape = boxes.shape();
        if shape.len() != 3 || shape[2] != 4 || shape[1] == 0 || labels.shape()[..] != shape[..2] {
            let rule = format!("boxes {shape} and labels {} must be [N, M, 4] and [N, M], M above 0", labels.shape());
            return Err(Error::invalid(OP, rule));
        }
        check(boxes, DType::F32)?;
        check(labels, DType::I32)?;
        Ok(DetectionTargets { boxes: boxes.clone(), labels: labels.clone(), masks: None, keypoints: None })
    }

    /// The same, from rows `[N, M, 5]` that hold a box and its label, such as the labels of a [`Batch`](crate::data::Batch) and
    /// the targets of [`MeanAveragePrecision`](crate::metrics::MeanAveragePrecision); further columns are ignored.
    ///
    /// # Errors
    /// As [`new`](DetectionTargets::new).
    pub fn from_rows(rows: &Tensor) -> Result<DetectionTargets> {
        if rows.rank() != 3 || rows.shape()[2] < 5 {
            return Err(Error::invalid(OP, format!("rows {} must be [N, M, 5]", rows.shape())));
        }
        let labels = rows.narrow(2, 4, 1)?.squeeze(2)?.to_dtype(DType::I32)?;
        DetectionTargets::new(&rows.narrow(2, 0, 4)?, &labels)
    }

    /// The same, of a list of corners and labels for each image; lists may be empty.
    ///
    /// # Errors
    /// Those of the device.
    ///
    /// ```
    /// # use wgrad::{Device, models::detection::DetectionTargets};
    /// # let device = Device::reference();
    /// let targets = DetectionTargets::from_objects(&device, &[&[([2.0, 3.0, 9.0, 8.0], 1)], &[]])?;
    /// assert_eq!(targets.labels.to_vec::<i32>()?, [1, -1]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn from_objects(device: &Device, images: &[&[([f32; 4], i32)]]) -> Result<DetectionTargets> {
        let most = images.iter().map(|objects| objects.len()).max().unwrap_or(0).max(1);
        let rows = images.iter().flat_map(|objects| {
            let none = ([0.0; 4], -1);
            objects.iter().copied().chain(std::iter::repeat_n(none, most - objects.len()))
        });
        let (boxes, labels): (Vec<[f32; 4]>, Vec<i32>) = rows.unzip();
        let boxes = Tensor::from_slice(device, boxes.as_flattened(), &[images.len(), most, 4])?;
        DetectionTargets::new(&boxes, &Tensor::from_slice(device, &labels, &[images.len(), most])?)
    }

    /// The same with masks, `[N, M, H, W]` (f32).
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, [`Error::WrongDType`] for other types.
    pub fn masks(self, masks: &Tensor) -> Result<DetectionTargets> {
        self.check_rows(masks, "masks [N, M, H, W]", |shape| shape.len() == 4)?;
        Ok(DetectionTargets { masks: Some(masks.clone()), ..self })
    }

    /// The same with keypoints, `[N, M, K, 3]` (f32).
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, [`Error::WrongDType`] for other types.
    pub fn keypoints(self, keypoints: &Tensor) -> Result<DetectionTargets> {
        self.check_rows(keypoints, "keypoints [N, M, K, 3]", |shape| shape.len() == 4 && shape[3] == 3)?;
        Ok(DetectionTargets { keypoints: Some(keypoints.clone()), ..self })
    }

    fn check_rows(&self, tensor: &Tensor, rule: &str, fits: fn(&[usize]) -> bool) -> Result<()> {
        let (shape, rows) = (tensor.shape(), self.labels.shape());
        if !fits(shape) || shape[..2] != rows[..] {
            return Err(Error::invalid(OP, format!("{rule} must fit labels {rows}; got {shape}")));
        }
        check(tensor, DType::F32)
    }

    /// Boxes and labels side by side, `[N, M, 5]`: the way back from [`from_rows`](DetectionTargets::from_rows).
    ///
    /// # Errors
    /// Those of the device.
    pub fn rows(&self) -> Result<Tensor> {
        Tensor::cat(&[&self.boxes, &self.labels.to_dtype(DType::F32)?.unsqueeze(2)?], 2)
    }

    /// True if a row holds an object: `[N, M]`.
    ///
    /// # Errors
    /// Those of the device.
    pub fn is_object(&self) -> Result<Tensor> {
        self.labels.ge_scalar(0.0)
    }

    /// The box of the object that each of `matches` (`[N, A]`, i32) names, and the first one where it is negative: `[N, A, 4]`.
    ///
    /// # Errors
    /// Those of the device.
    pub fn matched_boxes(&self, matches: &Tensor) -> Result<Tensor> {
        rows_at(&self.boxes, matches)
    }

    /// The label of the object that each of `matches` (`[N, A]`, i32) names, and the first one where it is negative: `[N, A]`.
    ///
    /// # Errors
    /// Those of the device.
    pub fn matched_labels(&self, matches: &Tensor) -> Result<Tensor> {
        self.labels.gather(1, &matches.maximum_scalar(0.0)?)
    }
}

/// Rows of `[N, M, C]` at the indices `[N, A]`: `[N, A, C]`. Negative indices count as 0.
pub(super) fn rows_at(rows: &Tensor, places: &Tensor) -> Result<Tensor> {
    let [images, columns] = [places.shape()[0], rows.shape()[2]];
    let places = places.maximum_scalar(0.0)?.unsqueeze(2)?;
    let [images, count, columns] = [images, places.shape()[1], columns].map(|size| size as isize);
    rows.gather(1, &places.expand(&[images, count, columns])?)
}

fn check(tensor: &Tensor, dtype: DType) -> Result<()> {
    if tensor.dtype() == dtype {
        return Ok(());
    }
    let expected = if dtype == DType::I32 { "i32" } else { "f32" };
    Err(Error::WrongDType { op: OP, expected, got: tensor.dtype() })
}
