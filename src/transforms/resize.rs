//! Images in other sizes.

use super::functional::{ImageSize, InterpolationMode, Region, ResizeOptions, spread};
use super::pending::Step;
use super::{Draws, Stream, Transform, Views};
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::options::options;

/// Each image in another size.
#[derive(Clone, Copy, Debug)]
pub struct Resize {
    size: ImageSize,
    options: ResizeOptions,
}

impl Resize {
    /// To a size, such as `[height, width]`, or one number for the shorter side.
    pub fn new(size: impl Into<ImageSize>, options: ResizeOptions) -> Resize {
        Resize { size: size.into(), options }
    }
}

impl Transform for Resize {
    fn apply(&self, views: &mut Views, _: &mut Draws) -> Result<()> {
        let size = |&size: &[usize; 2]| self.size.of(size, self.options.max_size);
        let sizes = views.sizes().iter().map(size).collect::<Result<Vec<_>>>()?;
        resize(views, sizes, &self.options)
    }
}

/// Resizes each image to its own size; images of that size are unchanged.
fn resize(views: &mut Views, sizes: Vec<[usize; 2]>, options: &ResizeOptions) -> Result<()> {
    let step = |(to, from)| if to == from { Step::Stay } else { Step::Resize(to) };
    let steps = sizes.into_iter().zip(views.sizes()).map(step).collect();
    views.step(steps, options.interpolation, options.antialias)
}

options! {
    /// Options of [`RandomResizedCrop`], with torchvision's defaults.
    #[derive(Clone, Copy, Debug, PartialEq)]
    RandomResizedCropOptions {
        /// Least and largest area of the part, relative to the image's.
        scale: [f64; 2] = [0.08, 1.0],
        /// Least and largest ratio of its width to its height.
        ratio: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0],
        /// Interpolation between elements.
        interpolation: InterpolationMode = InterpolationMode::Bilinear,
        /// Widens the filter where an image shrinks.
        antialias: bool = true,
    }
}

/// A part of each image, of random size, proportion and position, in one size (Szegedy et al., "Going deeper with convolutions",
/// 2015).
///
/// The area is drawn evenly and the ratio evenly on a logarithmic scale; where none of ten such parts fits into the
/// image, the part is the largest in the middle with an allowed ratio.
///
/// ```
/// use wgrad::transforms::{Draws, RandomResizedCrop, RandomResizedCropOptions, Transform, Views};
/// use wgrad::{Device, Tensor};
/// let crop = RandomResizedCrop::new([24, 24], RandomResizedCropOptions::default().scale([0.5, 1.0]))?;
/// let mut views = Views::new(Tensor::ones(&Device::reference(), &[2, 3, 32, 48])?)?;
/// crop.apply(&mut views, &mut Draws::new(0, 0, &[0, 1]))?;
/// assert_eq!(views.images()?.shape()[..], [2, 3, 24, 24]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RandomResizedCrop {
    size: [usize; 2],
    options: RandomResizedCropOptions,
}

impl RandomResizedCrop {
    /// With the height and width of the result.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty size, and for areas and ratios that descend or are not positive.
    pub fn new(size: [usize; 2], options: RandomResizedCropOptions) -> Result<RandomResizedCrop> {
        const OP: &str = "RandomResizedCrop";
        let ascends = |[low, high]: [f64; 2]| 0.0 < low && low <= high && high.is_finite();
        if size.contains(&0) || !ascends(options.scale) || !ascends(options.ratio) {
            let rule = format!(
                "a size of {size:?}, areas {:?} and ratios {:?}; sizes must not be 0, and the others ascend from above 0",
                options.scale, options.ratio
            );
            return Err(Error::invalid(OP, rule));
        }
        Ok(RandomResizedCrop { size, options })
    }

