//! Timing one workload, forward and backward, on the device, on the reference and with `gemm`.

use super::peaks::Peaks;
use super::workload::Workload;
use crate::common::report::Row;
use crate::common::timing::{Effort, Work, time_of};
use crate::suites::{Random, tensor, values};
use serde_json::json;
use std::time::Instant;
use wgrad::ops::case::Input;
use wgrad::{DType, Device, Result, Tensor, grad, no_grad};

/// A workload's tensors on a device.
struct Prepared<'a> {
    workload: &'a Workload,
    device: &'a Device,
    leaves: Vec<Tensor>,
    /// Outputs with a history, and the cotangent of each.
    outputs: Vec<Tensor>,
    cotangents: Vec<Tensor>,
}

impl<'a> Prepared<'a> {
    fn new(workload: &'a Workload, device: &'a Device, data: &[Vec<f64>]) -> Result<Prepared<'a>> {
        let leaf = |(input, values): (&Input, &Vec<f64>)| {
            let mut leaf = tensor(device, input, values);
            if input.dtype == DType::F16 {
                leaf = leaf.to_dtype(DType::F16)?.detach();
            }
            Ok(if workload.differentiable && input.dtype.is_float() { leaf.requires_grad() } else { leaf })
        };
        let leaves: Vec<Tensor> = workload.inputs.iter().zip(data).map(leaf).collect::<Result<_>>()?;
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

    fn run(&self, pass: Pass) -> Result<Vec<Tensor>> {
        match pass {
            Pass::Forward => self.forward(),
            Pass::Backward => self.backward(),
        }
    }

    fn cost(&self, pass: Pass) -> Result<Cost> {
        let before = self.device.stats().dispatches;
        let results = self.run(pass)?;
        let dispatches = self.device.stats().dispatches - before;
        let fed: &[Tensor] = if pass == Pass::Backward { &self.cotangents } else { &[] };
        let bytes = self.leaves.iter().chain(fed).chain(&results).map(|tensor| tensor.layout().bytes()).sum();
        let (computed, factor) = match pass {
            Pass::Forward => (&results, 1.0),
            Pass::Backward => (&self.outputs, self.workload.backward_flops),
        };
        let elements: usize = computed.iter().map(Tensor::numel).sum();
        let flops = self.workload.flops.map(|flops| factor * (flops * elements) as f64);
        Ok(Cost { pass, dispatches, bytes, flops })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Forward,
    Backward,
}

/// A row for the forward pass, and one for the backward pass if it has kernels.
pub fn measure(
    workload: &Workload,
    device: &Device,
    peaks: &Peaks,
    effort: Effort,
    reference: Option<&Device>,
) -> Result<Vec<Row>> {
    let mut random = Random(7);
    let data: Vec<Vec<f64>> = workload.inputs.iter().map(|input| values(input, &mut random)).collect();
    let ours = &Prepared::new(workload, device, &data)?;
    let mut costs = vec![ours.cost(Pass::Forward)?];
    if !ours.outputs.is_empty() {
        costs.extend(Some(ours.cost(Pass::Backward)?).filter(|cost| cost.dispatches > 0));
    }
    let mut product = workload.product.map(Product::new);
    let timed = |cost: &Cost| {
        let pass = cost.pass;
        Work::on(device, move || ours.run(pass).map(drop))
    };
    let mut works: Vec<Work> = costs.iter().map(timed).collect();
    works.extend(product.as_mut().map(|product| Work::here(|| product.run())));
    let seconds = time_of(&mut works, effort)?;
    let mut rows: Vec<Row> =
        costs.iter().zip(&seconds).map(|(cost, &seconds)| cost.row(workload, seconds, peaks)).collect();
    if let Some(gemm) = seconds.get(costs.len()) {
        rows[0].insert("gemm_ratio".to_string(), (gemm / seconds[0]).into());
    }
    if let Some(reference) = reference {
        let theirs = Prepared::new(workload, reference, &data)?;
        for ((cost, seconds), row) in costs.iter().zip(&seconds).zip(&mut rows) {
            let start = Instant::now();
            theirs.run(cost.pass)?;
            row.insert("reference_ratio".to_string(), (start.elapsed().as_secs_f64() / seconds).into());
        }
    }
    Ok(rows)
}

/// The cost of a pass, for any implementation.
struct Cost {
    pass: Pass,
    dispatches: u64,
    /// Least traffic: every input is read once, every output written once.
    bytes: usize,
    flops: Option<f64>,
}

impl Cost {
    /// Rates, and the time at the adapter's limits as a fraction of the measured time; none for a view, which takes no time.
    fn row(&self, workload: &Workload, seconds: f64, peaks: &Peaks) -> Row {
        let (gigabytes, gigaflops) = (self.bytes as f64 / 1e9, self.flops.map(|flops| flops / 1e9));
        let least = (gigabytes / peaks.gbps).max(gigaflops.unwrap_or(0.0) / peaks.gflops);
        let worked = |value: f64| Some(value).filter(|_| self.dispatches > 0);
        let row = json!({
            "name": workload.name,
            "op": workload.op,
            "pass": if self.pass == Pass::Forward { "forward" } else { "backward" },
            "ms": seconds * 1e3,
            "gflops": gigaflops.and_then(|gigaflops| worked(gigaflops / seconds)),
            "gbps": worked(gigabytes / seconds),
            "share": worked(least / seconds),
            "intensity": gigaflops.and_then(|gigaflops| worked(gigaflops / gigabytes)),
            "dispatches": self.dispatches,
        });
        row.as_object().cloned().unwrap_or_default()
    }
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
