//! Custom operations that break the promises of their class: errors when they are recorded, or when their gradient or their
//! reference is evaluated; never a read past their inputs.

use crate::common::adapter;
use std::hash::Hasher;
use wgrad::custom::{
    Adapter, Class, Formula, GradcheckOptions, HostTensor, Io, Kernel, Kernels, Layout, Op, Operand, Vjp, apply,
    gradcheck, gradgradcheck,
};
use wgrad::{DType, Device, Error, Result, Shape, Tensor};

fn devices() -> impl Iterator<Item = Device> {
    adapter().into_iter().chain([Device::reference()])
}

fn shape(sizes: &[usize]) -> Shape {
    Shape::new(sizes).unwrap()
}

fn plain(sizes: &[usize]) -> Layout {
    Layout::contiguous(shape(sizes), DType::F32)
}

/// A layout with one change.
fn changed(mut layout: Layout, change: impl FnOnce(&mut Layout)) -> Vec<Layout> {
    change(&mut layout);
    vec![layout]
}

/// An operation whose outputs, reference and gradient a test chooses.
#[derive(Clone)]
struct Made {
    class: Class<'static>,
    outputs: fn(&[Layout]) -> Vec<Layout>,
    reference: fn(&[HostTensor]) -> Vec<HostTensor>,
    vjp: fn(&Tensor) -> Result<Vec<Option<Tensor>>>,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Made")
    }
}

impl Op for Made {
    fn name(&self) -> &'static str {
        "made"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        state.write_usize(self.outputs as usize);
    }
    fn class(&self) -> Class<'_> {
        self.class
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok((self.outputs)(inputs))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok((self.reference)(inputs))
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        (self.vjp)(&context.cotangent()?)
    }
}

const MADE: Made = Made {
    class: Class::View,
    outputs: |inputs| inputs.to_vec(),
    reference: |inputs| inputs.to_vec(),
    vjp: |g| Ok(vec![Some(g.clone())]),
};

static SAME: Formula = Formula::new("same", "{0}");

fn refused(result: Result<Vec<Tensor>>, text: &str) {
    let error = result.expect_err(text);
    assert!(matches!(error, Error::Invalid { op: "made", .. }), "{error}");
    assert!(error.to_string().contains(text), "{text:?} in {error}");
}

#[test]
fn a_view_shows_what_its_input_shows() {
    type Outputs = fn(&[Layout]) -> Vec<Layout>;
    let beyond: [Outputs; 6] = [
        |inputs| changed(inputs[0], |view| view.offset += 1 << 20),
        |inputs| changed(inputs[0], |view| view.offset += 1),
        |inputs| changed(inputs[0], |view| view.offset -= 1),
        |inputs| changed(inputs[0], |view| view.offset = usize::MAX),
        |inputs| changed(inputs[0], |view| view.shape = shape(&[1 << 20, 4])),
        |inputs| changed(inputs[0], |view| view.dtype = DType::F16),
    ];
    for device in devices() {
        // Within a larger storage, so that there is memory before and after it, both recorded and computed.
        let whole = Tensor::from_slice(&device, &[1.0f32; 64], &[8, 8]).unwrap();
        let x = whole.narrow(0, 2, 4).unwrap().narrow(1, 2, 4).unwrap();
        for _ in 0..2 {
            for outputs in beyond {
                refused(apply(Made { outputs, ..MADE }, &[&x]), "that its input");
            }
            refused(apply(Made { outputs: |_| vec![], ..MADE }, &[&x]), "0 outputs");
            refused(apply(Made { outputs: |inputs| vec![inputs[0]], ..MADE }, &[&x, &x]), "one input, not 2");
            // The second row, and nothing of the last one.
            let inner: Outputs = |inputs| {
                changed(inputs[0], |view| {
                    view.offset += 8;
                    view.shape = shape(&[3, 3]);
                })
            };
            let inner = apply(Made { outputs: inner, ..MADE }, &[&x]).unwrap().remove(0);
            if !device.is_reference() {
                assert_eq!(inner.add_scalar(1.0).unwrap().to_vec::<f32>().unwrap(), [2.0; 9]);
            }
            device.flush().unwrap();
        }
    }
}

