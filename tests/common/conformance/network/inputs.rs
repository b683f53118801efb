//! The arguments of a network's case: a batch, or a detector's images and their objects.

use super::super::coordinates;
use super::{Case, Refusal, Values, exact};
use wgrad::models::detection::DetectionTargets;
use wgrad::{DType, Device, Error, Result, Tensor};

/// A case's arguments on a device; images are leaves.
pub struct Inputs<'a> {
    /// Images by their keys: one batch, or an image each.
    images: Vec<(&'a str, Tensor)>,
    /// The parts of a detector's targets, by their names without the prefix.
    targets: Vec<(&'a str, &'a Values)>,
    device: &'a Device,
}

impl<'a> Inputs<'a> {
    pub fn new(case: &'a Case, device: &'a Device) -> std::result::Result<Inputs<'a>, Refusal> {
        let (mut images, mut targets) = (Vec::new(), Vec::new());
        for (key, values) in &case.args {
            match key.split_once('.').unwrap_or((key, "")) {
                ("input" | "images", _) => images.push((key.as_str(), exact(values, device)?.requires_grad())),
                ("target" | "targets", part) if !part.is_empty() => targets.push((part, values)),
                _ => return Err(Refusal::Unsupported(format!("argument {key}"))),
            }
        }
        Ok(Inputs { images, targets, device })
    }

    /// The image or the batch of a key.
    pub fn image(&self, key: &str) -> Option<Tensor> {
        self.images.iter().find(|(known, _)| *known == key).map(|(_, image)| image.clone())
    }

    /// The one batch.
    pub fn batch(&self) -> Result<&Tensor> {
        match &self.images[..] {
            [(_, batch)] => Ok(batch),
            images => Err(Error::invalid("models", format!("{} inputs instead of one", images.len()))),
        }
    }

    /// Images `[3, H, W]`, also of a batch.
    pub fn images(&self) -> Result<Vec<Tensor>> {
        let mut images = Vec::new();
        for (_, image) in &self.images {
            match image.rank() {
                4 => {
                    images.extend(image.split(1, 0)?.iter().map(|image| image.squeeze(0)).collect::<Result<Vec<_>>>()?)
                }
                _ => images.push(image.clone()),
            }
        }
        Ok(images)
    }

    /// The objects of all images.
    pub fn targets(&self) -> Result<DetectionTargets> {
        let missing = |part: &str| Error::invalid("models", format!("targets without {part}"));
        let boxes = self.part("boxes", DType::F32, 0.0)?.ok_or_else(|| missing("boxes"))?;
        let labels = self.part("labels", DType::I32, -1.0)?.ok_or_else(|| missing("labels"))?;
        let mut targets = DetectionTargets::new(&boxes, &labels)?;
        if let Some(masks) = self.part("masks", DType::F32, 0.0)? {
            targets = targets.masks(&masks)?;
        }
        if let Some(points) = self.part("keypoints", DType::F32, 0.0)? {
            targets = targets.keypoints(&points)?;
        }
        Ok(targets)
    }

    /// A part of all images' targets side by side, `[N, M, ..]`: `fill` stands where an image has no object, and past the edges of
    /// smaller images.
    fn part(&self, name: &str, dtype: DType, fill: f64) -> Result<Option<Tensor>> {
        let is_of_part = |key: &str| key.split_once('.').is_some_and(|(part, _)| part == name);
        let images: Vec<&Values> = self.targets.iter().filter(|(key, _)| is_of_part(key)).map(|(_, v)| *v).collect();
        let Some(first) = images.first() else { return Ok(None) };
        let largest = |d: usize| images.iter().map(|image| image.shape[d]).max().unwrap_or(0);
        let mut sides: Vec<usize> = (0..first.shape.len()).map(largest).collect();
        sides[0] = sides[0].max(1);
        let mut values = vec![fill; images.len() * sides.iter().product::<usize>()];
        for (at, image) in images.iter().enumerate() {
            for (place, &value) in image.values.iter().enumerate() {
                let places = coordinates(place, &image.shape);
                values[places.iter().zip(&sides).fold(at, |place, (at, side)| place * side + at)] = value;
            }
        }
        let shape = [&[images.len()], &sides[..]].concat();
        exact(&Values { shape, dtype, values }, self.device).map(Some)
    }
}
