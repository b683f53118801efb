//! Rows cut into chunks: one kernel stores the partial results of its chunks, another combines them.

use super::{RowEmitter, Stage};
use crate::dtype::DType;
use crate::error::Result;
use crate::plan::analysis::domain::Wide;
use crate::plan::codegen::access::array_type;
use crate::plan::codegen::reduction::Accumulator;
use std::fmt::Write;

impl RowEmitter<'_> {
    /// Ends the text of the kernel that leaves the results of chunks: they are stored side by side in one buffer whatever
    /// their types.
    pub(super) fn end_of_chunks(&mut self, accumulators: &[Accumulator], lanes: usize) -> Stage {
        let count = accumulators.len();
        let part = if matches!(self.wide, Wide::Elements { .. }) { ".x" } else { "" };
        for (k, Accumulator { name, .. }) in accumulators.iter().enumerate() {
            let at = format!("(chunk * {count}u + {k}u) * params.rows + unit");
            let bits = self.partial_type();
            let _ = writeln!(self.text, "    if (leads) {{ partial[{at}] = bitcast<{bits}>({name}{part}); }}");
        }
        self.end_of_stage(lanes)
    }

    /// The element type of the buffer of partial results, which are kept as bits.
    pub(super) fn partial_type(&self) -> &'static str {
        array_type(DType::U32, self.wide == Wide::Rows)
    }

    /// Begins the text of the kernel that combines the chunks of a row, and computes what follows from them.
    pub(super) fn combine_chunks(&mut self, accumulators: &[Accumulator], lanes: usize) -> Result<()> {
        self.loaded.clear();
        self.constants.clear();
        self.rows_until(0, true)?;
        self.combine_partials(accumulators, lanes);
        self.rows_until(1, true)
    }

    fn combine_partials(&mut self, accumulators: &[Accumulator], lanes: usize) {
        let count = accumulators.len();
        let out = &mut self.text;
        for accumulator in accumulators {
            let _ = writeln!(out, "    var sum_{} = {};", accumulator.name, accumulator.nothing());
        }
        out.push_str("    for (var e = first; e < params.length; e += step) {\n");
        for (k, accumulator) in accumulators.iter().enumerate() {
            let sum = format!("sum_{}", accumulator.name);
            let bits = format!("partial[(e * {count}u + {k}u) * params.rows + unit]");
            let of = array_type(accumulator.computed(), self.wide == Wide::Rows);
            let partial = format!("{}(bitcast<{of}>({bits}))", accumulator.vector());
            let _ = writeln!(out, "    {sum} = {};", accumulator.combined(&sum, &partial));
        }
        out.push_str("    }\n");
        for accumulator in accumulators {
            // All four numbers are the row's where they stand for its elements.
            let total = accumulator.total(&format!("sum_{}", accumulator.name), false, self.emitter.width, lanes);
            let _ = writeln!(out, "    let {} = {total};", accumulator.name);
        }
    }
}
