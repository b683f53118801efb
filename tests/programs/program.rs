//! A random program: leaves, then steps that each apply a row of the vocabulary to what is there already.

use crate::common::Random;
use crate::vocabulary::ROWS;
use std::fmt;
use wgrad::{Device, Result, Tensor};

/// The shapes that leaves have.
const SHAPES: [&[usize]; 7] = [&[2, 4, 4, 3], &[2, 4, 2, 3], &[3, 4], &[4, 4], &[2, 3, 4], &[4], &[1, 4, 3, 3]];

/// A number that says which row, which tensors and which small numbers a step takes. Any number means something, so
/// that a failing program stays a program while it is shrunk.
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

/// What a program came to on a device: the values that nothing used, and the leaves' gradients.
pub struct Outcome {
    pub names: Vec<String>,
    pub values: Vec<Vec<f64>>,
}

/// A step that found tensors it takes: their places among the values.
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

/// Rounding, imitated: every value is off by up to 16 of f32's epsilons. What that does to a result says how much
/// rounding may do to it.
struct Shake(Random);

impl Shake {
    fn apply(&mut self, value: &Tensor) -> Result<Tensor> {
        let noise = random_tensor(&mut self.0, value.device(), value.shape())?;
        value.mul(&noise.mul_scalar(16.0 * f32::EPSILON)?.add_scalar(1.0)?)
    }
}

impl Program {
    fn leaf_shapes(&self) -> Vec<&'static [usize]> {
        self.leaves.iter().map(|&leaf| SHAPES[leaf as usize % SHAPES.len()]).collect()
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

    /// Records the program: its leaves, all its values, and the lines that were no misfits.
    fn record(&self, device: &Device, mut shake: Option<Shake>) -> Result<(Vec<Tensor>, Vec<Tensor>, Vec<Line>)> {
        let mut random = Random(self.seed);
        let mut leaves = Vec::new();
        for shape in self.leaf_shapes() {
            leaves.push(random_tensor(&mut random, device, shape)?.requires_grad());
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
            let value = (ROWS[line.row].run)(&operands, line.numbers[0], line.numbers[1])?;
            values.push(match &mut shake {
                Some(shake) => shake.apply(&value)?,
                None => value,
            });
            lines.push(line);
        }
        Ok((leaves, values, lines))
    }

    /// Runs it forward and backward.
    pub fn run(&self, device: &Device) -> Result<Outcome> {
        self.outcome(device, None)
    }

    /// Runs it with rounding errors put in.
    pub fn run_shaken(&self, device: &Device, seed: u64) -> Result<Outcome> {
        self.outcome(device, Some(Shake(Random(seed))))
    }

    fn outcome(&self, device: &Device, shake: Option<Shake>) -> Result<Outcome> {
        let (leaves, values, lines) = self.record(device, shake)?;
        let used: Vec<usize> = lines.iter().flat_map(|line| line.operands.clone()).collect();
        let results: Vec<usize> = (0..values.len()).filter(|value| !used.contains(value)).collect();
        let outputs: Vec<&Tensor> = results.iter().map(|&value| &values[value]).collect();
        let tracked: Vec<&Tensor> = outputs.iter().copied().filter(|output| output.is_tracked()).collect();
        let mut random = Random(!self.seed);
        let cotangents = tracked
            .iter()
            .map(|output| random_tensor(&mut random, device, output.shape()))
            .collect::<Result<Vec<_>>>()?;
        let wanted: Vec<&Tensor> = leaves.iter().collect();
        let gradients = wgrad::grad(&tracked, &wanted, &cotangents.iter().collect::<Vec<_>>())?;
        let mut outcome = Outcome { names: Vec::new(), values: Vec::new() };
        for (leaf, gradient) in gradients.iter().enumerate() {
            if let Some(gradient) = gradient {
                outcome.names.push(format!("gradient of t{leaf}"));
                outcome.values.push(gradient.to_f64()?);
            }
        }
        for (&value, output) in results.iter().zip(&outputs) {
            outcome.names.push(format!("t{value}"));
            outcome.values.push(output.to_f64()?);
        }
        Ok(outcome)
    }
}

/// The program as Rust.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n// leaves: random values between -1 and 1, seed {:#x}", self.seed)?;
        let shapes = self.leaf_shapes();
        for (leaf, shape) in shapes.iter().enumerate() {
            writeln!(f, "let t{leaf} = Tensor::uniform(&device, &{shape:?}, -1.0, 1.0)?.requires_grad();")?;
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
            let value = shapes.len() + at;
            writeln!(f, "let t{value} = {{ let ({names}, a, b) = ({}, {a}, {b}); {code} }}?;", tensors.join(", "))?;
        }
        Ok(())
    }
}
