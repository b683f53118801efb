//! Inception v3 (Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015). The names of the
//! parameters are torchvision's.

use super::basic_conv::{BasicConv2d, transform_input};
use super::{Backbone, initial};
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{self, AvgPool2d, Children, Dropout, Linear, MaxPool2d, Module, Scope};
use crate::ops::{AvgPool2dOptions, Conv2dOptions, MaxPool2dOptions};
use crate::options::options;

options! {
    /// Options of an [`InceptionV3`]; the defaults are those of torchvision's `inception_v3`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    InceptionV3Options {
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
        /// Has the auxiliary head, which brings gradients to the lower layers.
        aux_logits: bool = true,
        /// Takes images normalized by ImageNet's statistics, and gives them the mean and the deviation 0.5 that torchvision's
        /// weights were trained with.
        transform_input: bool = false,
        /// Share of the last features dropped in training.
        dropout: f64 = 0.5,
    }
}

impl InceptionV3Options {
    /// torchvision's `inception_v3`.
    pub fn inception_v3() -> InceptionV3Options {
        InceptionV3Options::default()
    }
}

/// Inception v3: `[N, channels, H, W] -> [N, classes]` logits, from 75 x 75 on (299 x 299 in the paper); 27,161,264 parameters
/// for 1,000 classes with its auxiliary head.
pub struct InceptionV3 {
    transform_input: bool,
    /// By torchvision's names, up to `Mixed_6e`.
    lower: Vec<Named>,
    auxiliary: Option<AuxiliaryHead>,
    /// From `Mixed_7a` on.
    upper: Vec<Named>,
    dropout: Dropout,
    fc: Linear,
}

