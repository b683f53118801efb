//! A custom operation, from end to end: shape rule, kernel in WGSL, reference, gradient, and checks of all three.
//!
//!     cargo run --release --example custom_op
//!
//! `rotate` rotates pairs of neighbours, points of a plane, by an angle: `[.., 2]` to `[.., 2]`. The transpose of a rotation is
//! the rotation back, so the gradient is the operation itself with the other angle, and has a gradient too.

use std::hash::Hasher;
use wgrad::custom::{
    Adapter, GradcheckOptions, HostTensor, Io, Kernel, Kernels, Layout, Op, Operand, Vjp, Word, apply, fold_groups,
    gradcheck, gradgradcheck,
};
use wgrad::prelude::*;

/// One invocation rotates one pair. The binding names are those that the kernel binds; `params` are its words.
const ROTATE: &str = "
struct Params {
    pairs: u32,
    first: u32,
    cosine: u32,
    sine: u32,
}

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let pair = (group.x + group.y * groups.x) * 64u + lane;
    if pair >= params.pairs {
        return;
    }
    let cosine = bitcast<f32>(params.cosine);
    let sine = bitcast<f32>(params.sine);
    let x = input[params.first + 2u * pair];
    let y = input[params.first + 2u * pair + 1u];
    output[2u * pair] = cosine * x - sine * y;
    output[2u * pair + 1u] = sine * x + cosine * y;
}
";

#[derive(Debug)]
struct Rotate {
    angle: f32,
    /// Bits of the cosine and the sine: data, so that another angle needs no new plan.
    scalars: [u32; 2],
}

impl Rotate {
    fn by(angle: f32) -> Rotate {
        Rotate { angle, scalars: [angle.cos().to_bits(), angle.sin().to_bits()] }
    }
}

impl Op for Rotate {
    fn name(&self) -> &'static str {
        "rotate"
    }

    /// No attribute changes the kernel.
    fn structure(&self, _: &mut dyn Hasher) {}

    fn scalars(&self) -> &[u32] {
        &self.scalars
    }

    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let Layout { shape, dtype, .. } = inputs[0];
        if shape.last() != Some(&2) {
            return Err(Error::invalid(
                "rotate",
                format!("the last dimension must be 2, a point; the shape is {shape}"),
            ));
        }
        if dtype != DType::F32 {
            return Err(Error::WrongDType { op: "rotate", expected: "f32", got: dtype });
        }
        Ok(vec![Layout::contiguous(shape, dtype)])
    }

    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let pairs = io.outputs[0].shape.numel() / 2;
        let kernel = Kernel::new("rotate", ROTATE)
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .values(&[pairs])
            .words([Word::Offset(0), Word::Scalar(0), Word::Scalar(1)])
            .grid(fold_groups(pairs, 64));
        Ok(kernel.into())
    }

    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let [cosine, sine] = self.scalars.map(|bits| f64::from(f32::from_bits(bits)));
        let turned = |point: &[f64]| [cosine * point[0] - sine * point[1], sine * point[0] + cosine * point[1]];
        let values = inputs[0].values.chunks_exact(2).flat_map(turned).collect();
        Ok(vec![HostTensor::new(inputs[0].shape, inputs[0].dtype, values)])
    }

    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![context.of(0, |gradient| rotate(&gradient, -self.angle))?])
    }
}

/// Points `[.., 2]` rotated by an angle in radians.
#[track_caller]
fn rotate(points: &Tensor, angle: f32) -> Result<Tensor> {
    // The kernel takes contiguous pairs.
    Ok(apply(Rotate::by(angle), &[&points.contiguous()?])?.remove(0))
}

/// Some points, in a view that is not contiguous.
fn points(device: &Device) -> Result<Tensor> {
    Tensor::linspace(device, -1.0, 2.0, 600)?.reshape(&[2, 300])?.t()
}

fn main() -> Result<()> {
    let reference = Device::reference();
    let x = points(&reference)?;
    let few = [x.narrow(0, 0, 20)?];
    let rotated = |x: &[Tensor]| Ok(vec![rotate(&x[0], 0.7)?]);
    gradcheck(rotated, &few, &GradcheckOptions::default())?;
    gradgradcheck(rotated, &few, &GradcheckOptions::default())?;
    println!("the gradient is the slope");

    // Fused with the calls around it, on the adapter and on the reference.
    let program = |x: &Tensor| -> Result<Vec<f64>> {
        let x = x.requires_grad();
        let y = (rotate(&(&x * 2.0)?, 0.7)? + 1.0)?.square()?;
        y.sum_all()?.backward()?;
        let gradient = x.grad().ok_or(Error::NoGradient { op: "rotate" })?;
        Ok([y.to_f64()?, gradient.to_f64()?].concat())
    };
    let expected = program(&x)?;
    match Device::open() {
        Ok(device) => {
            let got = program(&points(&device)?)?;
            let furthest = got.iter().zip(&expected).map(|(got, expected)| (got - expected).abs()).fold(0.0, f64::max);
            println!("{} and the reference differ by at most {furthest:.1e}", device.name());
            if furthest > 1e-4 {
                return Err(Error::invalid("rotate", "the kernel is not what the reference is"));
            }
        }
        Err(error) => println!("no adapter to compare with: {error}"),
    }
    Ok(())
}
