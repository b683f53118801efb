//! The reference executor: the same graph on the CPU in double precision, by the most obvious code there is.
//!
//! The oracle of the tests, the baseline of the benchmarks, and the executor of a machine without an adapter.

use crate::device::{Fill, Waiting};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{BoxFuture, Edge, Executor, Node, OneOrMore, ProfileEvent, Profiler, Schedule, Stats, Storage};
use crate::host_tensor::HostTensor;
use crate::shape::{Layout, Shape};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Walks recorded graphs node by node.
#[derive(Default)]
pub(crate) struct Reference {
    calls: AtomicU64,
    runs: AtomicU64,
    /// The first fault since the last synchronisation, reported there as on an adapter.
    fault: Mutex<Option<Error>>,
    profiler: Profiler,
}

/// One of a node's values: its storage, and the layout that shows it.
pub(crate) type Value = (Arc<HostTensor>, Layout);

/// Computes a schedule in order. `source` returns the value of a source, `call` computes one call that is not a view, and `done`
/// sees each node's values once they are computed.
pub(crate) fn walk(
    schedule: &Schedule,
    source: impl Fn(usize) -> Result<Value>,
    mut call: impl FnMut(&Node, &[HostTensor]) -> Result<Vec<HostTensor>>,
    mut done: impl FnMut(usize, &[Value]),
) -> Result<()> {
    let mut users = vec![0usize; schedule.nodes.len()];
    for edge in schedule.edges.all() {
        if let Edge::Node { index, .. } = edge {
            users[*index] += 1;
        }
    }
    let mut computed: Vec<Vec<Value>> = Vec::with_capacity(schedule.nodes.len());
    for (index, node) in schedule.nodes.iter().enumerate() {
        let mut inputs = Vec::with_capacity(schedule.edges[index].len());
        for edge in &schedule.edges[index] {
            inputs.push(match *edge {
                Edge::Node { index, output } => computed[index][output].clone(),
                Edge::Source(at) => source(at)?,
            });
        }
        let values: Vec<Value> = if schedule.is_view(index) {
            vec![(inputs[0].0.clone(), node.outputs[0])]
        } else {
            let views: Vec<HostTensor> = inputs.iter().map(|(values, layout)| values.view(layout)).collect();
            let stored = |mut values: HostTensor| {
                // Readers of f16 get the value that f16 can store, even if it was computed in more digits.
                if values.dtype == DType::F16 {
                    values.values.iter_mut().for_each(|value| *value = DType::F16.quantise(*value));
                }
                Arc::new(values)
            };
            let outputs = call(node, &views)?;
            outputs.into_iter().zip(node.outputs.iter()).map(|(values, layout)| (stored(values), *layout)).collect()
        };
        done(index, &values);
        drop(inputs);
        for edge in &schedule.edges[index] {
            if let Edge::Node { index, .. } = edge {
                users[*index] -= 1;
                if users[*index] == 0 {
                    computed[*index].clear();
                }
            }
        }
        computed.push(values);
    }
    Ok(())
}

/// The results of a call's reference, checked against its shape rule. A caller's own operations come here too.
pub(crate) fn checked(node: &Node, outputs: Vec<HostTensor>) -> Result<Vec<HostTensor>> {
    let fits = |(output, layout): (&HostTensor, &Layout)| {
        (output.shape, output.values.len()) == (layout.shape, layout.shape.numel())
    };
    if outputs.len() == node.outputs.len() && outputs.iter().zip(node.outputs.iter()).all(fits) {
        return Ok(outputs);
    }
    let got: Vec<(Shape, usize)> = outputs.iter().map(|output| (output.shape, output.values.len())).collect();
    let expected: Vec<Shape> = node.outputs.iter().map(|layout| layout.shape).collect();
    let rule = format!("its reference returned {got:?} (shapes and numbers of values) for outputs of {expected:?}");
    Err(Error::invalid(node.op.name(), rule))
}