/// A layer and its name.
type Named = (&'static str, Box<dyn Module>);

/// Logits of an [`InceptionV3`] and of its auxiliary head, whose loss is commonly added with a weight of 0.4.
#[derive(Clone, Debug)]
pub struct InceptionV3Outputs {
    /// `[N, classes]`.
    pub logits: Tensor,
    /// Logits of the auxiliary head, `[N, classes]`.
    pub aux: Option<Tensor>,
}

impl InceptionV3 {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Those of [`Conv2d::new`](crate::nn::Conv2d::new).
    ///
    /// ```
    /// # use wgrad::{Device, models::{InceptionV3, InceptionV3Options}, nn::{Module, Scope}};
    /// let options = InceptionV3Options::default().classes(10).aux_logits(false);
    /// let net = InceptionV3::new(&Scope::new(&Device::reference()), &options)?;
    /// assert_eq!(net.parameters().iter().filter(|p| !p.is_buffer()).count(), 284);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &InceptionV3Options) -> Result<InceptionV3> {
        let InceptionV3Options { classes, channels, aux_logits, transform_input, dropout } = *options;
        let conv = |name: &'static str, inputs, outputs, size, options: Conv2dOptions| -> Result<Named> {
            Ok((name, Box::new(BasicConv2d::new(&scope.at(name), inputs, outputs, size, &options)?)))
        };
        let pool = |name| -> Named {
            (name, Box::new(MaxPool2d { kernel_size: [3; 2], options: MaxPool2dOptions::default().stride(2) }))
        };
        let mixed = |name: &'static str, make: &dyn Fn(&Scope) -> Result<Block>| -> Result<Named> {
            Ok((name, Box::new(make(&scope.at(name))?)))
        };
        let plain = Conv2dOptions::default();
        let lower = vec![
            conv("Conv2d_1a_3x3", channels, 32, 3, plain.stride(2))?,
            conv("Conv2d_2a_3x3", 32, 32, 3, plain)?,
            conv("Conv2d_2b_3x3", 32, 64, 3, plain.padding(1))?,
            pool("maxpool1"),
            conv("Conv2d_3b_1x1", 64, 80, 1, plain)?,
            conv("Conv2d_4a_3x3", 80, 192, 3, plain)?,
            pool("maxpool2"),
            mixed("Mixed_5b", &|s| block_a(s, 192, 32))?,
            mixed("Mixed_5c", &|s| block_a(s, 256, 64))?,
            mixed("Mixed_5d", &|s| block_a(s, 288, 64))?,
            mixed("Mixed_6a", &|s| block_b(s, 288))?,
            mixed("Mixed_6b", &|s| block_c(s, 768, 128))?,
            mixed("Mixed_6c", &|s| block_c(s, 768, 160))?,
            mixed("Mixed_6d", &|s| block_c(s, 768, 160))?,
            mixed("Mixed_6e", &|s| block_c(s, 768, 192))?,
        ];
        let auxiliary = aux_logits.then(|| AuxiliaryHead::new(&scope.at("AuxLogits"), 768, classes)).transpose()?;
        let upper = vec![
            mixed("Mixed_7a", &|s| block_d(s, 768))?,
            mixed("Mixed_7b", &|s| block_e(s, 1280))?,
            mixed("Mixed_7c", &|s| block_e(s, 2048))?,
        ];
        let fc = Linear::new(&scope.at("fc"), 2048, classes)?;
        let net = InceptionV3 { transform_input, lower, auxiliary, upper, dropout: Dropout::new(dropout), fc };
        initial::draw_weights(&net, initial::trunc_normal(0.1), initial::trunc_normal(0.1))?;
        if let Some(head) = &net.auxiliary {
            initial::draw_weights(&head.conv1, initial::trunc_normal(0.01), initial::kept)?;
            initial::draw_weights(&head.fc, initial::kept, initial::trunc_normal(0.001))?;
        }
        Ok(net)
    }

    /// The logits and those of the auxiliary head, where there is one.
    ///
    /// # Errors
    /// Those of the layers.
    pub fn outputs(&self, input: &Tensor) -> Result<InceptionV3Outputs> {
        let middle = self.middle(input)?;
        let aux = self.auxiliary.as_ref().map(|head| head.forward(&middle)).transpose()?;
        Ok(InceptionV3Outputs { logits: self.head(&run(&self.upper, &middle)?)?, aux })
    }

    /// The features that the auxiliary head reads.
    fn middle(&self, input: &Tensor) -> Result<Tensor> {
        let input = if self.transform_input { transform_input(input)? } else { input.clone() };
        run(&self.lower, &input)
    }

    fn head(&self, features: &Tensor) -> Result<Tensor> {
        self.fc.forward(&self.dropout.forward(&features.global_avg_pool()?)?.flatten(1, -1)?)
    }
}

fn named(layers: &[Named]) -> Children<'_> {
    layers.iter().map(|(name, layer)| (name.to_string(), &**layer)).collect()
}

fn run(layers: &[Named], input: &Tensor) -> Result<Tensor> {
    layers.iter().try_fold(input.clone(), |x, (_, layer)| layer.forward(&x))
}

impl Backbone for InceptionV3 {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        run(&self.upper, &self.middle(input)?)
    }
}

/// The logits alone; [`InceptionV3::outputs`] runs the auxiliary head, too.
impl Module for InceptionV3 {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.head(&self.features(input)?)
    }
    fn children(&self) -> Children<'_> {
        let mut children = named(&self.lower);
        children.extend(self.auxiliary.iter().map(|head| ("AuxLogits".to_string(), head as &dyn Module)));
        children.extend(named(&self.upper));
        children.extend(nn::children![self; dropout, fc]);
        children
    }
    fn auxiliary_outputs(&self, input: &Tensor) -> Result<Vec<Tensor>> {
        Ok(self.outputs(input)?.aux.into_iter().collect())
    }
}

/// Branches of convolutions, whose results are concatenated.
struct Block {
    branches: Vec<Branch>,
}

