//! A table of a network's layers.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, no_grad, tracing, with_trace};
use crate::nn::receptive_field::Fields;
use crate::nn::{Layer, Module, Probe, ReceptiveField};
use crate::shape::Shape;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// A table of a module's layers, as they run for one input; see [`Module::summary`]. Its `Display` prints torchinfo's table, with
/// a column of sparsities if weights are pruned.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// The layers in the order in which they run, each before those within it; the first is the module.
    pub rows: Vec<Row>,
    /// Numbers in parameters that are trained.
    pub trained_parameters: usize,
    /// Numbers in frozen parameters.
    pub frozen_parameters: usize,
    /// The number of parameters that masks have pruned.
    pub pruned_parameters: usize,
    /// Bytes of all parameters, without running statistics.
    pub parameter_bytes: usize,
    /// Multiply-adds of convolutions and products of matrices, as papers count them: without biases, norms and activations.
    pub multiply_adds: u64,
    /// Bytes of the input.
    pub input_bytes: usize,
    /// Bytes of a training step's activations, by torchinfo's estimate: the outputs of layers with parameters, and their
    /// gradients.
    pub activation_bytes: usize,
}

/// A layer that ran.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The dotted name, empty for the module itself.
    pub name: String,
    /// Its type.
    pub type_name: String,
    /// The number of modules it is in.
    pub depth: usize,
    /// Shape of its input.
    pub input: Shape,
    /// Shape of its output.
    pub output: Shape,
    /// Bytes of its output.
    pub output_bytes: usize,
    /// Numbers in its own trained parameters, without those of inner layers and of earlier rows.
    pub trained_parameters: usize,
    /// Numbers in its own frozen parameters.
    pub frozen_parameters: usize,
    /// The number of either that masks have pruned.
    pub pruned_parameters: usize,
    /// True if all its own parameters are an earlier row's: it ran before, or its weights are tied.
    pub is_repeated: bool,
    /// Its own multiply-adds, without those of inner layers.
    pub multiply_adds: u64,
    /// The part of the module's input that one of its outputs depends on, if positions can be told apart.
    pub receptive_field: Option<ReceptiveField>,
    /// True if layers ran within it.
    pub has_children: bool,
}

impl Summary {
    /// The table for an input; only its shape and type matter.
    ///
    /// # Errors
    /// As [`Module::summary`].
    pub fn new(module: &dyn Module, input: &Tensor) -> Result<Summary> {
        let parameters: Vec<Parameter> = module.parameters().into_iter().filter(|p| !p.is_buffer()).collect();
        let pruned = |p: &Parameter| Ok((p.name().to_string(), p.pruned()?));
        let pruned = parameters.iter().map(pruned).collect::<Result<HashMap<_, _>>>()?;
        let pruned_parameters = pruned.values().sum();
        let (rows, running, met, fields) = (Vec::new(), Vec::new(), HashSet::new(), Fields::new(input));
        let mut watch = Watch { rows, running, met, pruned, fields };
        tracing(|| no_grad(|| module.forward_with(input, &mut watch)))?;
        let rows = watch.rows;
        let weighted = |row: &Row| row.trained_parameters + row.frozen_parameters > 0 || row.is_repeated;
        let outputs = rows.iter().filter(|row| !row.has_children && weighted(row)).map(|row| row.output_bytes);
        Ok(Summary {
            trained_parameters: numbers(&parameters, true),
            frozen_parameters: numbers(&parameters, false),
            pruned_parameters,
            parameter_bytes: parameters
                .iter()
                .map(|p| p.holds())
                .map(|(shape, dtype, _)| shape.numel() * dtype.size())
                .sum(),
            multiply_adds: rows.iter().map(|row| row.multiply_adds).sum(),
            input_bytes: input.numel() * input.dtype().size(),
            activation_bytes: 2 * outputs.sum::<usize>(),
            rows,
        })
    }
}

/// Numbers in the parameters that are trained, or in those that are not.
fn numbers(parameters: &[Parameter], trained: bool) -> usize {
    parameters.iter().filter(|p| p.requires_grad() == trained).map(|p| p.holds().0.numel()).sum()
}

/// An input of zeros for a module, on the device of its parameters.
pub(super) fn zeros(module: &dyn Module, shape: &[usize]) -> Result<Tensor> {
    let rule = "the module has no parameters that tell its device; Summary::new takes a tensor";
    let parameter = module.parameters().into_iter().next().ok_or_else(|| Error::invalid("summary", rule))?;
    Tensor::zeros(&parameter.holds().2, shape)
}

pub(super) fn of_shape(module: &dyn Module, input: &[usize]) -> Result<Summary> {
    Summary::new(module, &zeros(module, input)?)
}

/// A layer that has not ended.
struct Running {
    row: usize,
    /// Multiply-adds before it began.
    before: u64,
    /// Multiply-adds of the layers within it that have ended.
    within: u64,
}

/// The probe that writes the rows.
struct Watch {
    rows: Vec<Row>,
    running: Vec<Running>,
    met: HashSet<String>,
    /// Pruned numbers by the parameters' names.
    pruned: HashMap<String, usize>,
    fields: Fields,
}

