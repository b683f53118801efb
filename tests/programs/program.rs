//! A random program: leaves, then steps that each apply a row of the vocabulary to existing values.

use crate::common::Random;
use crate::vocabulary::ROWS;
use std::fmt;
use wgrad::{DType, Device, Result, Tensor};

/// The shapes that leaves have: few, so that programs share kernels.
const SHAPES: [&[usize]; 6] = [&[2, 4, 4, 3], &[2, 4, 2, 3], &[3, 4], &[4, 4], &[2, 3, 4], &[4]];

/// The contents of leaves: data, or a constant, which the planner inlines into kernels. One of each kind for each of the other.
const CONSTANTS: [Option<f32>; 8] = [None, Some(0.0), None, Some(1.0), None, Some(0.375), None, Some(-0.75)];

/// A number that selects the row, the tensors and the small numbers of a step. Any number is valid, so that a failing program
/// stays a program while it is shrunk.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub row: u16,
    pub picks: [u8; 3],
    pub numbers: [u8; 2],
}

/// Leaves and steps, as drawn.
#[derive(Clone)]
pub struct Program {
    pub leaves: Vec<u8>,
    pub steps: Vec<Step>,
    pub seed: u64,
}

/// A program's results on a device: the values that nothing used, and the leaves' gradients.
pub struct Outcome {
    pub names: Vec<String>,
    pub values: Vec<Vec<f64>>,
}

/// A step with matching tensors: their indices among the values.
struct Line {
    row: usize,
    operands: Vec<usize>,
    numbers: [usize; 2],
}

/// Values between -1 and 1, in f32's precision.
fn random_tensor(random: &mut Random, device: &Device, shape: &[usize]) -> Result<Tensor> {
    let mut unit = || f64::from((2.0 * random.unit() - 1.0) as f32);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| unit()).collect();
    Tensor::from_f64(device, &values, shape)
}

/// Imitates rounding: every value is off by a little. The effect on a result bounds the effect of rounding.
pub struct Shake {
    pub seed: u64,
    /// True if zeros and equal values are separated, as when a sum that should cancel does not. Otherwise equal values stay
    /// equal, as if they were computed alike.
    pub apart: bool,
}

impl Shake {
    fn apply(&mut self, value: &Tensor) -> Result<Tensor> {
        let exact = value.to_f64()?;
        self.seed = self.seed.wrapping_add(1);
        let scale = exact.iter().filter(|x| x.is_finite()).fold(1.0f64, |scale, x| scale.max(x.abs()));
        let size = roundings(value.dtype());
        let noise = exact.iter().enumerate().map(|(at, x)| {
            let of = if self.apart { at as u64 } else { x.to_bits() };
            size * (2.0 * Random(of ^ self.seed.wrapping_mul(0x9E37_79B9)).unit() - 1.0)
        });
        let noise: Vec<f64> =
            if self.apart { noise.map(|n| n * scale).collect() } else { noise.map(|n| 1.0 + n).collect() };
        let noise = Tensor::from_f64(value.device(), &noise, value.shape())?;
        let wide = value.to_dtype(DType::F32)?;
        if self.apart { wide.add(&noise) } else { wide.mul(&noise) }?.to_dtype(value.dtype())
    }
}

/// The error that a value may have after a call: some roundings of f32, or one of f16 either way.
pub fn roundings(dtype: DType) -> f64 {
    if dtype == DType::F16 { 1.0 / 1024.0 } else { 16.0 * f64::from(f32::EPSILON) }
}

impl Program {
    /// Shape and constant of each leaf.
    fn leaves(&self) -> impl Iterator<Item = (&'static [usize], Option<f32>)> {
        let of = |&leaf: &u8| (SHAPES[leaf as usize % SHAPES.len()], CONSTANTS[leaf as usize / SHAPES.len() % 8]);
        self.leaves.iter().map(of)
    }

    /// A random choice of the program's, the same each time.
    pub fn draws(&self, choice: u32) -> bool {
        self.seed >> choice & 1 == 1
    }

    /// The type that its tensors have.
    pub fn dtype(&self) -> DType {
        if self.draws(0) { DType::F16 } else { DType::F32 }
    }

    /// The first tensors at or after the picked ones that the step's row takes.
    fn line(step: &Step, values: &[Tensor]) -> Option<Line> {
        let row = step.row as usize % ROWS.len();
        let numbers = step.numbers.map(|n| n as usize % 16);
        let count = values.len();
        let arity = ROWS[row].operands.len();
        let at = |operand: usize, turn: usize| (step.picks[operand] as usize + turn) % count;
        (0..count.pow(arity as u32)).find_map(|turn| {
            let operands: Vec<usize> = (0..arity).map(|o| at(o, turn / count.pow(o as u32) % count)).collect();
            let tensors: Vec<&Tensor> = operands.iter().map(|&o| &values[o]).collect();
            (ROWS[row].fits)(&tensors, numbers[0], numbers[1]).then_some(Line { row, operands, numbers })
        })
    }

