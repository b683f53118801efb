//! The description of an image's map, and its words on the device.

use super::Projective;
use crate::number::nearest;

/// A map from positions of an output to positions of an input. Positions count elements from the upper left corner; the centre of
/// the first is (1/2, 1/2).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImageMap {
    /// Width and height of the drawn part of the output, which is surrounded by zeros.
    pub size: [f64; 2],
    /// From the output, or from the displaced position, to the input.
    pub map: Projective,
    /// Left, upper, right and lower edge of the window that is read.
    pub window: [f64; 4],
    /// Edges of the canvas around it, which is `inner_fill` outside the window.
    pub canvas: [f64; 4],
    /// Factors by which the filter is wider in x and in y than for adjacent elements.
    pub widths: [f64; 2],
    /// A number per channel.
    pub inner_fill: Vec<f32>,
    /// Values beyond the canvas, one per channel.
    pub fill: Vec<f32>,
    /// From the output to the frame of the displacements, if there are any.
    pub outer: Option<Projective>,
    /// Frames that cut off everything outside, the innermost first.
    pub clips: Vec<Clip>,
}

/// A frame between the input and the output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clip {
    /// To the frame.
    pub map: Projective,
    /// True if `map` starts from the displaced position of an output, and not from the output.
    pub is_inner: bool,
    /// Width and height.
    pub size: [f64; 2],
    /// Values outside, one per channel.
    pub fill: Vec<f32>,
}

impl ImageMap {
    /// The words, as the shader lists them.
    pub(super) fn words(&self, [height, width]: [usize; 2]) -> Vec<f32> {
        // Small numbers around the centre keep more of their fraction than large ones counted from a corner.
        let origin = [(width / 2) as f64, (height / 2) as f64];
        let centred = Projective::translation(self.size.map(|size| 0.5 * size));
        let inwards = Projective::translation(origin.map(|at| -at)).after(&self.map);
        let map = if self.outer.is_some() { inwards } else { inwards.after(&centred) };
        let moved =
            |edges: [f64; 4]| [edges[0] - origin[0], edges[1] - origin[1], edges[2] - origin[0], edges[3] - origin[1]];
        let mut words: Vec<f32> = Vec::new();
        let mut push = |values: &[f64]| words.extend(values.iter().map(|&value| nearest::<f32>(value)));
        push(&self.size);
        push(&map.0);
        push(&moved(self.window));
        push(&moved(self.canvas));
        push(&self.widths);
        let fills = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        push(&fills(&self.inner_fill));
        push(&fills(&self.fill));
        push(&map.inverse().0);
        push(&self.outer.unwrap_or(Projective::IDENTITY).after(&centred).0);
        for clip in &self.clips {
            let map = if clip.is_inner { clip.map } else { clip.map.after(&centred) };
            push(&map.0);
            push(&clip.size);
            push(&[f64::from(u8::from(clip.is_inner))]);
            push(&fills(&clip.fill));
        }
        words
    }
}