impl Reference {
    fn source(schedule: &Schedule, source: usize) -> Result<Value> {
        let tensor = &schedule.sources[source];
        let values = match schedule.source_storage(source) {
            Some(Storage::Host(values)) => values,
            Some(Storage::Pending(bytes)) => {
                let dtype = tensor.dtype();
                let values = dtype.decode(&bytes);
                let shape = Shape::new(&[values.len()])?;
                let values = Arc::new(HostTensor::new(shape, dtype, values));
                tensor.node.store(OneOrMore::One(Storage::Host(values.clone())));
                values
            }
            _ => {
                let reason = "a value of an adapter on the reference device".to_string();
                return Err(Error::Internal { op: "reference", reason });
            }
        };
        Ok((values, *tensor.layout()))
    }

    fn call(&self, node: &Node, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let since = Instant::now();
        let outputs = node.op.reference(inputs);
        if self.profiler.is_on() {
            let op = node.op.name();
            let (start, time, work) = (Duration::ZERO, since.elapsed(), 0);
            let event = ProfileEvent { kernel: "reference", op: op.into(), source: node.source, start, time, work };
            self.profiler.add(since, [event]);
        }
        match outputs {
            // A bad index makes the result NaN and is reported at the next synchronisation, as on an adapter.
            Err(error @ (Error::IndexOutOfRange { .. } | Error::Negative { .. })) => {
                self.fault.lock().get_or_insert(error);
                let nan =
                    |layout: &Layout| HostTensor::new(layout.shape, layout.dtype, vec![f64::NAN; layout.shape.numel()]);
                Ok(node.outputs.iter().map(nan).collect())
            }
            outputs => checked(node, outputs?),
        }
    }
}

impl Executor for Reference {
    fn name(&self) -> &str {
        "reference"
    }

    fn max_tensor_bytes(&self) -> u64 {
        1 << 34
    }

    fn execute(&self, schedule: &Schedule) -> Result<()> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let source = |source: usize| Reference::source(schedule, source);
        let call = |node: &Node, inputs: &[HostTensor]| self.call(node, inputs);
        walk(schedule, source, call, |index, values| {
            if schedule.kept[index] {
                let storage: Vec<Storage> = values.iter().map(|(values, _)| Storage::Host(values.clone())).collect();
                schedule.nodes[index].store(storage.into());
            }
        })
    }

    fn store(&self, bytes: usize, fill: Fill<'_>) -> Result<Storage> {
        let mut stored = Vec::with_capacity(bytes);
        fill(&mut |piece| {
            stored.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(Storage::Pending(Arc::new(stored)))
    }

    fn read<'a>(&'a self, storage: &'a Storage, bytes: usize, _: Waiting) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            self.fault.lock().take().map_or(Ok(()), Err)?;
            match storage {
                Storage::Host(values) => {
                    let mut out = Vec::with_capacity(bytes);
                    for &value in &values.values {
                        values.dtype.encode(value, &mut out);
                    }
                    out.truncate(bytes);
                    Ok(out)
                }
                Storage::Pending(data) => Ok(data[..bytes].to_vec()),
                Storage::Device(_) => {
                    let reason = "a value of an adapter on the reference device".to_string();
                    Err(Error::Internal { op: "read", reason })
                }
            }
        })
    }

    fn sync(&self, _: Waiting) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.fault.lock().take().map_or(Ok(()), Err) })
    }

    fn stats(&self) -> Stats {
        Stats {
            dispatches: self.calls.load(Ordering::Relaxed),
            runs: self.runs.load(Ordering::Relaxed),
            ..Stats::default()
        }
    }

    fn reset_peaks(&self) {}

    fn empty_cache(&self) {}

    fn describe(&self, schedule: &Schedule) -> Result<(String, String)> {
        let names: Vec<&str> = schedule.nodes.iter().map(|node| node.op.name()).collect();
        let dot = names.windows(2).map(|pair| format!("  {} -> {};\n", pair[0], pair[1])).collect::<String>();
        Ok((names.join("\n"), format!("digraph plan {{\n{dot}}}\n")))
    }

    fn profiler(&self) -> &Profiler {
        &self.profiler
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
