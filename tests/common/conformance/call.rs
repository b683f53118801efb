//! A case's call by PyTorch's names, as a call by wgrad's.

use super::Refusal;
use serde_json::{Map, Value};
use wgrad::{
    AvgPool2dOptions, BatchNormOptions, Conv2dOptions, ConvTranspose2dOptions, CrossEntropyOptions, KlDivOptions,
    KlDivReduction, MaxPool2dOptions, PadMode, Padding, Parameter, Reduction, Tensor, TripletMarginOptions,
};

/// What an operation takes: its tensors and its attributes, by PyTorch's names.
type Signature = (&'static [&'static str], &'static [&'static str]);

pub(super) fn signature(op: &str) -> Option<Signature> {
    const ONE: &[&str] = &["input"];
    const AFFINE: &[&str] = &["input", "weight", "bias"];
    const TWO: &[&str] = &["input", "other"];
    Some(match op {
        "abs" | "neg" | "sign" | "exp" | "expm1" | "log" | "log1p" | "log2" | "log10" | "sqrt" | "rsqrt"
        | "reciprocal" | "square" | "sin" | "cos" | "tan" | "asin" | "acos" | "atan" | "sinh" | "cosh" | "tanh"
        | "erf" | "floor" | "ceil" | "round" | "trunc" | "isnan" | "isinf" | "isfinite" | "logical_not" | "relu"
        | "sigmoid" | "silu" | "mish" | "softsign" | "relu6" | "hardsigmoid" | "hardswish" | "selu" | "tanhshrink"
        | "logsigmoid" => (ONE, &[]),
        "add" | "sub" => (TWO, &["alpha", "other"]),
        "mul" | "div" | "maximum" | "minimum" | "atan2" | "fmod" | "remainder" | "eq" | "ne" | "lt" | "le" | "gt"
        | "ge" => (TWO, &["other"]),
        "logical_and" | "logical_or" | "logical_xor" | "matmul" => (TWO, &[]),
        "pow" => (&["input", "exponent"], &["exponent"]),
        "where" => (&["condition", "input", "other"], &[]),
        "clamp" => (ONE, &["min", "max"]),
        "leaky_relu" => (ONE, &["negative_slope"]),
        "elu" | "celu" => (ONE, &["alpha"]),
        "hardtanh" => (ONE, &["min_val", "max_val"]),
        "softshrink" | "hardshrink" => (ONE, &["lambd"]),
        "threshold" => (ONE, &["threshold", "value"]),
        "prelu" => (&["input", "weight"], &[]),
        "glu" => (ONE, &["dim"]),
        "softplus" => (ONE, &["beta", "threshold"]),
        "gelu" => (ONE, &["approximate"]),
        "sum" | "mean" | "amax" | "amin" | "max" | "min" | "argmax" | "argmin" => (ONE, &["dim", "keepdim"]),
        "softmax" | "log_softmax" => (ONE, &["dim"]),
        "gather" => (&["input", "index"], &["dim", "sparse_grad"]),
        "cross_entropy" => (&["input", "target", "weight"], &["ignore_index", "reduction", "label_smoothing"]),
        "pad" => (ONE, &["pad", "mode", "value"]),
        "cat" | "stack" => (&["tensors"], &["dim"]),
        "split" => (&["tensor"], &["split_size_or_sections", "dim"]),
        "chunk" => (ONE, &["chunks", "dim"]),
        "flip" => (ONE, &["dims"]),
        "roll" => (ONE, &["shifts", "dims"]),
        "pixel_shuffle" => (ONE, &["upscale_factor"]),
        "pixel_unshuffle" => (ONE, &["downscale_factor"]),
        "channel_shuffle" => (ONE, &["groups"]),
        "nll_loss" => (&["input", "target", "weight"], &["ignore_index", "reduction"]),
        "mse_loss" | "l1_loss" => (&["input", "target", "weight"], &["reduction"]),
        "smooth_l1_loss" => (&["input", "target"], &["beta", "reduction"]),
        "huber_loss" => (&["input", "target", "weight"], &["delta", "reduction"]),
        "binary_cross_entropy" => (&["input", "target", "weight"], &["reduction"]),
        "binary_cross_entropy_with_logits" => (&["input", "target", "weight", "pos_weight"], &["reduction"]),
        "sigmoid_focal_loss" => (&["inputs", "targets"], &["alpha", "gamma", "reduction"]),
        "dice_loss" => (&["input", "target"], &["smooth", "reduction"]),
        "kl_div" => (&["input", "target"], &["log_target", "reduction"]),
        "cosine_embedding_loss" | "margin_ranking_loss" => (&["input1", "input2", "target"], &["margin", "reduction"]),
        "hinge_embedding_loss" => (&["input", "target"], &["margin", "reduction"]),
        "triplet_margin_loss" => (&["anchor", "positive", "negative"], &["margin", "p", "eps", "swap", "reduction"]),
        "norm" => (ONE, &["p", "dim", "keepdim"]),
        "conv2d" => (&["input", "weight", "bias"], &["stride", "padding", "dilation", "groups"]),
        "conv_transpose2d" => {
            (&["input", "weight", "bias"], &["stride", "padding", "output_padding", "groups", "dilation"])
        }
        "max_pool2d" => (ONE, &["kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"]),
        "avg_pool2d" => {
            (ONE, &["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"])
        }
        "var" | "std" => (ONE, &["dim", "correction", "keepdim"]),
        "layer_norm" => (AFFINE, &["normalized_shape", "eps"]),
        "group_norm" => (AFFINE, &["num_groups", "eps"]),
        "batch_norm" => (&["input", "running_mean", "running_var", "weight", "bias"], &["training", "momentum", "eps"]),
        _ => return None,
    })
}

