//! The recorded graph as text and as Graphviz DOT.

use crate::error::Result;
use crate::graph::node::Tensor;
use crate::graph::schedule::{Edge, Schedule};
use std::fmt::{self, Write};

/// The recorded, uncomputed calls behind some tensors, for printing.
///
/// ```
/// use wgrad::{Device, Graph, Tensor};
/// let device = Device::reference();
/// let x = Tensor::ones(&device, &[2, 3])?;
/// let y = x.exp()?.sum_all()?;
/// println!("{}", Graph::of(&[&y])?);
/// assert!(Graph::of(&[&y])?.dot().starts_with("digraph"));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Graph {
    roots: Vec<Tensor>,
    schedule: Schedule,
}

impl Graph {
    /// The recording that reading these tensors would carry out.
    ///
    /// # Errors
    /// [`Error::DeviceMismatch`](crate::Error::DeviceMismatch) if they are on several devices.
    pub fn of(tensors: &[&Tensor]) -> Result<Graph> {
        for pair in tensors.windows(2) {
            pair[0].device().check_same("graph", pair[1].device())?;
        }
        let roots: Vec<Tensor> = tensors.iter().map(|&t| t.clone()).collect();
        let schedule = match roots.first() {
            Some(root) => root.device().schedule(tensors),
            None => Schedule::default(),
        };
        Ok(Graph { roots, schedule })
    }

    /// Number of recorded calls.
    pub fn len(&self) -> usize {
        self.schedule.nodes.len()
    }

    /// True if everything is computed already.
    pub fn is_empty(&self) -> bool {
        self.schedule.is_empty()
    }

    /// The graph in Graphviz DOT: `dot -Tsvg`.
    pub fn dot(&self) -> String {
        let mut out = String::from("digraph graph_ {\n  rankdir=TB;\n  node [shape=box, fontname=monospace];\n");
        for (i, source) in self.schedule.sources.iter().enumerate() {
            let _ = writeln!(out, "  s{i} [label=\"input\\n{} {}\", style=dashed];", source.shape(), source.dtype());
        }
        for (i, node) in self.schedule.nodes.iter().enumerate() {
            let style = if self.schedule.kept[i] { ", style=bold" } else { "" };
            let layout = &node.outputs[0];
            let _ = writeln!(out, "  n{i} [label=\"{}\\n{} {}\"{style}];", node.op.name(), layout.shape, layout.dtype);
            for edge in &self.schedule.edges[i] {
                let _ = match edge {
                    Edge::Node { index, .. } => writeln!(out, "  n{index} -> n{i};"),
                    Edge::Source(source) => writeln!(out, "  s{source} -> n{i};"),
                };
            }
        }
        out.push_str("}\n");
        out
    }

    /// The kernels the device would run for it: text, and Graphviz DOT.
    ///
    /// # Errors
    /// Errors of planning.
    pub fn plan(&self) -> Result<(String, String)> {
        match self.roots.first() {
            Some(root) => root.device().executor().describe(&self.schedule),
            None => Ok((String::new(), String::new())),
        }
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, source) in self.schedule.sources.iter().enumerate() {
            writeln!(f, "s{i} = input {} {}", source.shape(), source.dtype())?;
        }
        for (i, node) in self.schedule.nodes.iter().enumerate() {
            let layout = &node.outputs[0];
            write!(f, "n{i} = {:?}(", &*node.op)?;
            for (k, edge) in self.schedule.edges[i].iter().enumerate() {
                let comma = if k == 0 { "" } else { ", " };
                match edge {
                    Edge::Node { index, output: 0 } => write!(f, "{comma}n{index}")?,
                    Edge::Node { index, output } => write!(f, "{comma}n{index}.{output}")?,
                    Edge::Source(source) => write!(f, "{comma}s{source}")?,
                }
            }
            let kept = if self.schedule.kept[i] { ", kept" } else { "" };
            writeln!(f, ") {} {}{kept}  # {}:{}", layout.shape, layout.dtype, node.source.file(), node.source.line())?;
        }
        Ok(())
    }
}