impl Probe for Watch {
    fn enter(&mut self, layer: &Layer<'_>, input: &Tensor) -> Result<()> {
        let own: Vec<Parameter> = layer.module.own_parameters().into_iter().filter(|p| !p.is_buffer()).collect();
        let fresh: Vec<Parameter> = own.iter().filter(|p| self.met.insert(p.name().to_string())).cloned().collect();
        if let Some(outer) = self.running.last() {
            self.rows[outer.row].has_children = true;
        }
        let before = with_trace(|trace| trace.multiply_adds);
        self.running.push(Running { row: self.rows.len(), before, within: 0 });
        self.rows.push(Row {
            name: layer.name.to_string(),
            type_name: layer.module.type_name(),
            depth: layer.depth,
            input: *input.shape(),
            output: *input.shape(),
            output_bytes: 0,
            trained_parameters: numbers(&fresh, true),
            frozen_parameters: numbers(&fresh, false),
            pruned_parameters: fresh.iter().filter_map(|p| self.pruned.get(p.name())).sum(),
            is_repeated: !own.is_empty() && fresh.is_empty(),
            multiply_adds: 0,
            receptive_field: None,
            has_children: false,
        });
        Ok(())
    }

    fn leave(&mut self, _: &Layer<'_>, _: &Tensor, output: &Tensor) -> Result<Option<Tensor>> {
        let Some(Running { row, before, within }) = self.running.pop() else { return Ok(None) };
        let all = with_trace(|trace| trace.multiply_adds) - before;
        if let Some(outer) = self.running.last_mut() {
            outer.within += all;
        }
        let row = &mut self.rows[row];
        row.multiply_adds = all - within;
        row.output = *output.shape();
        row.output_bytes = output.numel() * output.dtype().size();
        row.receptive_field = self.fields.of(output);
        Ok(None)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells: Vec<[String; 6]> = self.rows.iter().enumerate().map(|(at, row)| self.cells(at, row)).collect();
        let titles =
            ["Layer (type (name):depth-idx)", "Output Shape", "Param #", "Mult-Adds", "Receptive field", "Sparsity"];
        let columns = if self.pruned_parameters > 0 { 6 } else { 5 };
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(|column| width(column).max(titles[column].len()) + 2).collect();
        let rule = "=".repeat(widths.iter().sum());
        let mut line = |cells: [&str; 6]| -> fmt::Result {
            let row: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(f, "{}", row.concat().trim_end())
        };
        line([&rule, "", "", "", "", ""])?;
        line(titles)?;
        line([&rule, "", "", "", "", ""])?;
        cells.iter().try_for_each(|row| line(row.each_ref().map(String::as_str)))?;
        writeln!(f, "{rule}")?;
        writeln!(f, "Total params: {}", grouped(self.trained_parameters + self.frozen_parameters))?;
        writeln!(f, "Trainable params: {}", grouped(self.trained_parameters))?;
        writeln!(f, "Non-trainable params: {}", grouped(self.frozen_parameters))?;
        if self.pruned_parameters > 0 {
            let total = self.trained_parameters + self.frozen_parameters;
            let share = percent(self.pruned_parameters, total);
            writeln!(f, "Pruned params: {} ({share})", grouped(self.pruned_parameters))?;
        }
        writeln!(f, "Total mult-adds: {}", grouped(self.multiply_adds))?;
        writeln!(f, "{rule}")?;
        let megabytes = |bytes: usize| bytes as f64 / 1e6;
        let total = self.input_bytes + self.activation_bytes + self.parameter_bytes;
        writeln!(f, "Input size (MB): {:.2}", megabytes(self.input_bytes))?;
        writeln!(f, "Forward/backward pass size (MB): {:.2}", megabytes(self.activation_bytes))?;
        writeln!(f, "Params size (MB): {:.2}", megabytes(self.parameter_bytes))?;
        writeln!(f, "Estimated Total Size (MB): {:.2}", megabytes(total))?;
        write!(f, "{rule}")
    }
}

impl Summary {
    fn cells(&self, at: usize, row: &Row) -> [String; 6] {
        let name = row.name.rsplit('.').next().unwrap_or_default();
        let named = if name.is_empty() { row.type_name.clone() } else { format!("{} ({name})", row.type_name) };
        let number = self.rows[..=at].iter().filter(|other| other.depth == row.depth).count();
        let layer = match row.depth {
            0 => named,
            depth => format!("{}{}─{named}: {depth}-{number}", "│    ".repeat(depth - 1), self.corner(at)),
        };
        let parameters = match (row.trained_parameters, row.frozen_parameters) {
            (0, 0) if row.is_repeated => "(recursive)".to_string(),
            (0, 0) => "--".to_string(),
            (0, frozen) => format!("({})", grouped(frozen)),
            (trained, frozen) => grouped(trained + frozen),
        };
        let multiply_adds = if row.multiply_adds == 0 { "--".to_string() } else { grouped(row.multiply_adds) };
        let field = row
            .receptive_field
            .as_ref()
            .map_or("--".to_string(), |field| field.size.iter().map(usize::to_string).collect::<Vec<_>>().join(" x "));
        let sparsity = match row.pruned_parameters {
            0 => "--".to_string(),
            pruned => percent(pruned, row.trained_parameters + row.frozen_parameters),
        };
        [layer, row.output.to_string(), parameters, multiply_adds, field, sparsity]
    }

    /// True if more rows of this depth follow in the same layer.
    fn corner(&self, at: usize) -> &'static str {
        let depth = self.rows[at].depth;
        let next = self.rows[at + 1..].iter().find(|row| row.depth <= depth);
        if next.is_some_and(|row| row.depth == depth) { "├" } else { "└" }
    }
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole as f64)
}

/// A number with commas between thousands.
fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}
