//! Pending geometric steps: a map for each image, to which each step is added, so that a chain is sampled once.

use super::functional::{InterpolationMode, Region, widened};
use crate::graph::Tensor;
use crate::ops::{Beyond, Clip, Filter, ImageMap, Projective, Sampling};

/// The next change of an image.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Nothing.
    Stay,
    /// A part of it, and fill values past its edges where the transform may reach past them.
    Cut(Region, Option<Vec<f32>>),
    /// Mirrored along x or y.
    Mirror { along_x: bool },
    /// Another height and width.
    Resize([usize; 2]),
    /// Sampled at the positions to which a map sends the elements of an output of this height and width, with fill values past
    /// the edges; zeros by default.
    Warp(Projective, [usize; 2], Option<Vec<f32>>),
    /// Each element from where a displacement sends it, and fill values as for `Warp`.
    Bend(Option<Vec<f32>>),
}

impl Step {
    /// True if it interpolates between elements.
    fn resamples(&self) -> bool {
        matches!(self, Step::Resize(_) | Step::Warp(..) | Step::Bend(_))
    }

    /// The map from the output to the input, and the output's height and width.
    pub fn map(&self, [height, width]: [usize; 2]) -> (Projective, [usize; 2]) {
        let size = [height, width];
        match self {
            Step::Stay | Step::Bend(_) => (Projective::IDENTITY, size),
            Step::Cut(region, _) => {
                let map = Projective::translation([region.left as f64, region.top as f64]);
                (map, [region.height, region.width])
            }
            Step::Mirror { along_x: true } => (Projective::scaling([-1.0, 1.0], [width as f64, 0.0]), size),
            Step::Mirror { along_x: false } => (Projective::scaling([1.0, -1.0], [0.0, height as f64]), size),
            Step::Resize(to) => {
                let scale = [width as f64 / to[1] as f64, height as f64 / to[0] as f64];
                (Projective::scaling(scale, [0.0; 2]), *to)
            }
            Step::Warp(map, to, _) => (*map, *to),
        }
    }
}

/// The steps of a batch so far.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    images: Vec<Frame>,
    mode: InterpolationMode,
    /// Widens filters where images shrink.
    smooth: bool,
    /// Values beyond the edges, of the first step that interpolates between elements.
    beyond: Option<Beyond>,
    /// Fill values around the window, from the first step that may reach past it.
    inner_fill: Option<Vec<f32>>,
    /// The displacements, in elements.
    field: Option<Tensor>,
}

/// One image's.
#[derive(Clone, Debug)]
struct Frame {
    size: [usize; 2],
    map: Projective,
    /// In the source: the window that is read, and the canvas around it. Both are clipped until a step samples between elements.
    window: [f64; 4],
    canvas: [f64; 4],
    fill: Vec<f32>,
    outer: Option<Projective>,
    clips: Vec<Clip>,
}

impl Pending {
    /// No steps yet, for images of these heights and widths.
    pub fn new(sizes: &[[usize; 2]], channels: usize) -> Pending {
        let frame = |&size: &[usize; 2]| {
            let whole = [0.0, 0.0, size[1] as f64, size[0] as f64];
            Frame {
                size,
                map: Projective::IDENTITY,
                window: whole,
                canvas: whole,
                fill: vec![0.0; channels],
                outer: None,
                clips: Vec::new(),
            }
        };
        let images = sizes.iter().map(frame).collect();
        let mode = InterpolationMode::Nearest;
        Pending { images, mode, smooth: false, beyond: None, inner_fill: None, field: None }
    }

    /// Height and width of each image after the steps.
    pub fn sizes(&self) -> Vec<[usize; 2]> {
        self.images.iter().map(|frame| frame.size).collect()
    }

