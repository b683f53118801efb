//! Some of a batch's images changed, and the others left as they are.

use super::Views;
use super::functional::Rectangle;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::ColourStep;

impl Views {
    /// True for an image that transforms change for now.
    pub(super) fn is_selected(&self, image: usize) -> bool {
        self.selected.as_ref().is_none_or(|selected| selected[image])
    }

    /// Changes some of the images.
    ///
    /// Pending geometric steps are carried out before and after, whichever images are chosen, so that an image does not
    /// depend on the draws of the others in its batch.
    pub(super) fn among(&mut self, some: &[bool], change: impl FnOnce(&mut Views) -> Result<()>) -> Result<()> {
        self.sample()?;
        let both: Vec<bool> =
            some.iter().enumerate().map(|(image, &chosen)| chosen && self.is_selected(image)).collect();
        if !both.contains(&true) {
            return Ok(());
        }
        let selected = both.contains(&false).then_some(both);
        let outer = std::mem::replace(&mut self.selected, selected);
        let changed = change(self).and_then(|()| self.sample());
        self.selected = outer;
        changed
    }

    /// An error for transforms that can't be applied to some of the images alone.
    pub(super) fn whole_batch(&self, op: &'static str) -> Result<()> {
        if self.selected.is_none() {
            return Ok(());
        }
        Err(Error::invalid(op, "it changes the batch as a whole, so it can't be applied to some of its images"))
    }

    /// An error for transforms of images that have no targets with positions in them.
    pub(super) fn images_alone(&self, op: &'static str) -> Result<()> {
        let targets = &self.targets;
        if targets.masks.is_none() && targets.boxes.is_none() && targets.key_points.is_none() {
            return Ok(());
        }
        Err(Error::invalid(op, "it is for images without boxes, masks and key points, which would not go along"))
    }

    /// An error for transforms that look at a pixel's neighbours, where images are of several sizes: elements past an
    /// image's edge are not part of it.
    pub(super) fn one_size(&self, op: &'static str) -> Result<()> {
        if !self.has_several_sizes() {
            return Ok(());
        }
        let [height, width] = self.size();
        let rule =
            format!("images of several sizes in a batch of {height} x {width}; resize or crop them to one first");
        Err(Error::invalid(op, rule))
    }

    fn has_several_sizes(&self) -> bool {
        let size = self.size();
        self.sizes().iter().any(|&other| other != size)
    }

    /// The pixels that a transform changes, as truth values that broadcast with the images, unless all change: those of selected
    /// images, within their sizes.
    pub(super) fn changing(&self, images: &Tensor) -> Result<Option<Tensor>> {
        let selected = self.selected.as_ref().map(|selected| self.column(selected)).transpose()?;
        if !self.has_several_sizes() {
            return Ok(selected);
        }
        let whole: Vec<[usize; 4]> = self.sizes.iter().map(|size| [0, 0, size[0], size[1]]).collect();
        let inside = Rectangle::each(images, &whole)?.mask("Views", images)?;
        selected.map_or(Ok(inside.clone()), |selected| inside.logical_and(&selected)).map(Some)
    }

    /// Adds colour steps for each image. Steps of transforms that follow one another are carried out together.
    pub(super) fn recolour(&mut self, steps: Vec<Vec<ColourStep>>) -> Result<()> {
        self.sample()?;
        self.colours.resize(self.len(), Vec::new());
        for (image, steps) in steps.into_iter().enumerate() {
            if self.is_selected(image) {
                self.colours[image].extend(steps);
            }
        }
        Ok(())
    }
}
