//! A trained network, as described by its file of weights.

use crate::collection::Channels;
use crate::failure::{Failure, Outcome};
use crate::run_folder;
use std::path::Path;
use wgrad::compress::quantization;
use wgrad::data::{Array, ColorMode, Image, ImageBatch, Normalization};
use wgrad::nn::Module;
use wgrad::weights::{self, Metadata};
use wgrad::{Device, Error, Tensor, no_grad};

pub struct Network {
    pub model: Box<dyn Module>,
    pub about: Metadata,
    device: Device,
}

impl Network {
    /// Builds and loads the network of a run's folder or a file of weights.
    pub fn open(path: &Path, device: &Device) -> Outcome<Network> {
        let file = run_folder::weights_of(path).ok_or_else(|| {
            Failure::new(format!("{}: there is no such run or file of weights", path.display()))
                .hint("`wgrad train` writes runs/1, runs/2 and so on")
        })?;
        let (model, about): (Box<dyn Module>, Metadata) = match quantization::is_quantized(&file)? {
            true => {
                let (model, about) = quantization::open(&file, device)?;
                (Box::new(model), about)
            }
            false => weights::open(&file, device)?,
        };
        model.eval();
        Ok(Network { model, about, device: device.clone() })
    }

    /// Another network for the same pictures.
    pub fn with_model(&self, model: Box<dyn Module>) -> Network {
        Network { model, about: self.about.clone(), device: self.device.clone() }
    }

    /// The network's device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The name of a class, or its number where it has none.
    pub fn class(&self, number: usize) -> String {
        self.about.classes.get(number).cloned().unwrap_or_else(|| number.to_string())
    }

    /// The colours of its images.
    pub fn mode(&self) -> Outcome<ColorMode> {
        let channels = self.about.options.channels;
        let refused = || Failure::new(format!("the network takes images of {channels} channels, which no file has"));
        Channels::of(channels).map(Channels::mode).ok_or_else(refused)
    }

    /// Height and width of its images.
    pub fn size(&self) -> Outcome<usize> {
        match self.about.options.size {
            [height, width] if height == width => Ok(height),
            [height, width] => {
                Err(Failure::new(format!("the network takes images of {height} x {width}; expected squares")))
            }
        }
    }

    /// The normalization of its images: none where the file names none.
    pub fn normalization(&self) -> Outcome<Normalization> {
        let channels = self.about.options.channels;
        let plain = || Normalization::new(&vec![0.0; channels], &vec![1.0; channels]);
        Ok(self.about.normalization.clone().map_or_else(plain, Ok)?)
    }

    /// Images of its size as it takes them, normalized.
    pub fn input(&self, images: &[&Image]) -> Outcome<Tensor> {
        let first = images.first().ok_or_else(|| Failure::new("there are no images"))?;
        let shape = [&[images.len()], &first.shape()[..]].concat();
        let pixels = images.iter().flat_map(|image| image.pixels()).copied().collect();
        let sizes = images.iter().map(|image| [image.shape()[1], image.shape()[2]]).collect();
        let batch = ImageBatch { images: Array::new(shape, pixels)?, sizes, targets: vec![(); images.len()] };
        Ok(batch.images_to(&self.device, &self.normalization()?)?)
    }

    /// The probabilities of the classes for images of its size.
    pub fn probabilities(&self, images: &[&Image]) -> Outcome<Vec<Vec<f32>>> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let images = self.input(images)?;
        let logits = no_grad(|| self.model.forward(&images))?;
        if logits.rank() != 2 {
            let rule = format!("{} is not a classifier: its output is {}", self.about.architecture, logits.shape());
            return Err(Error::invalid("predict", rule).into());
        }
        let classes = logits.shape()[1];
        Ok(logits.softmax(1)?.to_vec::<f32>()?.chunks(classes).map(<[f32]>::to_vec).collect())
    }
}