#[test]
fn outputs_are_what_the_class_promises() {
    for device in devices() {
        let x = Tensor::ones(&device, &[4, 3]).unwrap();
        let kernel = Made { class: Class::Kernel, ..MADE };
        refused(apply(Made { outputs: |_| vec![], ..kernel.clone() }, &[&x]), "no outputs");
        let strided: fn(&[Layout]) -> Vec<Layout> = |inputs| changed(inputs[0], |output| output.shape = shape(&[2, 2]));
        refused(apply(Made { outputs: strided, ..kernel.clone() }, &[&x]), "must be contiguous");
        refused(
            apply(Made { outputs: |_| changed(plain(&[3]), |output| output.offset = 1), ..kernel }, &[&x]),
            "start at 0",
        );
        let pointwise = Made { class: Class::Pointwise(&SAME), ..MADE };
        refused(apply(Made { outputs: |_| vec![plain(&[400, 3])], ..pointwise.clone() }, &[&x]), "[400, 3]");
        refused(apply(Made { outputs: |_| vec![plain(&[4, 3]); 2], ..pointwise.clone() }, &[&x]), "2 outputs");
        let y = apply(pointwise, &[&x]).unwrap().remove(0);
        assert_eq!(y.to_vec::<f32>().unwrap(), [1.0; 12]);
        refused(apply(Made { class: Class::Leaf, ..MADE }, &[&x]), "a leaf");
        let at = |starts| Made { class: Class::Pack { starts }, outputs: |_| vec![plain(&[256])], ..MADE };
        let (a, b) = (Tensor::ones(&device, &[128]).unwrap(), Tensor::ones(&device, &[129]).unwrap());
        refused(apply(at(&[0, 128]), &[&a, &b]), "side by side");
        refused(apply(at(&[0, 128]), &[&b, &a]), "side by side");
        refused(apply(at(&[0, 128]), &[&a]), "side by side");
        refused(apply(at(&[0, 64]), &[&a, &a]), "side by side");
        refused(apply(at(&[0, usize::MAX - 127]), &[&a, &a]), "side by side");
    }
}

#[test]
fn references_return_what_the_shape_rule_says() {
    let x = Tensor::ones(&Device::reference(), &[4]).unwrap();
    let kernel = Made { class: Class::Kernel, ..MADE };
    type Reference = fn(&[HostTensor]) -> Vec<HostTensor>;
    let wrong: [Reference; 3] = [
        |_| vec![],
        |inputs| vec![HostTensor { values: vec![1.0], ..inputs[0].clone() }],
        |_| vec![HostTensor::new(shape(&[2]), DType::F32, vec![1.0; 2])],
    ];
    for reference in wrong {
        let y = apply(Made { reference, ..kernel.clone() }, &[&x]).unwrap().remove(0);
        refused(y.to_vec::<f32>().map(|_| Vec::new()), "its reference returned");
    }
}

#[test]
fn gradients_have_the_shape_and_type_of_what_they_are_gradients_of() {
    type Gradient = fn(&Tensor) -> Result<Vec<Option<Tensor>>>;
    let wrong: [(Gradient, &str); 4] = [
        (|_| Ok(vec![]), "0 gradients for 1 inputs"),
        (|g| Ok(vec![Some(g.clone()), None]), "2 gradients for 1 inputs"),
        (|g| Ok(vec![Some(g.sum(0)?)]), "a gradient of [] f32 for a value of [4] f32"),
        (|g| Ok(vec![Some(g.to_dtype(DType::I32)?)]), "a gradient of [4] i32 for a value of [4] f32"),
    ];
    for device in devices() {
        for (vjp, text) in wrong {
            let x = Tensor::ones(&device, &[4]).unwrap().requires_grad();
            let y = apply(Made { vjp, ..MADE }, &[&x]).unwrap().remove(0);
            refused(y.sum_all().unwrap().backward().map(|()| Vec::new()), text);
            assert!(x.grad().is_none());
        }
    }
}

/// An operation that records something when it is dropped, and holds a tensor.
#[derive(Debug)]
struct Holds(Tensor);

impl Drop for Holds {
    fn drop(&mut self) {
        let _ = self.0.add_scalar(1.0);
    }
}

impl Op for Holds {
    fn name(&self) -> &'static str {
        "holds"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::View
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(inputs.to_vec())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(inputs.to_vec())
    }
}

#[test]
fn an_operation_may_hold_a_tensor() {
    for device in devices() {
        let x = Tensor::ones(&device, &[4]).unwrap();
        let other = {
            let (device, x) = (device.clone(), x.clone());
            // Drops handles while the first thread looks through a long recording.
            std::thread::spawn(move || {
                for _ in 0..2000 {
                    let _ = apply(Holds(x.clone()), &[&x]).unwrap();
                }
                drop(device);
            })
        };
        let mut y = x.clone();
        for _ in 0..5000 {
            y = apply(Holds(x.clone()), &[&y]).unwrap().remove(0);
        }
        other.join().unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap(), [1.0; 4]);
    }
}