    /// True if these steps can be merged: there is at most one displacement, and one fill value around the window. That depends
    /// on the transform and not on an image's draws, or a batch would change the result of an image.
    pub fn takes(&self, steps: &[Step]) -> bool {
        let bends = steps.iter().any(|step| matches!(step, Step::Bend(_)));
        let refills = |step: &Step| match step {
            Step::Cut(_, Some(fill)) => self.inner_fill.as_ref().is_some_and(|inner| inner != fill),
            _ => false,
        };
        let is_full = bends && self.field.is_some() || self.beyond.is_none() && steps.iter().any(refills);
        !is_full
    }

    /// Adds a step for each image. Steps that resample use a mode, and a filter that widens with `antialias`; the
    /// smoothest of a chain's modes counts.
    pub fn add(&mut self, steps: &[Step], mode: InterpolationMode, antialias: bool, field: Option<Tensor>) {
        let samples = steps.iter().find(|step| step.resamples());
        let is_open = self.beyond.is_none();
        if let Some(step) = samples {
            self.mode = self.mode.max(mode);
            self.smooth |= antialias && !mode.is_nearest();
            self.beyond.get_or_insert(match step {
                Step::Warp(.., Some(_)) | Step::Bend(Some(_)) if !mode.is_nearest() => Beyond::Twice,
                Step::Warp(..) | Step::Bend(_) => Beyond::Fill,
                _ => Beyond::Ignore,
            });
        }
        if let Some(Step::Cut(_, Some(fill))) = steps.iter().find(|step| matches!(step, Step::Cut(_, Some(_)))) {
            self.inner_fill.get_or_insert_with(|| fill.clone());
        }
        // Frames beyond which a step reads cut off everything outside. All images have the same number, even if some frames cut
        // off nothing.
        let leaves = self.images.iter().zip(steps).any(|(frame, step)| frame.is_left_by(step));
        for (frame, step) in self.images.iter_mut().zip(steps) {
            frame.add(step, is_open, leaves);
        }
        if field.is_some() {
            self.field = field;
        }
    }

    /// True if the images stay as they are.
    pub fn is_nothing(&self, sizes: &[[usize; 2]]) -> bool {
        let stays = |(frame, &size): (&Frame, &[usize; 2])| frame.size == size && frame.map == Projective::IDENTITY;
        self.field.is_none() && self.beyond.is_none() && self.images.iter().zip(sizes).all(stays)
    }

    /// The maps of all images, their displacements, and the sampling of images through them.
    pub fn finish(&self) -> (Vec<ImageMap>, Option<&Tensor>, Sampling) {
        let size = self.images.iter().fold([0, 0], |[h, w], frame| [h.max(frame.size[0]), w.max(frame.size[1])]);
        let filter = self.mode.filter(self.smooth);
        let sampling = Sampling { filter, beyond: self.beyond.unwrap_or(Beyond::Fill), size };
        let maps = self.images.iter().map(|frame| self.finish_one(frame)).collect();
        (maps, self.field.as_ref(), sampling)
    }

    fn finish_one(&self, frame: &Frame) -> ImageMap {
        let size = [frame.size[1] as f64, frame.size[0] as f64];
        let whole = frame.outer.map_or(frame.map, |outer| frame.map.after(&outer));
        let widths = if self.smooth { whole.spans(size.map(|size| 0.5 * size)).map(widened) } else { [1.0; 2] };
        ImageMap {
            size,
            map: frame.map,
            window: frame.window,
            canvas: frame.canvas,
            widths,
            inner_fill: self.inner_fill.clone().unwrap_or_else(|| vec![0.0; frame.fill.len()]),
            fill: frame.fill.clone(),
            outer: frame.outer,
            clips: frame.clips.clone(),
        }
    }
}

