//! Timing one workload, forward and backward, on the device, on the reference and with `gemm`.

use super::peaks::Peaks;
use super::workload::Workload;
use crate::common::report::Row;
use crate::common::timing::{Effort, Work, time_of};
use crate::suites::{Random, tensor, values};
use std::time::Instant;
use wgrad::{Device, Result, Tensor, grad, no_grad};

/// A workload's tensors on a device.
struct Prepared<'a> {
    workload: &'a Workload,
    device: &'a Device,
    leaves: Vec<Tensor>,
    /// Outputs with a history, and what is fed into each.
    outputs: Vec<Tensor>,
    cotangents: Vec<Tensor>,
}

impl<'a> Prepared<'a> {
    fn new(workload: &'a Workload, device: &'a Device, data: &[Vec<f64>]) -> Result<Prepared<'a>> {
        let leaf = |(input, values): (_, &Vec<f64>)| {
            let leaf = tensor(device, input, values);
            if workload.differentiable && input.dtype.is_float() { leaf.requires_grad() } else { leaf }
        };
        let leaves: Vec<Tensor> = workload.inputs.iter().zip(data).map(leaf).collect();
        let mut outputs = Vec::new();
        if workload.differentiable {
            outputs = (workload.run)(&leaves)?.into_iter().filter(Tensor::is_tracked).collect();
        }
        let cotangents = outputs.iter().map(|output| output.rand_like()).collect::<Result<_>>()?;
        device.sync()?;
        Ok(Prepared { workload, device, leaves, outputs, cotangents })
    }

    fn forward(&self) -> Result<Vec<Tensor>> {
        let results = no_grad(|| (self.workload.run)(&self.leaves))?;
        self.device.flush()?;
        Ok(results)
    }

    fn backward(&self) -> Result<Vec<Tensor>> {
        let wanted: Vec<&Tensor> = self.leaves.iter().filter(|leaf| leaf.is_tracked()).collect();
        let (outputs, cotangents): (Vec<_>, Vec<_>) = self.outputs.iter().zip(&self.cotangents).unzip();
        let gradients = no_grad(|| grad(&outputs, &wanted, &cotangents))?;
        self.device.flush()?;
        Ok(gradients.into_iter().flatten().collect())
    }

    /// The passes there are.
    fn passes(&self) -> Vec<Pass> {
        if self.outputs.is_empty() { vec![Pass::Forward] } else { vec![Pass::Forward, Pass::Backward] }
    }

    fn run(&self, pass: Pass) -> Result<Vec<Tensor>> {
        match pass {
            Pass::Forward => self.forward(),
            Pass::Backward => self.backward(),
        }
    }

    /// Bytes that a pass moves at least: everything that goes in read once, everything that comes out written once.
    fn bytes(&self, pass: Pass) -> Result<usize> {
        let fed: &[Tensor] = if pass == Pass::Backward { &self.cotangents } else { &[] };
        let results = self.run(pass)?;
        Ok(self.leaves.iter().chain(fed).chain(&results).map(|tensor| tensor.layout().bytes()).sum())
    }

    /// Kernels that a pass runs.
    fn dispatches(&self, pass: Pass) -> Result<u64> {
        let before = self.device.stats().dispatches;
        self.run(pass)?;
        Ok(self.device.stats().dispatches - before)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Forward,
    Backward,
}

/// A row for the forward pass, and one for the backward pass where it has kernels.
pub fn measure(
    workload: &Workload,
    device: &Device,
    peaks: &Peaks,
    effort: Effort,
    reference: Option<&Device>,
) -> Result<Vec<Row>> {
    let mut random = Random(7);
    let data: Vec<Vec<f64>> = workload.inputs.iter().map(|input| values(input, &mut random)).collect();
    let ours = Prepared::new(workload, device, &data)?;
    let mut passes = Vec::new();
    for pass in ours.passes() {
        let dispatches = ours.dispatches(pass)?;
        if pass == Pass::Forward || dispatches > 0 {
            passes.push((pass, dispatches));
        }
    }
    let mut product = workload.product.map(Product::new);
    let timed = |&(pass, _): &(Pass, u64)| {
        let ours = &ours;
        Work::on(device, move || ours.run(pass).map(drop))
    };
    let mut works: Vec<Work> = passes.iter().map(timed).collect();
    works.extend(product.as_mut().map(|product| Work::here(|| product.run())));
    let seconds = time_of(&mut works, effort)?;
    drop(works);
    let results: usize = ours.forward()?.iter().map(Tensor::numel).sum();
    let theirs = reference.map(|reference| Prepared::new(workload, reference, &data)).transpose()?;
    let mut rows = Vec::new();
    for (&(pass, dispatches), &seconds) in passes.iter().zip(&seconds) {
        let gigabytes = ours.bytes(pass)? as f64 / 1e9;
        let share = if pass == Pass::Forward { 1.0 } else { workload.backward_flops };
        let gigaflops = workload.flops.map(|flops| share * (flops * results) as f64 / 1e9);
        let least = (gigabytes / peaks.gbps).max(gigaflops.unwrap_or(0.0) / peaks.gflops);
        let mut row = Row::new();
        let mut set = |key: &str, value: serde_json::Value| row.insert(key.to_string(), value);
        set("name", workload.name.clone().into());
        set("op", workload.op.into());
        set("pass", if pass == Pass::Forward { "forward" } else { "backward" }.into());
        set("ms", (seconds * 1e3).into());
        if dispatches > 0 {
            set("gflops", gigaflops.map(|flops| flops / seconds).into());
            set("gbps", (gigabytes / seconds).into());
            set("share", (least / seconds).into());
            set("intensity", gigaflops.map(|flops| flops / gigabytes).into());
        }
        set("dispatches", dispatches.into());
        if let Some(theirs) = &theirs {
            let start = Instant::now();
            theirs.run(pass)?;
            set("reference_ratio", (start.elapsed().as_secs_f64() / seconds).into());
        }
        rows.push(row);
    }
    if product.is_some() {
        let gemm = seconds[passes.len()];
        rows[0].insert("gemm_ratio".to_string(), (gemm / seconds[0]).into());
    }
    Ok(rows)
}

/// A matrix product on the CPU, by the `gemm` crate on all cores.
struct Product {
    sizes: [usize; 3],
    left: Vec<f32>,
    right: Vec<f32>,
    output: Vec<f32>,
}

impl Product {
    fn new(sizes: [usize; 3]) -> Product {
        let [rows, columns, terms] = sizes;
        let mut random = Random(8);
        let mut matrix = |count: usize| (0..count).map(|_| random.unit() as f32).collect();
        let (left, right) = (matrix(rows * terms), matrix(terms * columns));
        Product { sizes, left, right, output: vec![0.0; rows * columns] }
    }

    fn run(&mut self) {
        let [rows, columns, terms] = self.sizes;
        let stride = |size: usize| size as isize;
        // SAFETY: the three buffers have the sizes that rows, columns, terms and the strides of row-major matrices say.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                terms,
                self.output.as_mut_ptr(),
                1,
                stride(columns),
                false,
                self.left.as_ptr(),
                1,
                stride(terms),
                self.right.as_ptr(),
                1,
                stride(columns),
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::Rayon(0),
            );
        }
    }
}
