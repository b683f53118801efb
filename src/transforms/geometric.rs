//! Geometric steps of a batch: added to the pending map, or carried out at once where that can't be.

use super::Views;
use super::functional::{self, InterpolationMode, PaddingMode, Region, WarpOptions};
use super::pending::{Pending, Step, for_masks};
use super::{pixels, targets};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::Filter;

impl Views {
    /// The current height and width of each image. If they differ, images are in the upper left corners, surrounded by zeros.
    pub fn sizes(&self) -> Vec<[usize; 2]> {
        self.pending.as_ref().map_or_else(|| self.sizes.clone(), Pending::sizes)
    }

    /// With heights and widths of images that are smaller than the batch's: elements below and to the right of an image
    /// are not part of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if sizes are not one for each image, or one is empty or larger than the batch's.
    pub fn with_sizes(mut self, sizes: Vec<[usize; 2]>) -> Result<Views> {
        let [height, width] = self.size();
        let fits = |size: &[usize; 2]| (1..=height).contains(&size[0]) && (1..=width).contains(&size[1]);
        if sizes.len() != self.len() || !sizes.iter().all(fits) {
            let rule = format!("sizes {sizes:?} of {} images in a batch of {height} x {width}", self.len());
            return Err(Error::invalid("Views", rule));
        }
        self.sizes = sizes;
        Ok(self)
    }

    /// True while geometric steps are pending.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Adds a step for each image.
    pub(super) fn step(&mut self, steps: Vec<Step>, mode: InterpolationMode, antialias: bool) -> Result<()> {
        self.add(steps, mode, antialias, None)
    }

    fn add(
        &mut self,
        mut steps: Vec<Step>,
        mode: InterpolationMode,
        antialias: bool,
        field: Option<Tensor>,
    ) -> Result<()> {
        if !self.colours.is_empty() {
            self.images()?;
        }
        // Displacements are zero already for images that stay.
        let stays = |step: &Step, image: usize| !self.is_selected(image) && !matches!(step, Step::Bend(_));
        for (image, step) in steps.iter_mut().enumerate() {
            if stays(step, image) {
                *step = Step::Stay;
            }
        }
        if self.pending.as_ref().is_some_and(|pending| !pending.takes(&steps)) {
            self.images()?;
        }
        let sizes = self.sizes();
        self.targets.follow(&steps, &sizes);
        let channels = self.channels();
        let pending = self.pending.get_or_insert_with(|| Pending::new(&sizes, channels));
        pending.add(&steps, mode, antialias, field);
        Ok(())
    }

    /// Moves each element by a displacement `[N, H, W, 2]`, in elements.
    pub(super) fn bend(&mut self, field: &Tensor, mode: InterpolationMode, fill: &[f32]) -> Result<()> {
        let sizes = self.sizes();
        let kept = match &self.selected {
            Some(selected) => field.mul(&self.column(selected)?.to_dtype(DType::F32)?)?,
            None => field.clone(),
        };
        let field = &kept;
        if self.boxes().is_some() || self.key_points().is_some() {
            let values = field.to_vec::<f32>()?;
            let each = values.len() / self.len().max(1);
            let fields = sizes.iter().zip(values.chunks(each.max(1))).enumerate();
            let moving: Vec<_> = fields.filter(|(image, _)| self.is_selected(*image)).collect();
            for (image, (&size, field)) in moving {
                self.targets.move_image(image, size, |place| targets::displaced(field, size, place));
            }
        }
        let tracked = self.images.is_tracked();
        if !tracked {
            let steps = vec![Step::Bend(Some(fill.to_vec())); self.len()];
            return self.add(steps, mode, false, Some(field.clone()));
        }
        // The kernel of a chain has no gradient through displacements.
        let [height, width] = self.size();
        let halves = [2.0 / width as f32, 2.0 / height as f32];
        let by = field.mul(&Tensor::from_slice(self.device(), &halves, &[1, 1, 1, 2])?)?;
        let options = WarpOptions { interpolation: mode, fill: Some(fill.to_vec()), center: None };
        self.change_images(|images| functional::elastic(images, &by, &options))?;
        let options = WarpOptions { interpolation: InterpolationMode::Nearest, fill: None, center: None };
        self.targets.masks =
            self.targets.masks.take().map(|masks| functional::elastic(&masks, &by, &options)).transpose()?;
        Ok(())
    }

    /// Adds a border made from the images' elements, for which all must have one size.
    pub(super) fn pad_now(&mut self, padding: [usize; 4], mode: &PaddingMode) -> Result<()> {
        self.whole_batch("pad")?;
        let images = self.images()?;
        let (sizes, [height, width]) = (self.sizes(), self.size());
        if sizes.iter().any(|&size| size != [height, width]) {
            return Err(Error::invalid("pad", format!("{mode:?} pads images of one size; resize them first")));
        }
        let region = Region::bordered([height, width], padding);
        self.targets.follow(&vec![Step::Cut(region, None); self.len()], &sizes);
        self.images = functional::pad(&images, padding, mode)?;
        self.targets.masks =
            self.targets.masks.take().map(|masks| functional::pad(&masks, padding, mode)).transpose()?;
        self.sizes = vec![[region.height, region.width]; self.len()];
        Ok(())
    }

    /// Carries out the pending steps: one kernel, and one for masks.
    pub(super) fn sample(&mut self) -> Result<()> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        if pending.is_nothing(&self.sizes) {
            return Ok(());
        }
        let (maps, field, sampling) = pending.finish();
        let overshoots = matches!(sampling.filter, Filter::SmoothCubic | Filter::Cubic);
        let sampled = self.images.warp(&maps, field, sampling)?;
        self.images = pixels::rounded(&sampled, self.images.dtype(), overshoots)?;
        if let Some(masks) = &self.targets.masks {
            let (maps, sampling) = for_masks(&maps, sampling);
            self.targets.masks = Some(masks.warp(&maps, field, sampling)?.round()?.to_dtype(DType::I32)?);
        }
        self.sizes = pending.sizes();
        Ok(())
    }
}