/// The same for masks, whose elements are numbers of classes.
pub(super) fn for_masks(maps: &[ImageMap], sampling: Sampling) -> (Vec<ImageMap>, Sampling) {
    let none = |clip: &Clip| Clip { fill: vec![0.0], ..clip.clone() };
    let plain = |map: &ImageMap| ImageMap {
        widths: [1.0; 2],
        inner_fill: vec![0.0],
        fill: vec![0.0],
        clips: map.clips.iter().map(none).collect(),
        ..map.clone()
    };
    let beyond = if sampling.beyond == Beyond::Ignore { Beyond::Ignore } else { Beyond::Fill };
    (maps.iter().map(plain).collect(), Sampling { filter: Filter::Nearest, beyond, size: sampling.size })
}

impl Frame {
    fn holds(&self, region: &Region) -> bool {
        let within = |first: isize, size: usize, all: usize| first >= 0 && first + size as isize <= all as isize;
        within(region.top, region.height, self.size[0]) && within(region.left, region.width, self.size[1])
    }

    /// True if a step reads outside the frame.
    fn is_left_by(&self, step: &Step) -> bool {
        let [height, width] = self.size.map(|size| size as f64);
        match step {
            Step::Stay | Step::Mirror { .. } | Step::Resize(_) => false,
            Step::Cut(region, _) => !self.holds(region),
            Step::Bend(_) => true,
            Step::Warp(map, [rows, columns], _) => {
                let inside = |[x, y]: [f64; 2]| {
                    let margin = 1e-6;
                    x >= -margin && y >= -margin && x <= width + margin && y <= height + margin
                };
                let (rows, columns) = (*rows as f64, *columns as f64);
                let corners = [[0.0, 0.0], [columns, 0.0], [columns, rows], [0.0, rows]];
                !corners.into_iter().all(|corner| map.apply(corner).is_some_and(inside))
            }
        }
    }

    fn add(&mut self, step: &Step, is_open: bool, leaves: bool) {
        let is_left = self.is_left_by(step);
        let (map, size) = step.map(self.size);
        let old = [self.size[1] as f64, self.size[0] as f64];
        let channels = self.fill.len();
        let fill = match step {
            Step::Cut(_, fill) | Step::Warp(.., fill) | Step::Bend(fill) => fill.as_ref(),
            _ => None,
        };
        let fill = fill.cloned().unwrap_or_else(|| vec![0.0; channels]);
        if is_open {
            match step {
                Step::Cut(region, _) => self.cut(region),
                Step::Warp(..) | Step::Bend(_) => self.fill.clone_from(&fill),
                _ => {}
            }
        }
        if let Step::Bend(_) = step {
            self.outer = Some(Projective::IDENTITY);
            self.clips.iter_mut().for_each(|clip| clip.is_inner = true);
        }
        match &mut self.outer {
            Some(outer) => *outer = outer.after(&map),
            None => self.map = self.map.after(&map),
        }
        for clip in self.clips.iter_mut().filter(|clip| self.outer.is_none() || !clip.is_inner) {
            clip.map = clip.map.after(&map);
        }
        if leaves && !is_open {
            let is_inner = matches!(step, Step::Bend(_));
            let nothing = Clip { map: Projective::translation([1e5; 2]), is_inner, size: [2e5; 2], fill: fill.clone() };
            self.clips.push(if is_left { Clip { map, is_inner, size: old, fill } } else { nothing });
        }
        self.size = size;
    }

    /// Cuts the window and the canvas, while positions are those of whole elements.
    fn cut(&mut self, region: &Region) {
        let far = [(region.left + region.width as isize) as f64, (region.top + region.height as isize) as f64];
        let corners = [[region.left as f64, region.top as f64], far];
        let [a, b] = corners.map(|corner| self.map.apply(corner).unwrap_or(corner));
        self.canvas = [a[0].min(b[0]), a[1].min(b[1]), a[0].max(b[0]), a[1].max(b[1])];
        let [x0, y0, x1, y1] = self.canvas;
        let window = [self.window[0].max(x0), self.window[1].max(y0), self.window[2].min(x1), self.window[3].min(y1)];
        self.window = [window[0], window[1], window[2].max(window[0]), window[3].max(window[1])];
    }
}