    fn region(&self, image: &mut Stream, [height, width]: [usize; 2]) -> Region {
        let RandomResizedCropOptions { scale, ratio, .. } = self.options;
        let (all, rounded) = ((height * width) as f64, |x: f64| nearest::<usize>(x.round_ties_even()));
        for _ in 0..10 {
            let area = all * image.uniform(scale[0], scale[1]);
            let ratio = image.uniform(ratio[0].ln(), ratio[1].ln()).exp();
            let [w, h] = [area * ratio, area / ratio].map(|square| rounded(square.sqrt()));
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = image.below(height - h + 1) as isize;
                return Region { top, left: image.below(width - w + 1) as isize, height: h, width: w };
            }
        }
        let [h, w] = match width as f64 / height as f64 {
            own if own < ratio[0] => [rounded(width as f64 / ratio[0]), width],
            own if own > ratio[1] => [height, rounded(height as f64 * ratio[1])],
            _ => [height, width],
        };
        Region { top: ((height - h) / 2) as isize, left: ((width - w) / 2) as isize, height: h, width: w }
    }
}

impl Transform for RandomResizedCrop {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let mut sizes = views.sizes().into_iter();
        let cuts = draws.each(|image| match sizes.next() {
            Some(size) => Step::Cut(self.region(image, size), None),
            None => Step::Stay,
        });
        views.step(cuts, InterpolationMode::Nearest, false)?;
        let resized = vec![Step::Resize(self.size); views.len()];
        views.step(resized, self.options.interpolation, self.options.antialias)
    }
}

options! {
    /// Options of [`ScaleJitter`], with torchvision's defaults.
    #[derive(Clone, Copy, Debug, PartialEq)]
    ScaleJitterOptions {
        /// Least and largest factor.
        scale_range: [f64; 2] = [0.1, 2.0],
        /// Interpolation between elements.
        interpolation: InterpolationMode = InterpolationMode::Bilinear,
        /// Widens the filter where an image shrinks.
        antialias: bool = true,
    }
}

/// Each image scaled by a random factor, where 1 just fits a given size (Ghiasi et al., "Simple Copy-Paste is a Strong
/// Data Augmentation Method for Instance Segmentation", 2021). The sizes of images then differ; a crop makes them equal
/// again.
#[derive(Clone, Copy, Debug)]
pub struct ScaleJitter {
    target_size: [usize; 2],
    options: ScaleJitterOptions,
}

impl ScaleJitter {
    /// With the size that a factor of 1 fits into. As in torchvision, the first number bounds the width and the second the
    /// height.
    ///
    /// # Errors
    /// [`Error::Invalid`] for factors that descend or are not positive.
    pub fn new(target_size: [usize; 2], options: ScaleJitterOptions) -> Result<ScaleJitter> {
        let [low, high] = options.scale_range;
        if !(0.0 < low && low <= high && high.is_finite()) {
            let rule = format!("scale_range is {:?}; it must ascend from above 0", options.scale_range);
            return Err(Error::invalid("ScaleJitter", rule));
        }
        Ok(ScaleJitter { target_size, options })
    }

    fn size(&self, image: &mut Stream, [height, width]: [usize; 2]) -> [usize; 2] {
        let fits = f64::min(self.target_size[1] as f64 / height as f64, self.target_size[0] as f64 / width as f64);
        let factor = fits * image.uniform(self.options.scale_range[0], self.options.scale_range[1]);
        [height, width].map(|size| nearest::<usize>(size as f64 * factor).max(1))
    }
}

impl Transform for ScaleJitter {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let mut sizes = views.sizes().into_iter();
        let sizes = draws.each(|image| sizes.next().map_or([1, 1], |size| self.size(image, size)));
        let ScaleJitterOptions { interpolation, antialias, .. } = self.options;
        resize(views, sizes, &ResizeOptions { interpolation, antialias, max_size: None })
    }
}

/// Each image in a size of any proportion: as large as fits, in the middle.
#[derive(Clone, Debug)]
pub struct Letterbox {
    size: [usize; 2],
    fill: Vec<f32>,
    options: ResizeOptions,
}

impl Letterbox {
    /// Resizes to a height and a width, with values around an image: one number, or one per channel.
    pub fn new(size: [usize; 2], fill: &[f32], options: ResizeOptions) -> Letterbox {
        Letterbox { size, fill: fill.to_vec(), options }
    }
}

/// Height and width of an image that fits a size, and the rows and columns above it and to its left.
pub(super) fn letterboxed([height, width]: [usize; 2], size: [usize; 2]) -> ([usize; 2], [usize; 2]) {
    let factor = f64::min(size[0] as f64 / height as f64, size[1] as f64 / width as f64);
    let fits = |own: usize, most: usize| nearest::<usize>((own as f64 * factor).round()).clamp(1, most);
    let inner = [fits(height, size[0]), fits(width, size[1])];
    (inner, [(size[0] - inner[0]) / 2, (size[1] - inner[1]) / 2])
}

