//! Points at the peaks of heatmaps.

use super::check_boxes;
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, ascribe_to_caller, hash_structure, record};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const OP: &str = "heatmaps_to_keypoints";

const ROWS: &str = wgsl!("detection/heatmap_rows");

/// The largest value of each row of heatmaps `[R, K, H, W]` stretched over boxes `[R, 4]`, and its column: `[R, K, rows]`.
#[derive(Clone, Debug)]
struct HeatmapRows {
    /// Rows of the highest box.
    rows: usize,
}

/// The weights of the four neighbours of a position `t` past the second one.
fn taps(t: f64) -> [f64; 4] {
    let outer = |d: f64| ((-0.75 * d + 3.75) * d - 6.0) * d + 3.0;
    let inner = |d: f64| (1.25 * d - 2.25) * d * d + 1.0;
    [outer(1.0 + t), inner(t), inner(1.0 - t), outer(2.0 - t)]
}

/// The neighbours of an element and their weights, in a dimension of `size` elements stretched to `length`.
fn neighbours(element: usize, length: f64, size: usize) -> [(usize, f64); 4] {
    let position = (element as f64 + 0.5) * (size as f64 / length) - 0.5;
    let (first, last) = (position.floor() - 1.0, size as f64 - 1.0);
    let weights = taps(position - position.floor());
    [0, 1, 2, 3].map(|tap| (nearest((first + tap as f64).clamp(0.0, last)), weights[tap]))
}

impl Op for HeatmapRows {
    fn name(&self) -> &'static str {
        "heatmap_rows"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&self.rows, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let maps = &inputs[0].shape;
        let shape = Shape::new(&[maps[0], maps[1], self.rows])?;
        Ok(vec![Layout::contiguous(shape, DType::F32), Layout::contiguous(shape, DType::I32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let (maps, count) = (io.inputs[0].shape, io.outputs[0].shape.numel());
        Ok(Kernel::new("heatmap_rows", ROWS)
            .constant("POINTS", format!("{}u", maps[1].max(1)))
            .constant("ROWS", format!("{}u", self.rows.max(1)))
            .constant("HEIGHT", format!("{}u", maps[2]))
            .constant("WIDTH", format!("{}u", maps[3]))
            .bind("maps", Operand::Input(0))
            .bind("boxes", Operand::Input(1))
            .bind("values", Operand::Output(0))
            .bind("places", Operand::Output(1))
            .values(&[count])
            .words([Word::Offset(0), Word::Offset(1)])
            .grid(fold_groups(count, 64))
            .work(count.saturating_mul(64 * maps[3]))
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (maps, boxes) = (&inputs[0], &inputs[1]);
        let shape = Shape::new(&[maps.shape[0], maps.shape[1], self.rows])?;
        let mut values = vec![f64::from(f32::MIN); shape.numel()];
        let mut places = vec![0.0; shape.numel()];
        for (id, (best, at)) in values.iter_mut().zip(&mut places).enumerate() {
            let (region, point, row) = (id / self.rows / shape[1], id / self.rows % shape[1], id % self.rows);
            let length = |d: usize| (boxes.at(&[region, d + 2]) - boxes.at(&[region, d])).max(1.0).ceil();
            let (columns, rows) = (length(0), length(1));
            if row as f64 >= rows {
                continue;
            }
            let down = neighbours(row, rows, maps.shape[2]);
            for x in 0..nearest(columns) {
                let right = neighbours(x, columns, maps.shape[3]);
                let across = |y: usize| -> f64 {
                    right.iter().map(|&(x, weight)| weight * maps.at(&[region, point, y, x])).sum()
                };
                let value: f64 = down.iter().map(|&(y, weight)| weight * across(y)).sum();
                if value > *best {
                    (*best, *at) = (value, x as f64);
                }
            }
        }
        Ok(vec![HostTensor::new(shape, DType::F32, values), HostTensor::new(shape, DType::I32, places)])
    }
    fn differentiable(&self) -> bool {
        false
    }
}

impl Tensor {
    /// The position of the largest value of each heatmap, torchvision's `heatmaps_to_keypoints`: heatmaps `[R, K, H, W]` over
    /// boxes `[R, 4]` (x1, y1, x2, y2 in pixels, inside of images of at most `size`, a height and width) become points
    /// `[R, K, 3]` of x, y and 1, and values `[R, K]`.
    ///
    /// A heatmap is stretched to whole pixels by cubic convolution, so points may be between its elements. The stretched maps are
    /// not stored.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes and empty heatmaps; [`Error::WrongDType`] for types other than f32.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let heatmaps = Tensor::from_slice(&device, &[0.0f32, 0.0, 9.0, 0.0], &[1, 1, 2, 2])?;
    /// let boxes = Tensor::from_slice(&device, &[10.0f32, 20.0, 14.0, 24.0], &[1, 4])?;
    /// let (points, values) = heatmaps.heatmaps_to_keypoints(&boxes, [100, 100])?;
    /// assert_eq!(points.to_vec::<f32>()?, [10.5, 23.5, 1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn heatmaps_to_keypoints(&self, boxes: &Tensor, size: [usize; 2]) -> Result<(Tensor, Tensor)> {
        let _line = ascribe_to_caller();
        check_boxes(OP, boxes)?;
        let shape = self.shape();
        if shape.len() != 4 || boxes.shape()[..] != [shape[0], 4] || shape[2] * shape[3] * size[0] == 0 {
            let rule = format!("heatmaps {shape} and boxes {} must be [R, K, H, W] and [R, 4]", boxes.shape());
            return Err(Error::invalid(OP, rule));
        }
        for tensor in [self, boxes] {
            if tensor.dtype() != DType::F32 {
                return Err(Error::WrongDType { op: OP, expected: "f32", got: tensor.dtype() });
            }
        }
        let boxes = boxes.detach();
        let found = record(HeatmapRows { rows: size[0] }, &[&self.detach().contiguous()?, &boxes.contiguous()?])?;
        let (values, row) = found[0].max(2)?;
        let column = found[1].gather(2, &row.unsqueeze(2)?)?.squeeze(2)?;
        let along = |d: usize, place: &Tensor| -> Result<Tensor> {
            let (low, high) = (boxes.narrow(1, d, 1)?, boxes.narrow(1, d + 2, 1)?);
            let length = (&high - &low)?.maximum_scalar(1.0)?;
            let pixel = (&length / length.ceil()?)?;
            (((place.to_dtype(DType::F32)? + 0.5)? * &pixel)? + low)?.unsqueeze(2)
        };
        let (x, y) = (along(0, &column)?, along(1, &row)?);
        Ok((Tensor::cat(&[&x, &y, &x.ones_like()?], 2)?, values))
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |[regions, points]: [usize; 2], map: [usize; 2], size: [usize; 2]| {
        let run = move |x: &[Tensor]| {
            let (low, side) = (x[1].narrow(1, 0, 2)?, x[1].narrow(1, 2, 2)?);
            let boxes = Tensor::cat(&[&low, &(&low + &side)?], 1)?;
            let (points, values) = x[0].heatmaps_to_keypoints(&boxes, size)?;
            Ok(vec![points, values])
        };
        let most = size[0].min(size[1]) as f64;
        Case::new(OP, &[&[regions, points, map[0], map[1]], &[regions, 4]], run)
            .domain(1, 0.0, most)
            .with("size", size)
            .distinct()
            .no_gradient()
    };
    vec![
        case([3, 2], [4, 4], [9, 11]),
        case([2, 1], [7, 5], [6, 6]),
        case([1, 3], [1, 1], [4, 4]),
        case([0, 2], [4, 4], [9, 9]),
    ]
}
