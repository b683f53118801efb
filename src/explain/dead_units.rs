//! Units that never fire.

use crate::dtype::DType;
use crate::error::Result;
use crate::explain::layer::leaves;
use crate::graph::{Tensor, no_grad};
use crate::nn::Module;
use crate::number::nearest;

/// The units of a layer that never rose above zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadUnits {
    /// The layer's name, as in the [`summary`](Module::summary).
    pub layer: String,
    /// Units that were at most 0 everywhere.
    pub dead: usize,
    /// All units.
    pub units: usize,
}

impl DeadUnits {
    /// `dead / units`.
    pub fn share(&self) -> f64 {
        self.dead as f64 / self.units.max(1) as f64
    }
}

/// The dead units of each layer over batches of images, in the order in which layers run first. A unit is a channel of an output
/// `[N, C, ..]`, and dead where it is above zero for no image and at no position: a rectifier behind it, or the layer where that
/// is one, passes nothing on and learns nothing from these images. Only layers without others within them are counted. Maxima are
/// kept on the device and read once.
///
/// ```
/// # use wgrad::explain::dead_units;
/// # use wgrad::{Device, Tensor, nn::{Linear, Relu, Scope, Sequential}};
/// # let device = Device::reference();
/// let net = Sequential::new(&Scope::new(&device)).make(|s| Linear::new(s, 2, 3))?.push(Relu);
/// net.get(0)?.own_parameters()[1].assign(&Tensor::from_slice(&device, &[9.0f32, -9.0, 9.0], &[3])?)?;
/// let dead = dead_units(&net, [Tensor::rand(&device, &[8, 2])])?;
/// assert_eq!((dead[1].layer.as_str(), dead[1].dead, dead[1].units), ("1", 1, 3));
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// Those of the batches and of the network.
pub fn dead_units(model: &dyn Module, batches: impl IntoIterator<Item = Result<Tensor>>) -> Result<Vec<DeadUnits>> {
    let mut largest: Vec<(String, Tensor)> = Vec::new();
    no_grad(|| {
        for batch in batches {
            for (layer, output) in leaves(model, &batch?)?.0 {
                if output.rank() < 2 || output.numel() == 0 {
                    continue;
                }
                let others: Vec<usize> = (0..output.rank()).filter(|&dim| dim != 1).collect();
                let peaks = output.amax(&others)?;
                match largest.iter_mut().find(|(known, _)| *known == layer) {
                    Some((_, known)) => *known = known.maximum(&peaks)?,
                    None => largest.push((layer, peaks)),
                }
            }
        }
        let fired = |(_, peaks): &(String, Tensor)| peaks.gt_scalar(0.0)?.to_dtype(DType::I32)?.sum_keepdim(0);
        let fired = largest.iter().map(fired).collect::<Result<Vec<Tensor>>>()?;
        let fired = match fired.is_empty() {
            true => Vec::new(),
            false => Tensor::cat(&fired.iter().collect::<Vec<_>>(), 0)?.to_f64()?,
        };
        let of_layer = |((layer, peaks), fired): ((String, Tensor), f64)| {
            let units = peaks.numel();
            DeadUnits { layer, dead: units - nearest::<usize>(fired), units }
        };
        Ok(largest.into_iter().zip(fired).map(of_layer).collect())
    })
}
