//! Boxes around objects.

/// A box around an object of a class, in pixels of its image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundingBox {
    /// The number of its class.
    pub class: i32,
    /// `[x1, y1, x2, y2]`: the left, upper, right and lower edge; pixel `x` reaches from `x` to `x + 1`.
    pub corners: [f32; 4],
    /// The object's pixels, where its outline is annotated, as in COCO; the box's otherwise.
    pub area: f32,
    /// Left out where detections are counted: a crowd (COCO) or a difficult object (VOC).
    pub is_ignored: bool,
}

impl BoundingBox {
    /// Checks that edges are finite and in order; the error says why they are not.
    #[cfg(feature = "images")]
    pub(super) fn new(class: i32, corners: [f32; 4]) -> Result<BoundingBox, String> {
        let [left, top, right, bottom] = corners;
        if !corners.iter().all(|edge| edge.is_finite()) || right < left || bottom < top {
            return Err(format!("{corners:?} are no edges of a box"));
        }
        Ok(BoundingBox { class, corners, area: (right - left) * (bottom - top), is_ignored: false })
    }
}
