//! Cases of metrics: `metrics.NAME`, by torchmetrics' functional names.

mod boxes;
mod classification;
mod curves;
mod numbers;
mod pixels;
mod probabilities;

use super::attributes::Attributes;
use super::{Case, Refusal, Values};
use wgrad::{DType, Device, Tensor};

/// The results, if it is a case of metrics.
pub(super) fn run(case: &Case, device: &Device) -> Option<Result<Vec<Values>, Refusal>> {
    let name = case.op.strip_prefix("metrics.")?;
    let call = Call { name, attributes: Attributes::new(&case.attrs), case, device };
    let unknown = || Err(Refusal::Unsupported(format!("operation {}", case.op)));
    Some(call.answers().unwrap_or_else(unknown).and_then(|answers| {
        call.attributes.finish()?;
        Ok(answers.into_iter().enumerate().map(|(at, answer)| call.values(at, answer)).collect())
    }))
}

/// A metric's answer: a number, or several in row-major order.
struct Answer {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Answer {
    fn number(value: f64) -> Answer {
        Answer { shape: Vec::new(), values: vec![value] }
    }

    fn list(values: Vec<f64>) -> Answer {
        Answer { shape: vec![values.len()], values }
    }
}

type Answers = Result<Vec<Answer>, Refusal>;

/// A metric's call: its name without `metrics.`, its attributes and its tensors.
struct Call<'a> {
    name: &'a str,
    attributes: Attributes<'a>,
    case: &'a Case,
    device: &'a Device,
}

impl Call<'_> {
    /// The answers of the module that knows the name.
    fn answers(&self) -> Option<Answers> {
        let rooms = [classification::run, curves::run, probabilities::run, numbers::run, boxes::run, pixels::run];
        rooms.iter().find_map(|run| run(self))
    }

    fn tensor(&self, name: &str) -> Result<Tensor, Refusal> {
        let found = self.case.args.iter().find(|(arg, _)| arg == name);
        let (_, values) = found.ok_or_else(|| Refusal::Argument(format!("{}: no {name} given", self.name)))?;
        // Bytes are class numbers as well as truth values.
        let dtype = if values.dtype == DType::Bool { DType::I32 } else { values.dtype };
        Ok(Values { dtype, ..values.clone() }.tensor(self.device)?)
    }

    /// The answer in the type of the expected result: on the host, numbers are numbers.
    fn values(&self, at: usize, Answer { shape, values }: Answer) -> Values {
        let dtype = self.case.outputs.get(at).map_or(DType::F32, |expected| expected.dtype);
        Values { shape, dtype, values }
    }
}