/// A call by PyTorch's names, as a call by wgrad's.
pub(super) struct Call<'a> {
    pub op: &'a str,
    pub inputs: &'a [(&'a str, Tensor)],
    pub attrs: &'a Map<String, Value>,
}

type Results = Result<Vec<Tensor>, Refusal>;

impl Call<'_> {
    fn optional(&self, name: &str) -> Option<&Tensor> {
        self.inputs.iter().find(|(arg, _)| *arg == name).map(|(_, tensor)| tensor)
    }

    fn tensor(&self, name: &str) -> Result<&Tensor, Refusal> {
        self.optional(name).ok_or_else(|| Refusal::Error(format!("{}: no {name} given", self.op)))
    }

    /// An attribute that is given and not null.
    fn attr(&self, name: &str) -> Option<&Value> {
        self.attrs.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str) -> Refusal {
        Refusal::Error(format!("{}: {name} cannot be {}", self.op, self.attrs.get(name).unwrap_or(&Value::Null)))
    }

    fn number(&self, name: &str) -> Result<Option<f32>, Refusal> {
        self.attr(name).map(|v| v.as_f64().map(|v| v as f32).ok_or_else(|| self.wrong(name))).transpose()
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        self.attr(name).map_or(Ok(default), |v| v.as_bool().ok_or_else(|| self.wrong(name)))
    }

    /// A whole number or a list of them.
    fn integers(&self, name: &str) -> Result<Option<Vec<i64>>, Refusal> {
        let list = |value: &Value| match value {
            Value::Array(values) => values.iter().map(Value::as_i64).collect(),
            value => value.as_i64().map(|v| vec![v]),
        };
        self.attr(name).map(|value| list(value).ok_or_else(|| self.wrong(name))).transpose()
    }

    /// A pair of sizes: one number stands for both.
    fn pair(&self, name: &str) -> Result<Option<[usize; 2]>, Refusal> {
        let size = |v: i64| usize::try_from(v).map_err(|_| self.wrong(name));
        match self.integers(name)?.as_deref() {
            None | Some([]) => Ok(None),
            Some(&[both]) => Ok(Some([size(both)?; 2])),
            Some(&[height, width]) => Ok(Some([size(height)?, size(width)?])),
            Some(_) => Err(self.wrong(name)),
        }
    }

    fn conv2d(&self) -> Result<Tensor, Refusal> {
        let padding = match self.attr("padding").and_then(Value::as_str) {
            Some("same") => Padding::Same,
            Some("valid") => Padding::Valid,
            Some(_) => return Err(self.wrong("padding")),
            None => Padding::Explicit(self.pair("padding")?.unwrap_or([0, 0])),
        };
        let groups = self.pair("groups")?.map_or(1, |pair| pair[0]);
        let options = Conv2dOptions {
            stride: self.pair("stride")?.unwrap_or([1, 1]),
            padding,
            dilation: self.pair("dilation")?.unwrap_or([1, 1]),
            groups,
        };
        Ok(self.tensor("input")?.conv2d(self.tensor("weight")?, self.optional("bias"), &options)?)
    }

    fn conv_transpose2d(&self) -> Result<Tensor, Refusal> {
        let options = ConvTranspose2dOptions {
            stride: self.pair("stride")?.unwrap_or([1, 1]),
            padding: self.pair("padding")?.unwrap_or([0, 0]),
            output_padding: self.pair("output_padding")?.unwrap_or([0, 0]),
            dilation: self.pair("dilation")?.unwrap_or([1, 1]),
            groups: self.pair("groups")?.map_or(1, |pair| pair[0]),
        };
        Ok(self.tensor("input")?.conv_transpose2d(self.tensor("weight")?, self.optional("bias"), &options)?)
    }

    fn max_pool2d(&self) -> Results {
        let kernel_size = self.pair("kernel_size")?.ok_or_else(|| self.wrong("kernel_size"))?;
        let options = MaxPool2dOptions {
            stride: self.pair("stride")?,
            padding: self.pair("padding")?.unwrap_or([0, 0]),
            dilation: self.pair("dilation")?.unwrap_or([1, 1]),
            ceil_mode: self.flag("ceil_mode", false)?,
        };
        let x = self.tensor("input")?;
        if self.flag("return_indices", false)? {
            let (values, indices) = x.max_pool2d_with_indices(kernel_size, &options)?;
            return Ok(vec![values, indices]);
        }
        Ok(vec![x.max_pool2d(kernel_size, &options)?])
    }

    fn avg_pool2d(&self) -> Result<Tensor, Refusal> {
        let kernel_size = self.pair("kernel_size")?.ok_or_else(|| self.wrong("kernel_size"))?;
        let options = AvgPool2dOptions {
            stride: self.pair("stride")?,
            padding: self.pair("padding")?.unwrap_or([0, 0]),
            ceil_mode: self.flag("ceil_mode", false)?,
            count_include_pad: self.flag("count_include_pad", true)?,
            divisor_override: self.integers("divisor_override")?.map(|v| v[0]),
        };
        Ok(self.tensor("input")?.avg_pool2d(kernel_size, &options)?)
    }

    fn reduction(&self) -> Result<Reduction, Refusal> {
        // The only loss whose default is another one.
        let default = if self.op == "sigmoid_focal_loss" { "none" } else { "mean" };
        match self.attr("reduction").map_or(Some(default), Value::as_str) {
            Some("mean") => Ok(Reduction::Mean),
            Some("sum") => Ok(Reduction::Sum),
            Some("none") => Ok(Reduction::None),
            _ => Err(self.wrong("reduction")),
        }
    }

    fn cross_entropy(&self) -> Result<Tensor, Refusal> {
        let options = CrossEntropyOptions {
            weight: self.optional("weight").cloned(),
            ignore_index: self.integers("ignore_index")?.map_or(-100, |v| v[0]),
            reduction: self.reduction()?,
            label_smoothing: self.number("label_smoothing")?.unwrap_or(0.0),
        };
        let (x, target) = (self.tensor("input")?, self.tensor("target")?);
        Ok(if self.op == "nll_loss" { x.nll_loss(target, &options) } else { x.cross_entropy(target, &options) }?)
    }

    fn kl_div(&self) -> Result<Tensor, Refusal> {
        let reduction = match self.attr("reduction").and_then(Value::as_str) {
            Some("batchmean") => KlDivReduction::BatchMean,
            _ => match self.reduction()? {
                Reduction::Mean => KlDivReduction::Mean,
                Reduction::Sum => KlDivReduction::Sum,
                Reduction::None => KlDivReduction::None,
            },
        };
        let options = KlDivOptions { reduction, log_target: self.flag("log_target", false)? };
        Ok(self.tensor("input")?.kl_div(self.tensor("target")?, &options)?)
    }

    /// The losses of a difference, which have a weight that the others' methods don't take.
    fn regression_loss(&self) -> Result<Tensor, Refusal> {
        let (x, target, reduction) = (self.tensor("input")?, self.tensor("target")?, self.reduction()?);
        let delta = self.number("delta")?.unwrap_or(1.0);
        Ok(match (self.op, self.optional("weight")) {
            ("mse_loss", None) => x.mse_loss(target, reduction),
            ("mse_loss", Some(weight)) => x.weighted_mse_loss(target, weight, reduction),
            ("l1_loss", None) => x.l1_loss(target, reduction),
            ("l1_loss", Some(weight)) => x.weighted_l1_loss(target, weight, reduction),
            ("huber_loss", None) => x.huber_loss(target, delta, reduction),
            ("huber_loss", Some(weight)) => x.weighted_huber_loss(target, delta, weight, reduction),
            _ => x.smooth_l1_loss(target, self.number("beta")?.unwrap_or(1.0), reduction),
        }?)
    }

    fn binary_loss(&self) -> Result<Tensor, Refusal> {
        let reduction = self.reduction()?;
        if self.op == "sigmoid_focal_loss" {
            let (alpha, gamma) = (self.number("alpha")?.unwrap_or(0.25), self.number("gamma")?.unwrap_or(2.0));
            return Ok(self.tensor("inputs")?.sigmoid_focal_loss(self.tensor("targets")?, alpha, gamma, reduction)?);
        }
        let (x, target, weight) = (self.tensor("input")?, self.tensor("target")?, self.optional("weight"));
        Ok(match self.op {
            "binary_cross_entropy" => x.binary_cross_entropy(target, weight, reduction),
            "dice_loss" => x.dice_loss(target, self.number("smooth")?.unwrap_or(1.0), reduction),
            _ => x.binary_cross_entropy_with_logits(target, weight, self.optional("pos_weight"), reduction),
        }?)
    }

    fn margin_loss(&self) -> Result<Tensor, Refusal> {
        let (margin, reduction) = (self.number("margin")?, self.reduction()?);
        Ok(match self.op {
            "cosine_embedding_loss" => {
                let (other, target) = (self.tensor("input2")?, self.tensor("target")?);
                self.tensor("input1")?.cosine_embedding_loss(other, target, margin.unwrap_or(0.0), reduction)
            }
            "margin_ranking_loss" => {
                let (other, target) = (self.tensor("input2")?, self.tensor("target")?);
                self.tensor("input1")?.margin_ranking_loss(other, target, margin.unwrap_or(0.0), reduction)
            }
            "hinge_embedding_loss" => {
                self.tensor("input")?.hinge_embedding_loss(self.tensor("target")?, margin.unwrap_or(1.0), reduction)
            }
            _ => {
                let options = TripletMarginOptions {
                    margin: margin.unwrap_or(1.0),
                    p: self.number("p")?.unwrap_or(2.0),
                    eps: self.number("eps")?.unwrap_or(1e-6),
                    swap: self.flag("swap", false)?,
                    reduction,
                };
                let (positive, negative) = (self.tensor("positive")?, self.tensor("negative")?);
                self.tensor("anchor")?.triplet_margin_loss(positive, negative, &options)
            }
        }?)
    }

    fn norm(&self) -> Result<Tensor, Refusal> {
        let p = match self.attr("p").and_then(Value::as_str) {
            Some(text) => text.parse().map_err(|_| self.wrong("p"))?,
            None => self.number("p")?.unwrap_or(2.0),
        };
        Ok(self.tensor("input")?.norm(p, &self.dims()?, self.flag("keepdim", false)?)?)
    }

    /// A list of sizes.
    fn sizes(&self, name: &str) -> Result<Vec<usize>, Refusal> {
        let sizes = self.integers(name)?.ok_or_else(|| self.wrong(name))?;
        sizes.into_iter().map(|v| usize::try_from(v).map_err(|_| self.wrong(name))).collect()
    }

    fn normalize(&self) -> Result<Tensor, Refusal> {
        let x = self.tensor("input")?;
        let (weight, bias) = (self.optional("weight"), self.optional("bias"));
        let eps = self.number("eps")?.unwrap_or(1e-5);
        Ok(match self.op {
            "layer_norm" => x.layer_norm(&self.sizes("normalized_shape")?, weight, bias, eps)?,
            "group_norm" => x.group_norm(self.sizes("num_groups")?[0], weight, bias, eps)?,
            _ => {
                let running = |name: &str| self.optional(name).map(|value| Parameter::buffer(name, value));
                let options = BatchNormOptions {
                    training: self.flag("training", false)?,
                    momentum: self.number("momentum")?.unwrap_or(0.1),
                    eps,
                };
                let (mean, variance) = (running("running_mean"), running("running_var"));
                x.batch_norm(mean.as_ref(), variance.as_ref(), weight, bias, &options)?
            }
        })
    }

    /// All elements of a list of tensors, in order.
    fn list(&self, name: &str) -> Vec<&Tensor> {
        let is_element = |arg: &str| arg.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.inputs.iter().filter(|(arg, _)| is_element(arg)).map(|(_, tensor)| tensor).collect()
    }

    fn divide(&self) -> Results {
        let dim = self.dim()?.unwrap_or(0);
        let name = if self.op == "chunk" { "chunks" } else { "split_size_or_sections" };
        let sizes = self.integers(name)?.ok_or_else(|| self.wrong(name))?;
        let sizes: Vec<usize> =
            sizes.into_iter().map(|v| usize::try_from(v).map_err(|_| self.wrong(name))).collect::<Result<_, _>>()?;
        Ok(if self.op == "chunk" {
            self.tensor("input")?.chunk(sizes[0], dim)?
        } else if self.attr(name).is_some_and(Value::is_array) {
            self.tensor("tensor")?.split_with_sizes(&sizes, dim)?
        } else {
            self.tensor("tensor")?.split(sizes[0], dim)?
        })
    }

    fn pad(&self) -> Result<Tensor, Refusal> {
        let pads = self.integers("pad")?.ok_or_else(|| self.wrong("pad"))?;
        let value = self.number("value")?.unwrap_or(0.0);
        let mode = match self.attr("mode").map_or(Some("constant"), Value::as_str) {
            Some("constant") => PadMode::Constant(value),
            _ if value != 0.0 => return Err(self.wrong("value")),
            Some("reflect") => PadMode::Reflect,
            Some("replicate") => PadMode::Replicate,
            Some("circular") => PadMode::Circular,
            _ => return Err(self.wrong("mode")),
        };
        let pads: Vec<isize> = pads.into_iter().map(|pad| pad as isize).collect();
        Ok(self.tensor("input")?.pad(&pads, mode)?)
    }

    /// A whole number or a list of them, with signs; empty where not given.
    fn signed(&self, name: &str) -> Result<Vec<isize>, Refusal> {
        Ok(self.integers(name)?.unwrap_or_default().into_iter().map(|v| v as isize).collect())
    }

    /// A whole number that is not negative.
    fn size(&self, name: &str) -> Result<usize, Refusal> {
        self.attr(name).and_then(Value::as_u64).map(|v| v as usize).ok_or_else(|| self.wrong(name))
    }

    fn dims(&self) -> Result<Vec<isize>, Refusal> {
        Ok(self.integers("dim")?.unwrap_or_default().into_iter().map(|d| d as isize).collect())
    }

    fn dim(&self) -> Result<Option<isize>, Refusal> {
        match self.dims()?[..] {
            [] => Ok(None),
            [dim] => Ok(Some(dim)),
            _ => Err(self.wrong("dim")),
        }
    }

    pub fn run(&self) -> Results {
        Ok(match self.op {
            "max" | "min" => return self.run_several(),
            "max_pool2d" => return self.max_pool2d(),
            "cross_entropy" | "nll_loss" => vec![self.cross_entropy()?],
            "kl_div" => vec![self.kl_div()?],
            "mse_loss" | "l1_loss" | "smooth_l1_loss" | "huber_loss" => vec![self.regression_loss()?],
            "binary_cross_entropy" | "binary_cross_entropy_with_logits" | "sigmoid_focal_loss" | "dice_loss" => {
                vec![self.binary_loss()?]
            }
            "cosine_embedding_loss" | "margin_ranking_loss" | "hinge_embedding_loss" | "triplet_margin_loss" => {
                vec![self.margin_loss()?]
            }
            "norm" => vec![self.norm()?],
            "conv2d" => vec![self.conv2d()?],
            "conv_transpose2d" => vec![self.conv_transpose2d()?],
            "pad" => vec![self.pad()?],
            "split" | "chunk" => return self.divide(),
            "cat" => vec![Tensor::cat(&self.list("tensors"), self.dim()?.unwrap_or(0))?],
            "stack" => vec![Tensor::stack(&self.list("tensors"), self.dim()?.unwrap_or(0))?],
            "avg_pool2d" => vec![self.avg_pool2d()?],
            "layer_norm" | "group_norm" | "batch_norm" => vec![self.normalize()?],
            _ => vec![self.run_one()?],
        })
    }

    fn run_several(&self) -> Results {
        let x = self.tensor("input")?;
        let keepdim = self.flag("keepdim", false)?;
        Ok(match (self.op, self.dim()?) {
            ("max", None) => vec![x.amax(&[], false)?],
            ("min", None) => vec![x.amin(&[], false)?],
            ("max", Some(dim)) => x.max(dim, keepdim).map(|(values, indices)| vec![values, indices])?,
            _ => x.min(self.dim()?.unwrap_or(0), keepdim).map(|(values, indices)| vec![values, indices])?,
        })
    }

    /// The second operand, scaled by `alpha` in `add` and `sub`; a number where it is an attribute.
    fn other(&self) -> Result<Tensor, Refusal> {
        let name = if self.op == "pow" { "exponent" } else { "other" };
        let other = match (self.optional(name), self.number(name)?) {
            (Some(other), _) => other.clone(),
            (None, Some(number)) => Tensor::scalar(self.tensor("input")?.device(), number)?,
            (None, None) => self.tensor(name)?.clone(),
        };
        match (self.op, self.number("alpha")?) {
            ("add" | "sub", Some(alpha)) => Ok(other.mul_scalar(alpha)?),
            _ => Ok(other),
        }
    }

    fn run_one(&self) -> Result<Tensor, Refusal> {
        if self.op == "where" {
            return Ok(self.tensor("condition")?.where_(self.tensor("input")?, self.tensor("other")?)?);
        }
        let x = self.tensor("input")?;
        let keepdim = self.flag("keepdim", false)?;
        Ok(match self.op {
            "abs" => x.abs(),
            "neg" => x.neg(),
            "sign" => x.sign(),
            "exp" => x.exp(),
            "expm1" => x.expm1(),
            "log" => x.log(),
            "log1p" => x.log1p(),
            "log2" => x.log2(),
            "log10" => x.log10(),
            "sqrt" => x.sqrt(),
            "rsqrt" => x.rsqrt(),
            "reciprocal" => x.reciprocal(),
            "square" => x.square(),
            "sin" => x.sin(),
            "cos" => x.cos(),
            "tan" => x.tan(),
            "asin" => x.asin(),
            "acos" => x.acos(),
            "atan" => x.atan(),
            "sinh" => x.sinh(),
            "cosh" => x.cosh(),
            "tanh" => x.tanh(),
            "erf" => x.erf(),
            "floor" => x.floor(),
            "ceil" => x.ceil(),
            "round" => x.round(),
            "trunc" => x.trunc(),
            "isnan" => x.isnan(),
            "isinf" => x.isinf(),
            "isfinite" => x.isfinite(),
            "logical_not" => x.logical_not(),
            "relu" => x.relu(),
            "sigmoid" => x.sigmoid(),
            "silu" => x.silu(),
            "mish" => x.mish(),
            "softsign" => x.softsign(),
            "relu6" => x.relu6(),
            "hardsigmoid" => x.hardsigmoid(),
            "hardswish" => x.hardswish(),
            "selu" => x.selu(),
            "celu" => x.celu(self.number("alpha")?.unwrap_or(1.0)),
            "tanhshrink" => x.tanhshrink(),
            "logsigmoid" => x.logsigmoid(),
            "hardtanh" => x.hardtanh(self.number("min_val")?.unwrap_or(-1.0), self.number("max_val")?.unwrap_or(1.0)),
            "softshrink" => x.softshrink(self.number("lambd")?.unwrap_or(0.5)),
            "hardshrink" => x.hardshrink(self.number("lambd")?.unwrap_or(0.5)),
            "threshold" => x.threshold(
                self.number("threshold")?.ok_or_else(|| self.wrong("threshold"))?,
                self.number("value")?.ok_or_else(|| self.wrong("value"))?,
            ),
            "prelu" => x.prelu(self.tensor("weight")?),
            "glu" => x.glu(self.dim()?.unwrap_or(-1)),
            "add" => x.add(&self.other()?),
            "sub" => x.sub(&self.other()?),
            "mul" => x.mul(&self.other()?),
            "div" => x.div(&self.other()?),
            "pow" => x.pow(&self.other()?),
            "maximum" => x.maximum(&self.other()?),
            "minimum" => x.minimum(&self.other()?),
            "atan2" => x.atan2(&self.other()?),
            "fmod" => x.fmod(&self.other()?),
            "remainder" => x.remainder(&self.other()?),
            "eq" => x.eq(&self.other()?),
            "ne" => x.ne(&self.other()?),
            "lt" => x.lt(&self.other()?),
            "le" => x.le(&self.other()?),
            "gt" => x.gt(&self.other()?),
            "ge" => x.ge(&self.other()?),
            "logical_and" => x.logical_and(&self.other()?),
            "logical_or" => x.logical_or(&self.other()?),
            "logical_xor" => x.logical_xor(&self.other()?),
            "matmul" => x.matmul(self.tensor("other")?),
            "clamp" => x.clamp(self.number("min")?, self.number("max")?),
            "leaky_relu" => x.leaky_relu(self.number("negative_slope")?.unwrap_or(0.01)),
            "elu" => x.elu(self.number("alpha")?.unwrap_or(1.0)),
            "softplus" => x.softplus(self.number("beta")?.unwrap_or(1.0), self.number("threshold")?.unwrap_or(20.0)),
            "gelu" => match self.attr("approximate").map_or(Some("none"), Value::as_str) {
                Some("none") => x.gelu(),
                Some("tanh") => x.gelu_tanh(),
                _ => return Err(self.wrong("approximate")),
            },
            "sum" => x.sum(&self.dims()?, keepdim),
            "mean" => x.mean(&self.dims()?, keepdim),
            "var" => x.var(&self.dims()?, self.number("correction")?.unwrap_or(1.0), keepdim),
            "std" => x.std(&self.dims()?, self.number("correction")?.unwrap_or(1.0), keepdim),
            "amax" => x.amax(&self.dims()?, keepdim),
            "amin" => x.amin(&self.dims()?, keepdim),
            "argmax" => x.argmax(self.dim()?, keepdim),
            "argmin" => x.argmin(self.dim()?, keepdim),
            "softmax" => x.softmax(self.dim()?.ok_or_else(|| self.wrong("dim"))?),
            "log_softmax" => x.log_softmax(self.dim()?.ok_or_else(|| self.wrong("dim"))?),
            "flip" => x.flip(&self.signed("dims")?),
            "roll" => x.roll(&self.signed("shifts")?, &self.signed("dims")?),
            "pixel_shuffle" => x.pixel_shuffle(self.size("upscale_factor")?),
            "pixel_unshuffle" => x.pixel_unshuffle(self.size("downscale_factor")?),
            "channel_shuffle" => x.channel_shuffle(self.size("groups")?),
            "gather" => x.gather(self.dim()?.ok_or_else(|| self.wrong("dim"))?, self.tensor("index")?),
            _ => return Err(Refusal::Unsupported(format!("operation {}", self.op))),
        }?)
    }
}
