//! Parts of many sections: digits, a network trained on them, and sheets of pictures.

use super::common::{Flags, Result};
use std::cell::OnceCell;
use std::path::Path;
use wgrad::data::{Mnist, save_images};
use wgrad::explain::ColourMap;
use wgrad::models::LeNet5;
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Adam, AdamOptions};
use wgrad::train::{ImageLoader, Loader, Supervised, Trainer, TrainerOptions};
use wgrad::{DType, Device, InterpolateOptions, Tensor};

const EPOCHS: u64 = 3;
const BATCH: usize = 64;

/// The flags of the run, the device, and the network that most sections look into.
pub struct Context {
    pub flags: Flags,
    pub device: Device,
    pub digits: Mnist,
    lenet: OnceCell<LeNet5>,
}

impl Context {
    /// Digits with pixels between 0 and 1.
    pub fn new(flags: &Flags) -> Result<Context> {
        let digits = flags.mnist(0.0, 1.0)?;
        Ok(Context { flags: flags.clone(), device: flags.device()?, digits, lenet: OnceCell::new() })
    }

    /// A number for whole runs, or one for short ones.
    pub fn amount(&self, whole: usize, short: usize) -> usize {
        if self.flags.steps.is_some() { short } else { whole }
    }

    /// LeNet-5, trained on the digits.
    pub fn lenet(&self) -> Result<&LeNet5> {
        if let Some(net) = self.lenet.get() {
            return Ok(net);
        }
        let net = self.trained(AdamOptions::default().lr(2e-3))?;
        Ok(self.lenet.get_or_init(|| net))
    }

    /// LeNet-5, trained by Adam with these options.
    pub fn trained(&self, adam: AdamOptions) -> Result<LeNet5> {
        // The same network for whichever section asks first.
        self.device.manual_seed(self.flags.seed);
        let net = LeNet5::new(&Scope::new(&self.device))?;
        let mut adam = Adam::new(&net, adam)?;
        let (steps, epochs) = (self.flags.steps.unwrap_or(usize::MAX), self.amount(EPOCHS as usize, 1) as u64);
        let batches = ImageLoader::shuffled(&self.digits.train, &self.device, BATCH, self.flags.seed)?.first(steps);
        let options = TrainerOptions::default().epochs(epochs).seed(self.flags.seed);
        Trainer::new(&self.device, options)?.fit(&net, &mut adam, &mut Supervised::classification(), &batches, None)?;
        net.eval();
        Ok(net)
    }

    /// The first test images and their labels.
    pub fn test(&self, count: usize) -> Result<(Tensor, Tensor)> {
        let batch = self.digits.test.batches(&self.device, count)?.next().ok_or("there are no test images")??;
        Ok((batch.images, batch.labels))
    }

    /// A digit of each class, `[10, 1, 28, 28]`: the first of each among the test images.
    pub fn each_digit(&self) -> Result<Tensor> {
        let labels = self.digits.test.labels();
        let first: Vec<i32> =
            (0..10).map(|class| labels.iter().position(|&label| label == class).unwrap_or(0) as i32).collect();
        let (images, _) = self.test(1 + first.iter().copied().max().unwrap_or(0) as usize)?;
        Ok(images.index_select(0, &Tensor::from_slice(&self.device, &first, &[10])?)?)
    }
}

/// The accuracy on images.
pub fn accuracy(net: &dyn Module, images: &Tensor, labels: &Tensor) -> Result<f64> {
    let right = wgrad::no_grad(|| net.forward(images)?.argmax(1)?.eq(labels)?.to_dtype(DType::F32)?.mean_all())?;
    Ok(right.to_f64()?[0])
}

/// Maps `[N, 1, H, W]` in colours, the largest absolute value of each at an end of the scale.
pub fn signed(maps: &Tensor) -> Result<Tensor> {
    let largest = (maps.abs()?.amax_keepdim([1, 2, 3])? + 1e-12)?;
    Ok(ColourMap::Diverging.paint(&(((maps / largest)? * 0.5)? + 0.5)?)?)
}

/// Grey pictures as coloured ones.
pub fn rgb(grey: &Tensor) -> Result<Tensor> {
    Ok(grey.repeat(&[1, 3, 1, 1])?)
}

/// Joins rows of pictures into one picture each, so that a sheet has a column for each given row: `[N, C, H, W]` of
/// `[rows][N, C, H, W]`.
pub fn columns(parts: &[Tensor]) -> Result<Tensor> {
    Ok(Tensor::stack(&parts.iter().collect::<Vec<_>>(), 1)?.flatten(0, 1)?)
}

/// Writes pictures in `columns` columns, each pixel enlarged to a square of `zoom` pixels.
pub fn sheet(pictures: &Tensor, columns: usize, zoom: usize, path: &Path) -> Result<()> {
    let size = [pictures.shape()[2] * zoom, pictures.shape()[3] * zoom];
    Ok(save_images(&pictures.interpolate(&InterpolateOptions::default().size(size))?, path, columns)?)
}
