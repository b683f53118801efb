//! The kernel around the text of loops over rows.

use super::{RowEmitter, Stage};
use crate::device::Adapter;
use crate::plan::analysis::domain::Wide;
use crate::plan::analysis::wiring::Root;
use crate::plan::codegen::access::array_type;
use crate::plan::codegen::emit::{Uses, binding};
use crate::plan::codegen::reduction::{Accumulator, team_functions};
use crate::plan::codegen::u64_pairs;
use crate::shader::{Kernel, Operand, fold_groups};
use std::fmt::Write;

const TEMPLATE: &str = wgsl!("plan/rows");

impl RowEmitter<'_> {
    /// The kernel with this text; `stage` 1 combines the chunks that stage 0 leaves.
    pub(super) fn kernel(
        &self,
        Stage { body, uses, lanes }: &Stage,
        stage: usize,
        chunks: Option<usize>,
        adapter: &Adapter,
    ) -> Kernel {
        let units = self.domain.rows / if self.wide == Wide::Rows { 4 } else { 1 };
        let chunk_count = chunks.unwrap_or(1);
        let (length, split) = if stage == 0 { (self.domain.length, chunk_count) } else { (chunk_count, 1) };
        let (row_stride, element_stride) = self.domain.even().unwrap_or((0, 0));
        let words = self.emitter.words();
        let lanes = *lanes;
        let workgroup = match lanes {
            1 => adapter.profile.workgroup,
            2..=64 => 64,
            _ => 256,
        };
        let mut kernel = Kernel::new("rows", TEMPLATE)
            .constant("LANES", format!("{lanes}u"))
            .constant("WORKGROUP", format!("{workgroup}u"))
            .constant("WORDS", format!("{}u", words.len().div_ceil(4).max(1)))
            .values(&[units, length, split, row_stride, element_stride, self.domain.numel(), 0, 0])
            .words(words)
            .grid(fold_groups(units * split * lanes, workgroup))
            .work(self.domain.numel() * self.emitter.cluster.members.len());
        for (alias, single, vector) in [
            ("F", "f32", "vec4<f32>"),
            ("I", "i32", "vec4<i32>"),
            ("U", "u32", "vec4<u32>"),
            ("B", "bool", "vec4<bool>"),
        ] {
            kernel = kernel.alias(alias, if self.emitter.width == 4 { vector } else { single });
        }
        self.declare(&mut kernel, uses, stage, chunks.is_some(), lanes);
        kernel.hook("run", format!("{}{body}", self.start(lanes)))
    }

    /// The text before the loops: which rows and elements are the invocation's.
    fn start(&self, lanes: usize) -> String {
        let row = if self.wide == Wide::Rows { "unit * 4u" } else { "unit" };
        let mut start = String::from("\n    let teams = params.rows * params.chunks;\n");
        if lanes == 1 {
            start.push_str("    if (team >= teams) { return; }\n    let leads = true;\n    let used = team;\n");
        } else {
            // Teams past the end repeat the last one, so that every invocation meets every barrier.
            start.push_str("    let used = min(team, teams - 1u);\n    let leads = (team < teams) & (lane == 0u);\n");
        }
        let _ = writeln!(
            start,
            "    let unit = used % params.rows;\n    let row = {row};\n    let chunk = used / params.rows;"
        );
        let _ = writeln!(start, "    let row_start = {};", self.domain.row_start("row"));
        start.push_str("    let first = chunk * LANES + lane;\n    let step = params.chunks * LANES;\n");
        start
    }

    /// Declares what the text refers to: bindings, libraries, the functions of reductions.
    fn declare(&self, kernel: &mut Kernel, uses: &Uses, stage: usize, is_chunked: bool, lanes: usize) {
        let is_vector = |root: Root| match root.node() {
            Some(member) if self.is_full(member) => self.emitter.width == 4,
            _ => self.wide == Wide::Rows,
        };
        let array = |root: Root| match self.stores_pairs(root) {
            true => "vec4<u64>",
            false => array_type(self.emitter.wiring.stored(root).dtype, is_vector(root)),
        };
        self.emitter.bind(kernel, uses, 1, array);
        if is_chunked {
            let mode = if stage == 0 { "read_write" } else { "read" };
            let number = 1 + kernel.bindings.len();
            kernel.declarations.push_str(&binding(number, mode, "partial", self.partial_type()));
            kernel.bindings.push(("partial".to_string(), Operand::Temporary(0)));
        }
        if stage == 0 && self.has_pairs {
            kernel.declarations.push_str(u64_pairs::LIBRARY);
        }
        kernel.declarations.push_str(&self.emitter.libraries());
        let all: Vec<Accumulator> =
            (1..=self.levels.reductions.len()).flat_map(|level| self.accumulators(level)).collect();
        kernel.declarations.push_str(&team_functions(&all, lanes));
    }
}