/// Pooling, a sequence of convolutions, and several that read the last of these.
#[derive(Default)]
struct Branch {
    pool: Option<Box<dyn Module>>,
    path: Vec<(&'static str, BasicConv2d)>,
    fork: Vec<(&'static str, BasicConv2d)>,
}

impl Branch {
    /// A sequence of convolutions: their names, channels and sizes.
    fn path(scope: &Scope, inputs: usize, convolutions: &[(&'static str, usize, [usize; 2])]) -> Result<Branch> {
        let mut path = Vec::new();
        let mut width = inputs;
        for &(name, outputs, size) in convolutions {
            path.push((name, BasicConv2d::same(&scope.at(name), width, outputs, size)?));
            width = outputs;
        }
        Ok(Branch { path, ..Branch::default() })
    }

    /// With one more, of 3 x 3, that halves the size.
    fn halving(mut self, scope: &Scope, name: &'static str, inputs: usize, outputs: usize) -> Result<Branch> {
        self.path.push((name, BasicConv2d::halving(&scope.at(name), inputs, outputs)?));
        Ok(self)
    }

    /// With two more that both read the last: 1 x 3 and 3 x 1.
    fn forked(mut self, scope: &Scope, names: [&'static str; 2], channels: usize) -> Result<Branch> {
        for (name, size) in names.into_iter().zip([[1, 3], [3, 1]]) {
            self.fork.push((name, BasicConv2d::same(&scope.at(name), channels, channels, size)?));
        }
        Ok(self)
    }

    /// The mean of each window of 3 x 3, then a convolution of 1 x 1.
    fn averaged(scope: &Scope, inputs: usize, outputs: usize) -> Result<Branch> {
        let options = AvgPool2dOptions::default().stride(1).padding(1);
        let pool = Box::new(AvgPool2d { kernel_size: [3; 2], options });
        Ok(Branch { pool: Some(pool), ..Branch::path(scope, inputs, &[("branch_pool", outputs, [1, 1])])? })
    }

    /// The largest value of each window of 3 x 3, at half the size.
    fn largest() -> Branch {
        let pool = Box::new(MaxPool2d { kernel_size: [3; 2], options: MaxPool2dOptions::default().stride(2) });
        Branch { pool: Some(pool), ..Branch::default() }
    }

    fn run(&self, input: &Tensor) -> Result<Vec<Tensor>> {
        let pooled = self.pool.as_ref().map_or_else(|| Ok(input.clone()), |pool| pool.forward(input))?;
        let last = self.path.iter().try_fold(pooled, |x, (_, convolution)| convolution.forward(&x))?;
        if self.fork.is_empty() {
            return Ok(vec![last]);
        }
        self.fork.iter().map(|(_, convolution)| convolution.forward(&last)).collect()
    }
}

impl Module for Block {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let outputs = self.branches.iter().map(|branch| branch.run(input)).collect::<Result<Vec<_>>>()?.concat();
        Tensor::cat(&outputs.iter().collect::<Vec<_>>(), 1)
    }
    fn children(&self) -> Children<'_> {
        let convolutions = self.branches.iter().flat_map(|branch| branch.path.iter().chain(&branch.fork));
        convolutions.map(|(name, convolution)| (name.to_string(), convolution as &dyn Module)).collect()
    }
}

/// Windows of 3 x 3 and 5 x 5.
fn block_a(scope: &Scope, inputs: usize, pooled: usize) -> Result<Block> {
    let path = |convolutions: &[_]| Branch::path(scope, inputs, convolutions);
    let thrice = [("branch3x3dbl_1", 64, [1, 1]), ("branch3x3dbl_2", 96, [3, 3]), ("branch3x3dbl_3", 96, [3, 3])];
    Ok(Block {
        branches: vec![
            path(&[("branch1x1", 64, [1, 1])])?,
            path(&[("branch5x5_1", 48, [1, 1]), ("branch5x5_2", 64, [5, 5])])?,
            path(&thrice)?,
            Branch::averaged(scope, inputs, pooled)?,
        ],
    })
}

/// Half the size, from windows of 3 x 3.
fn block_b(scope: &Scope, inputs: usize) -> Result<Block> {
    let twice = Branch::path(scope, inputs, &[("branch3x3dbl_1", 64, [1, 1]), ("branch3x3dbl_2", 96, [3, 3])])?;
    Ok(Block {
        branches: vec![
            Branch::default().halving(scope, "branch3x3", inputs, 384)?,
            twice.halving(scope, "branch3x3dbl_3", 96, 96)?,
            Branch::largest(),
        ],
    })
}

/// Windows of 7 x 7 as pairs of 1 x 7 and 7 x 1.
fn block_c(scope: &Scope, inputs: usize, narrow: usize) -> Result<Block> {
    let path = |convolutions: &[_]| Branch::path(scope, inputs, convolutions);
    let once = [("branch7x7_1", narrow, [1, 1]), ("branch7x7_2", narrow, [1, 7]), ("branch7x7_3", 192, [7, 1])];
    let twice = [
        ("branch7x7dbl_1", narrow, [1, 1]),
        ("branch7x7dbl_2", narrow, [7, 1]),
        ("branch7x7dbl_3", narrow, [1, 7]),
        ("branch7x7dbl_4", narrow, [7, 1]),
        ("branch7x7dbl_5", 192, [1, 7]),
    ];
    Ok(Block {
        branches: vec![
            path(&[("branch1x1", 192, [1, 1])])?,
            path(&once)?,
            path(&twice)?,
            Branch::averaged(scope, inputs, 192)?,
        ],
    })
}

/// Half the size, from windows of 3 x 3 and 7 x 7.
fn block_d(scope: &Scope, inputs: usize) -> Result<Block> {
    let seven = [("branch7x7x3_1", 192, [1, 1]), ("branch7x7x3_2", 192, [1, 7]), ("branch7x7x3_3", 192, [7, 1])];
    let three = Branch::path(scope, inputs, &[("branch3x3_1", 192, [1, 1])])?;
    Ok(Block {
        branches: vec![
            three.halving(scope, "branch3x3_2", 192, 320)?,
            Branch::path(scope, inputs, &seven)?.halving(scope, "branch7x7x3_4", 192, 192)?,
            Branch::largest(),
        ],
    })
}

/// Windows of 3 x 3 as 1 x 3 and 3 x 1 side by side.
fn block_e(scope: &Scope, inputs: usize) -> Result<Block> {
    let path = |convolutions: &[_]| Branch::path(scope, inputs, convolutions);
    let three = path(&[("branch3x3_1", 384, [1, 1])])?;
    let twice = path(&[("branch3x3dbl_1", 448, [1, 1]), ("branch3x3dbl_2", 384, [3, 3])])?;
    Ok(Block {
        branches: vec![
            path(&[("branch1x1", 320, [1, 1])])?,
            three.forked(scope, ["branch3x3_2a", "branch3x3_2b"], 384)?,
            twice.forked(scope, ["branch3x3dbl_3a", "branch3x3dbl_3b"], 384)?,
            Branch::averaged(scope, inputs, 192)?,
        ],
    })
}

/// A classifier on features in the middle of the network, of 17 x 17 or more.
struct AuxiliaryHead {
    conv0: BasicConv2d,
    conv1: BasicConv2d,
    fc: Linear,
}

impl AuxiliaryHead {
    fn new(scope: &Scope, inputs: usize, classes: usize) -> Result<AuxiliaryHead> {
        Ok(AuxiliaryHead {
            conv0: BasicConv2d::same(&scope.at("conv0"), inputs, 128, 1)?,
            conv1: BasicConv2d::new(&scope.at("conv1"), 128, 768, 5, &Conv2dOptions::default())?,
            fc: Linear::new(&scope.at("fc"), 768, classes)?,
        })
    }
}

impl Module for AuxiliaryHead {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let x = input.avg_pool2d(5, &AvgPool2dOptions::default().stride(3))?;
        self.fc.forward(&self.conv1.forward(&self.conv0.forward(&x)?)?.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> Children<'_> {
        nn::children![self; conv0, conv1, fc]
    }
}
