//! Boxes as offsets from anchors, in which networks predict them.

use crate::error::Result;
use crate::graph::{Device, Tensor};
use crate::ops::BoxFormat;

/// The largest logarithm of a ratio of sizes, so that exponentials stay finite: torchvision's `log(1000 / 16)`.
pub(super) const BBOX_XFORM_CLIP: f64 = 4.135_166_556_742_356;

/// Offsets from anchors (Girshick et al., "Rich Feature Hierarchies", 2014), torchvision's `BoxCoder`: with centres `x, y` and
/// sizes `w, h` of a box, and `xa, ya, wa, ha` of its anchor,
/// `wx (x - xa) / wa, wy (y - ya) / ha, ww log(w / wa), wh log(h / ha)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxCoder {
    /// `wx, wy, ww, wh`.
    weights: [f64; 4],
}

impl BoxCoder {
    /// A coder with the weights of `x`, `y`, width and height.
    pub fn new(weights: [f64; 4]) -> BoxCoder {
        BoxCoder { weights }
    }

    /// The weights of centres and of sizes.
    fn weights(&self, device: &Device) -> Result<[Tensor; 2]> {
        let [wx, wy, ww, wh] = self.weights;
        Ok([Tensor::from_f64(device, &[wx, wy], &[2])?, Tensor::from_f64(device, &[ww, wh], &[2])?])
    }

    /// Offsets of boxes from anchors, both corners `[.., 4]`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the last dimension is not 4;
    /// [`Error::Broadcast`](crate::Error::Broadcast).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::detection::BoxCoder};
    /// # let device = Device::reference();
    /// let anchors = Tensor::from_slice(&device, &[0.0f32, 0.0, 4.0, 2.0], &[1, 4])?;
    /// let boxes = Tensor::from_slice(&device, &[2.0f32, 0.0, 6.0, 2.0], &[1, 4])?;
    /// let coder = BoxCoder::new([10.0, 10.0, 5.0, 5.0]);
    /// let offsets = coder.encode(&boxes, &anchors)?;
    /// assert_eq!(offsets.to_vec::<f32>()?, [5.0, 0.0, 0.0, 0.0]);
    /// assert_eq!(coder.decode(&offsets, &anchors)?.to_vec::<f32>()?, [2.0, 0.0, 6.0, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn encode(&self, boxes: &Tensor, anchors: &Tensor) -> Result<Tensor> {
        let ([centre, size], [middle, extent]) = (centre_and_size(boxes)?, centre_and_size(anchors)?);
        let [of_centre, of_size] = self.weights(boxes.device())?;
        let shift = ((&centre - &middle)? * &of_centre)? / &extent;
        let growth = (&size / &extent)?.log()? * &of_size;
        Tensor::cat(&[&shift?, &growth?], -1)
    }

    /// The boxes of offsets from anchors, both `[.., 4]`: corners. Sizes grow at most 62.5 times.
    ///
    /// # Errors
    /// As [`encode`](BoxCoder::encode).
    #[track_caller]
    pub fn decode(&self, codes: &Tensor, anchors: &Tensor) -> Result<Tensor> {
        let [middle, extent] = centre_and_size(anchors)?;
        let [of_centre, of_size] = self.weights(codes.device())?;
        let shift = (codes.narrow(-1, 0, 2)? / &of_centre)?;
        let growth = (codes.narrow(-1, 2, 2)? / &of_size)?;
        let most = Tensor::from_f64(codes.device(), &[BBOX_XFORM_CLIP], &[1])?;
        let centre = ((shift * &extent)? + &middle)?;
        let half = ((growth.clamp_tensor(None, Some(&most))?.exp()? * &extent)? * 0.5)?;
        Tensor::cat(&[&(&centre - &half)?, &(&centre + &half)?], -1)
    }
}

#[track_caller]
fn centre_and_size(boxes: &Tensor) -> Result<[Tensor; 2]> {
    let boxes = boxes.box_convert(BoxFormat::Xyxy, BoxFormat::Xywh)?;
    let size = boxes.narrow(-1, 2, 2)?;
    Ok([(boxes.narrow(-1, 0, 2)? + (&size * 0.5)?)?, size])
}

/// Distances of a box's sides from its anchor's centre (Tian et al., "FCOS", 2019), torchvision's `BoxLinearCoder`: left, top,
/// right and bottom, in units of the anchor's width and height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoxLinearCoder;

impl BoxLinearCoder {
    /// Distances of boxes from anchors, both corners `[.., 4]`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the last dimension is not 4;
    /// [`Error::Broadcast`](crate::Error::Broadcast).
    #[track_caller]
    pub fn encode(&self, boxes: &Tensor, anchors: &Tensor) -> Result<Tensor> {
        let [centre, size] = middle_and_size(anchors)?;
        let (first, last) = (boxes.narrow(-1, 0, 2)?, boxes.narrow(-1, 2, 2)?);
        let before = (&centre - &first)? / &size;
        let after = (&last - &centre)? / &size;
        Tensor::cat(&[&before?, &after?], -1)
    }

    /// The boxes of distances from anchors, both `[.., 4]`: corners.
    ///
    /// # Errors
    /// As [`encode`](BoxLinearCoder::encode).
    #[track_caller]
    pub fn decode(&self, codes: &Tensor, anchors: &Tensor) -> Result<Tensor> {
        let [centre, size] = middle_and_size(anchors)?;
        let before = (codes.narrow(-1, 0, 2)? * &size)?;
        let after = (codes.narrow(-1, 2, 2)? * &size)?;
        Tensor::cat(&[&(&centre - before)?, &(&centre + after)?], -1)
    }
}

/// As [`centre_and_size`], with the centre as the mean of the corners.
#[track_caller]
fn middle_and_size(boxes: &Tensor) -> Result<[Tensor; 2]> {
    let boxes = boxes.box_convert(BoxFormat::Xyxy, BoxFormat::Cxcywh)?;
    Ok([boxes.narrow(-1, 0, 2)?, boxes.narrow(-1, 2, 2)?])
}
