//! Options and sizes at their largest sensible values: kernels and strides as large as the input, dilations that reach across it,
//! a group a channel, rows of all elements. Neither the compiled code nor the work for one element may grow with such a number:
//! the first call, gradients and compiling included, returns soon, with the reference's results. `WGRAD_TEST_ALL=1` runs the
//! slower ones too.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/conformance/mod.rs"]
mod conformance;

mod convolutions;
mod indices;
mod layout;
mod losses;
mod modules;
mod products;
mod resampling;
mod rows;
mod sequences;
mod windows;

use common::{Random, adapter};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use wgrad::*;

/// Most time for the first call, without optimisations: by the clock, or processor time if other work on the machine prolongs
/// that.
const SOON: Duration = Duration::from_secs(10);

/// One call at a time, so that processor time is not shared.
static TURN: Mutex<()> = Mutex::new(());

type Run = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

/// One call with sizes of its inputs.
struct Extent {
    /// The operation, by PyTorch's name, and the large option.
    what: &'static str,
    inputs: Vec<Vec<usize>>,
    run: Run,
    /// Terms of the longest sum.
    terms: usize,
    /// Runs with `WGRAD_TEST_ALL=1` only.
    long: bool,
}

fn extent(
    what: &'static str,
    inputs: &[&[usize]],
    terms: usize,
    run: impl Fn(&[Tensor]) -> Result<Tensor> + 'static,
) -> Extent {
    let inputs = inputs.iter().map(|sizes| sizes.to_vec()).collect();
    Extent { what, inputs, run: Box::new(run), terms, long: false }
}

impl Extent {
    fn long(self) -> Extent {
        Extent { long: true, ..self }
    }

    /// The result, and the gradients of its weighted sum.
    fn compute(&self, device: &Device) -> Result<Vec<Vec<f32>>> {
        let mut random = Random(7);
        let mut tensor = |sizes: &[usize]| {
            let values: Vec<f32> = (0..sizes.iter().product()).map(|_| (2.0 * random.unit() - 1.0) as f32).collect();
            Tensor::from_slice(device, &values, sizes)
        };
        let inputs = self.inputs.iter().map(|sizes| Ok(tensor(sizes)?.requires_grad())).collect::<Result<Vec<_>>>()?;
        let output = (self.run)(&inputs)?;
        let cotangent = tensor(output.shape())?;
        let gradients = grad(&[&output], &inputs.iter().collect::<Vec<_>>(), &[&cotangent])?;
        [Some(output)].into_iter().chain(gradients).flatten().map(|tensor| tensor.to_vec::<f32>()).collect()
    }

    /// Its faults.
    fn fault(&self, device: &Device) -> Option<String> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, before) = (Instant::now(), processor_time());
        let results = match self.compute(device) {
            Ok(results) => results,
            Err(error) => return Some(format!("{}: {error}", self.what)),
        };
        let processor = processor_time().zip(before).map(|(after, before)| after - before);
        let took = processor.map_or(start.elapsed(), |processor| processor.min(start.elapsed()));
        drop(turn);
        if took > SOON {
            return Some(format!("{}: the first call took {took:.1?}", self.what));
        }
        let expected = self.compute(&Device::reference()).unwrap();
        for (number, (results, expected)) in results.iter().zip(&expected).enumerate() {
            let largest = expected.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
            let allowed = f32::EPSILON * (16 + self.terms) as f32 * largest;
            let differ = |(got, expected): (&f32, &f32)| (got - expected).abs() > allowed || got.is_nan();
            if let Some(at) = results.iter().zip(expected).position(differ) {
                let (got, expected) = (results[at], expected[at]);
                return Some(format!("{}, result {number}[{at}]: expected {expected}, got {got}", self.what));
            }
        }
        None
    }
}

fn check(extents: Vec<Extent>) {
    let Some(device) = adapter() else { return };
    let all = std::env::var("WGRAD_TEST_ALL").is_ok();
    let faults: Vec<String> =
        extents.iter().filter(|extent| all || !extent.long).filter_map(|extent| extent.fault(&device)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Processor time of this process, in hundredths of a second.
fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(10 * ticks))
}

fn all() -> Vec<Extent> {
    let rooms = [
        convolutions::extents(),
        indices::extents(),
        layout::extents(),
        losses::extents(),
        products::extents(),
        resampling::extents(),
        rows::extents(),
        sequences::extents(),
        windows::extents(),
    ];
    rooms.into_iter().flatten().collect()
}

/// Integers of a shape, each from its index.
fn integers(x: &Tensor, shape: &[usize], of: impl Fn(usize) -> usize) -> Result<Tensor> {
    let values: Vec<i32> = (0..shape.iter().product()).map(|at| of(at) as i32).collect();
    Tensor::from_slice(x.device(), &values, shape)
}

/// Operations for which no option, size of an operand or number of operands makes a kernel or a loop longer: they compute each
/// element by itself, read elements in another order, or are aliases.
const SMALL: &str = "
    zeros ones zeros_like ones_like full_like rand randn randint randperm rand_like randn_like randint_like bernoulli
    mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits sigmoid_focal_loss
    kl_div margin_ranking_loss hinge_embedding_loss soft_margin_loss poisson_nll_loss gaussian_nll_loss
    triplet_margin_with_distance_loss dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout
    box_area box_convert generalized_box_iou distance_box_iou complete_box_iou clip_boxes_to_image remove_small_boxes
    rnn_tanh_cell rnn_relu_cell gru_cell lstm_cell upsample upsample_nearest upsample_bilinear
    reshape view transpose t flatten unflatten squeeze unsqueeze global_avg_pool global_max_pool
";

/// Every operation has a row here, or is listed above, or is pointwise.
#[test]
fn every_operation_has_its_largest() {
    let extents = all();
    let rows: BTreeSet<&str> =
        extents.iter().filter_map(|extent| extent.what.split(',').next()).chain(["nms"]).collect();
    let small: BTreeSet<&str> = SMALL.split_whitespace().collect();
    let both: Vec<_> = rows.intersection(&small).collect();
    let missing: Vec<&str> = conformance::operations()
        .flat_map(|operation| operation.names.iter().copied())
        .filter(|name| !conformance::is_pointwise(name) && !rows.contains(name) && !small.contains(name))
        .collect();
    assert!(missing.is_empty() && both.is_empty(), "without a row: {missing:?}; with one all the same: {both:?}");
}