impl Transform for Letterbox {
    fn apply(&self, views: &mut Views, _: &mut Draws) -> Result<()> {
        if self.size.contains(&0) {
            return Err(Error::invalid("Letterbox", format!("a size of {:?}", self.size)));
        }
        let fill = spread("Letterbox", &self.fill, views.channels())?;
        let (inner, corners): (Vec<_>, Vec<_>) =
            views.sizes().into_iter().map(|size| letterboxed(size, self.size)).unzip();
        resize(views, inner, &self.options)?;
        let cut = |[top, left]: [usize; 2]| {
            let (top, left) = (-(top as isize), -(left as isize));
            Step::Cut(Region { top, left, height: self.size[0], width: self.size[1] }, Some(fill.clone()))
        };
        views.step(corners.into_iter().map(cut).collect(), InterpolationMode::Nearest, false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::functional::resized_crop;
    use super::super::moments::{check, drawn};
    use super::*;
    use crate::graph::{Device, Tensor};

    /// Moments of 40,000 regions that torchvision 0.29 draws in images of 48 x 64.
    #[test]
    fn regions_are_torchvisions() {
        let crop = RandomResizedCrop::new([24, 24], RandomResizedCropOptions::default()).unwrap();
        let regions = drawn(|image| crop.region(image, [48, 64]));
        check("top", regions.iter().map(|region| region.top as f64), 6.576, 6.622);
        check("left", regions.iter().map(|region| region.left as f64), 13.809, 10.509);
        check("height", regions.iter().map(|region| region.height as f64), 34.846, 9.123);
        check("width", regions.iter().map(|region| region.width as f64), 36.387, 11.201);
        let large = RandomResizedCrop::new([24, 24], RandomResizedCropOptions::default().scale([0.5, 1.0])).unwrap();
        // No such part fits into a strip; its middle is taken instead.
        let middle = Region { top: 0, left: 31, height: 20, width: 27 };
        assert!(drawn(|image| large.region(image, [20, 90])).into_iter().all(|region| region == middle));
    }

    #[test]
    fn sizes_are_torchvisions() {
        let jitter = ScaleJitter::new([40, 56], ScaleJitterOptions::default()).unwrap();
        let sizes = drawn(|image| jitter.size(image, [48, 64]));
        check("height", sizes.iter().map(|size| size[0] as f64), 30.943, 16.435);
        check("width", sizes.iter().map(|size| size[1] as f64), 41.426, 21.916);
    }

    /// Floats and bytes in each mode, against the results of torchvision's function for the drawn regions.
    #[test]
    fn the_crops_of_a_batch_are_those_of_the_function() {
        let device = Device::reference();
        let items = [4, 5, 6];
        let bytes: Vec<i32> = (0..3 * 2 * 30 * 40).map(|at| (at * at * 7 + at * 13) % 256).collect();
        let bytes = Tensor::from_slice(&device, &bytes, &[3, 2, 30, 40]).unwrap();
        let floats = bytes.to_dtype(crate::DType::F32).unwrap().mul_scalar(1.0 / 255.0).unwrap();
        let modes = [InterpolationMode::Bilinear, InterpolationMode::Bicubic, InterpolationMode::NearestExact];
        for (mode, antialias) in modes.into_iter().flat_map(|mode| [(mode, true), (mode, false)]) {
            let options = RandomResizedCropOptions::default().interpolation(mode).antialias(antialias);
            let crop = RandomResizedCrop::new([9, 11], options).unwrap();
            let regions = Draws::new(1, 2, &items).each(|image| crop.region(image, [30, 40]));
            let options = ResizeOptions { interpolation: mode, antialias, max_size: None };
            for images in [&floats, &bytes] {
                let expected = resized_crop(images, &regions, [9, 11], &options).unwrap().to_f64().unwrap();
                let mut views = Views::new(images.clone()).unwrap();
                crop.apply(&mut views, &mut Draws::new(1, 2, &items)).unwrap();
                let got = views.images().unwrap().to_f64().unwrap();
                let worst = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-6, "{mode:?} {antialias}: {worst}");
            }
        }
    }
}