    /// Records the program: its leaves, all its values, and the lines that matched.
    fn record(&self, device: &Device, mut shake: Option<Shake>) -> Result<(Vec<Tensor>, Vec<Tensor>, Vec<Line>)> {
        let mut random = Random(self.seed);
        let mut leaves = Vec::new();
        for (shape, constant) in self.leaves() {
            let leaf = match constant {
                Some(value) => Tensor::full(device, shape, value)?,
                None => random_tensor(&mut random, device, shape)?,
            };
            leaves.push(leaf.to_dtype(self.dtype())?.detach().requires_grad());
        }
        let mut values = Vec::new();
        for leaf in &leaves {
            values.push(match &mut shake {
                Some(shake) => shake.apply(leaf)?,
                None => leaf.clone(),
            });
        }
        let mut lines = Vec::new();
        for step in &self.steps {
            let Some(line) = Program::line(step, &values) else { continue };
            let operands: Vec<&Tensor> = line.operands.iter().map(|&o| &values[o]).collect();
            // Some rows turn everything into f32.
            let value = (ROWS[line.row].run)(&operands, line.numbers[0], line.numbers[1])?.to_dtype(self.dtype())?;
            values.push(match &mut shake {
                Some(shake) => shake.apply(&value)?,
                None => value,
            });
            lines.push(line);
        }
        Ok((leaves, values, lines))
    }

    /// Runs it forward and backward, with rounding errors put in where it is shaken.
    pub fn run(&self, device: &Device, shake: Option<Shake>) -> Result<Outcome> {
        let (leaves, mut values, lines) = self.record(device, shake)?;
        let used: Vec<usize> = lines.iter().flat_map(|line| line.operands.clone()).collect();
        let results: Vec<usize> = (0..values.len()).filter(|value| !used.contains(value)).collect();
        let tracked: Vec<&Tensor> =
            results.iter().map(|&value| &values[value]).filter(|output| output.is_tracked()).collect();
        let mut random = Random(!self.seed);
        let cotangents = tracked
            .iter()
            .map(|output| match self.draws(1) {
                true => output.ones_like(),
                false => random_tensor(&mut random, device, output.shape())?.to_dtype(output.dtype()),
            })
            .collect::<Result<Vec<_>>>()?;
        let wanted: Vec<&Tensor> = leaves.iter().collect();
        let gradients = wgrad::grad(&tracked, &wanted, &cotangents.iter().collect::<Vec<_>>())?;
        // Intermediate values are not held, so that they may stay in registers and be overwritten.
        let mut kept: Vec<(String, Tensor)> = Vec::new();
        for (leaf, gradient) in gradients.into_iter().enumerate() {
            kept.extend(gradient.map(|gradient| (format!("gradient of t{leaf}"), gradient)));
        }
        kept.extend(results.iter().map(|&value| (format!("t{value}"), values[value].detach())));
        values.clear();
        drop(leaves);
        let mut outcome = Outcome { names: Vec::new(), values: Vec::new() };
        for (name, value) in kept {
            outcome.names.push(name);
            outcome.values.push(value.to_f64()?);
        }
        Ok(outcome)
    }
}

/// The program as Rust.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = self.dtype();
        writeln!(f, "\n// leaves: random values between -1 and 1, seed {:#x}", self.seed)?;
        for (leaf, (shape, constant)) in self.leaves().enumerate() {
            let value = match constant {
                Some(value) => format!("Tensor::full(&device, &{shape:?}, {value:?}f32)?"),
                None => format!("Tensor::uniform(&device, &{shape:?}, -1.0, 1.0)?"),
            };
            writeln!(f, "let t{leaf} = {value}.to_dtype(DType::{dtype:?})?.detach().requires_grad();")?;
        }
        let Ok((_, _, lines)) = self.record(&Device::reference(), None) else {
            return writeln!(f, "// recording it is an error; the steps are {:?}", self.steps);
        };
        for (at, line) in lines.iter().enumerate() {
            let row = &ROWS[line.row];
            let names = row.operands.join(", ");
            let tensors: Vec<String> = line.operands.iter().map(|o| format!("&t{o}")).collect();
            let [a, b] = line.numbers;
            let code = row.code.split_whitespace().collect::<Vec<_>>().join(" ");
            let (value, tensors) = (self.leaves.len() + at, tensors.join(", "));
            let made = format!("{{ let ({names}, a, b) = ({tensors}, {a}, {b}); {code} }}?");
            writeln!(f, "let t{value} = {made}.to_dtype(DType::{dtype:?})?;")?;
        }
        Ok(())
    }
}