/// A kernel that reports what its workgroup memory held, and leaves ones there.
#[derive(Debug)]
struct Workgroup;

impl Op for Workgroup {
    fn name(&self) -> &'static str {
        "workgroup"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, DType::F32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let template = "
@group(0) @binding(0) var<storage, read_write> output: array<f32>;

var<workgroup> held: array<u32, 2048>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var sum = 0u;
    for (var i = lane; i < 2048u; i += 64u) {
        sum |= held[i];
        held[i] = 0xffffffffu;
    }
    output[id.x] = f32(sum);
}
";
        let groups = io.outputs[0].shape.numel() as u32 / 64;
        Ok(Kernel::new("workgroup", template).bind("output", Operand::Output(0)).grid([groups, 1, 1]).into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(vec![HostTensor::new(inputs[0].shape, DType::F32, vec![0.0; inputs[0].values.len()])])
    }
}

#[test]
fn workgroup_memory_begins_as_zeros() {
    for device in devices() {
        let x = Tensor::ones(&device, &[64 * 200]).unwrap();
        for _ in 0..3 {
            let held = apply(Workgroup, &[&x]).unwrap().remove(0).to_vec::<f32>().unwrap();
            assert!(held.iter().all(|&held| held == 0.0));
        }
    }
}

/// The gradient that a check finds wrong: input, element, slope, gradient.
fn found(checked: Result<()>) -> (usize, usize, f64, f64) {
    match checked.unwrap_err() {
        Error::WrongGradient { input, element, expected, got, .. } => (input, element, expected, got),
        other => panic!("{other}"),
    }
}

#[test]
fn wrong_gradients_are_found() {
    let options = GradcheckOptions::default();
    let device = Device::reference();
    let x = Tensor::from_slice(&device, &[0.5f32, -1.0, 0.0, 2.0], &[4]).unwrap();
    let index = Tensor::from_slice(&device, &[1i32, 2], &[2]).unwrap();
    type Function = fn(&[Tensor]) -> Result<Vec<Tensor>>;
    let right: [Function; 3] = [
        |x| Ok(vec![x[0].sin()?, (&x[0] * x[0].exp()?)?]),
        |x| Ok(vec![x[0].index_select(0, &x[1])?.square()?, x[1].clone()]),
        // No result depends on the input, and no slope either.
        |x| x[0].detach().zeros_like().map(|zeros| vec![zeros]),
    ];
    for function in right {
        gradcheck(function, &[x.clone(), index.clone()], &options).unwrap();
    }
    gradgradcheck(right[0], &[x.clone(), index.clone()], &options).unwrap();

    // A factor without its history: half the slope.
    let detached = |x: &[Tensor]| Ok(vec![(&x[1] * x[1].detach())?]);
    let (input, element, slope, gradient) = found(gradcheck(detached, &[index.clone(), x.clone()], &options));
    assert_eq!((input, element), (1, 0));
    assert!((slope - 2.0 * gradient).abs() < 1e-9 && slope != 0.0, "{slope} {gradient}");
    let (input, element, _, gradient) = found(gradgradcheck(detached, &[index.clone(), x.clone()], &options));
    assert_eq!((input, element, gradient), (1, 0, 0.0));

    // One part in a hundred too much, in one element, and NaN.
    let slightly = |factor: &'static [f32]| {
        move |x: &[Tensor]| {
            let scale = Tensor::from_slice(x[0].device(), factor, &[4])?;
            Ok(vec![(x[0].detach() + (&x[0] - x[0].detach())? * scale)?])
        }
    };
    let (input, element, slope, gradient) =
        found(gradcheck(slightly(&[1.0, 1.0, 1.01, 1.0]), std::slice::from_ref(&x), &options));
    assert_eq!((input, element), (0, 2));
    assert!((gradient / slope - 1.01).abs() < 1e-6, "{slope} {gradient}");
    let (.., slope, _) = found(gradcheck(slightly(&[1.0, f32::NAN, 1.0, 1.0]), std::slice::from_ref(&x), &options));
    assert!(slope.is_nan());

    let refused = |checked: Result<()>, part: &str| {
        let error = checked.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(part), "{error}");
    };
    refused(gradcheck(|x| Ok(x.to_vec()), &[index], &options), "none of the inputs");
    refused(gradcheck(|x| Ok(vec![x[0].sin()?]), &[x], &options.eps(0.0)), "does not move element 0 of input 0, 0.5");
}
