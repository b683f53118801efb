//! The kernels of a matrix product and the choice among them.
//!
//! Rows and depth are batch sizes in the layers of a network and in their gradients, and a shorter last batch should compile no
//! other pipeline than a full one. So columns, strides and types decide, and of the rows only two classes: one row, and a
//! thousand and more in a large output; a last batch that falls into another class compiles a pipeline once. The number of parts
//! of the depth follows from all sizes, since it is a parameter of the same pipeline; the sum of the parts is the kernel that
//! also adds up the gradient of a bias.

use super::operands::{fastest, has_quads, has_runs, pairs, quads, transposed};
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::Result;
use crate::number::nearest;
use crate::ops::matmul::takes_one_more;
use crate::ops::shared::constants::unsigned;
use crate::ops::shared::partial_sums;
use crate::shader::{Kernel, Kernels, MOST_GROUPS, Operand, fold_groups};
use crate::shape::{Layout, Shape};

const SHUFFLE: &str = wgsl!("matmul/matmul_shuffle");
const PLAIN: &str = wgsl!("matmul/matmul_plain");
const COOPERATIVE: &str = wgsl!("matmul/matmul_cooperative");
const TILED: &str = wgsl!("matmul/matmul_tiled");
const VECTOR: &str = wgsl!("matmul/matmul_vector");

/// The body that makes i32 of a block of whole numbers.
const WHOLE_FACTORS: &str = "
    return Block(
        bitcast<Quad>(vec4<i32>(block[0])), bitcast<Quad>(vec4<i32>(block[1])),
        bitcast<Quad>(vec4<i32>(block[2])), bitcast<Quad>(vec4<i32>(block[3])),
    );
";

/// Invocations of a workgroup with tiles. Depth is split into parts if the tiles make fewer workgroups than keep a GPU busy.
const TILE_WORKGROUP: usize = 256;

/// The least depth of a part: a sum of parts costs a store and a load of each.
const SHORTEST_PART: usize = 256;

/// Invocations of a workgroup on software adapters, side by side along the columns.
const WORKGROUP: usize = 8;

/// With fewer columns, software adapters take small tiles.
const FEW_COLUMNS: usize = 32;

/// Elements of k between two barriers of a tiled kernel.
const TILE_DEPTH: usize = 16;

/// The least depth that occupies the invocations of a workgroup which loads a matrix along k.
const SHORTEST_ROW: usize = 128;

/// Most vectors that are worth a separate kernel; more of them are a matrix.
const MOST_VECTORS: usize = 4;

/// Rows and columns of a tile in workgroup memory: the part of an invocation, times the invocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Tile {
    threads: usize,
    row_quads: usize,
    column_quads: usize,
}

impl Tile {
    const fn new(threads: usize, row_quads: usize, column_quads: usize) -> Tile {
        Tile { threads, row_quads, column_quads }
    }
    fn rows(self) -> usize {
        4 * self.threads * self.row_quads
    }
    fn columns(self) -> usize {
        4 * self.threads * self.column_quads
    }
}

/// 128 x 128, 8 x 8 sums an invocation: the most arithmetic a load, for products of many tiles.
const LARGE: Tile = Tile::new(16, 2, 2);
/// 128 x 64.
const NARROW: Tile = Tile::new(16, 2, 1);
/// 64 x 64.
const MEDIUM: Tile = Tile::new(16, 1, 1);
/// 32 x 32.
const SMALL: Tile = Tile::new(8, 1, 1);

/// A way to compute a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) enum Variant {
    /// Registers of software adapters, with subgroups of at least 8 lanes; `int64`: pairs of numbers are loaded and stored as
    /// one.
    Shuffle { int64: bool },
    /// The same for the transposed operands in turn, for one column, which would leave all lanes but one idle.
    ShuffleTransposed { int64: bool },
    /// Registers of software adapters.
    Plain,
    /// Cooperative matrices, `fragments` x `fragments` a subgroup; `splits` parts of the depth.
    Cooperative { fragments: usize, splits: usize },
    /// Tiles in workgroup memory; `splits` parts of the depth.
    Tiled { tile: Tile, splits: usize },
    /// `right` is the matrix and the rows of `left` are the vectors.
    FewRows,
    /// `left` is the matrix and the columns of `right` are the vectors.
    FewColumns,
}

/// A batch of products: `[batch, rows, depth] x [batch, depth, columns]`.
pub(in crate::ops) struct Product<'a> {
    left: &'a Layout,
    right: &'a Layout,
    output: &'a Layout,
    /// The bindings of `left`, `right` and `output`.
    operands: [Operand; 3],
    batch: usize,
    rows: usize,
    /// Including the column of ones, if there is one.
    columns: usize,
    depth: usize,
    /// True if an additional column of `right` is all ones, so that its products are the sums of the rows of `left`.
    ones: bool,
    /// True if software adapters take tiles of eight columns, however few there are.
    wide: bool,
    /// Batches whose products are added up, on software adapters.
    summed: usize,
    /// True for products of whole numbers in i32.
    whole: bool,
}

/// Rows and columns of a tile of 2 x 2 subgroups.
fn cooperative_side(fragments: usize) -> usize {
    2 * 16 * fragments
}

fn hook(kernel: Kernel, name: &'static str, body: Option<String>) -> Kernel {
    match body {
        Some(body) => kernel.hook(name, body),
        None => kernel,
    }
}

impl<'a> Product<'a> {
    /// Only the size and type of `output` matter.
    pub fn new([left, right]: [&'a Layout; 2], output: &'a Layout) -> Product<'a> {
        Product {
            left,
            right,
            output,
            operands: [Operand::Input(0), Operand::Input(1), Operand::Output(0)],
            batch: left.shape[0],
            rows: left.shape[1],
            columns: right.shape[2],
            depth: left.shape[2],
            ones: false,
            wide: false,
            summed: 1,
            whole: false,
        }
    }

    /// The same with other bindings than the call's two inputs in order and its output.
    pub fn operands(self, operands: [Operand; 3]) -> Product<'a> {
        Product { operands, ..self }
    }

    /// The same with tiles of eight columns on software adapters: when the column count does not come from the layer.
    pub fn wide(self) -> Product<'a> {
        Product { wide: true, ..self }
    }

    /// With groups of `batches` products added up: the output is `[ceil(batch / batches), rows, columns]`. Only
    /// [`Variant::Shuffle`] can do that.
    pub fn summed(self, batches: usize) -> Product<'a> {
        Product { summed: batches, ..self }
    }

    /// With whole numbers multiplied and added up in i32, modulo 2^32, and stored as the f32 of the same bits. Only
    /// [`Variant::Shuffle`] can do that.
    pub fn whole(self) -> Product<'a> {
        Product { whole: true, ..self }
    }

    /// Rows and columns of a tile in the registers of an invocation. On llvmpipe 32 x 8 tiles are faster than 32 x 4, most so if
    /// eight columns are contiguous, and compile twice as long.
    fn shuffle_tile(&self) -> [usize; 2] {
        [32, if self.wide || self.columns >= 512 { 8 } else { 4 }]
    }

    fn plain_tile(&self) -> [usize; 2] {
        if self.columns < FEW_COLUMNS { [8, 4] } else { [16, 8] }
    }

    /// The kernels that add up the rows of `left` too, if that costs next to nothing.
    pub fn summing(&self, adapter: &Adapter) -> Result<Option<Kernels>> {
        let variant = self.choice(adapter);
        let tile_columns = match variant {
            Variant::Shuffle { .. } => WORKGROUP * self.shuffle_tile()[1],
            Variant::Plain => WORKGROUP * self.plain_tile()[1],
            Variant::Tiled { tile, .. } => tile.columns(),
            Variant::ShuffleTransposed { .. }
            | Variant::Cooperative { .. }
            | Variant::FewRows
            | Variant::FewColumns => {
                return Ok(None);
            }
        };
        // With a column of ones results are stored one by one, which costs more than adding up the rows elsewhere.
        let stored_singly = matches!(variant, Variant::Shuffle { int64: true }) && self.stores_eights();
        if self.batch != 1 || stored_singly || !takes_one_more(self.columns, tile_columns) {
            return Ok(None);
        }
        Product { columns: self.columns + 1, ones: true, ..*self }.kernels(variant).map(Some)
    }

    /// The fastest variant by sizes and strides.
    pub fn choice(&self, adapter: &Adapter) -> Variant {
        if !adapter.profile.workgroup_memory {
            // Four times the code, and so the compilation, for lanes most of which few columns leave idle.
            let int64 = adapter.profile.u64_pairs;
            return match self.columns {
                _ if adapter.profile.sharers == 1 => Variant::Plain,
                1 if self.depth >= SHORTEST_ROW => Variant::ShuffleTransposed { int64 },
                FEW_COLUMNS.. => Variant::Shuffle { int64 },
                _ => Variant::Plain,
            };
        }
        // A workgroup divides each row of a matrix that is loaded along k, so short rows leave most of it idle.
        let is_deep = |along_k: usize| along_k != 1 || self.depth >= SHORTEST_ROW;
        if self.columns <= MOST_VECTORS && is_deep(self.left.strides()[2]) {
            return Variant::FewColumns;
        }
        if self.rows == 1 && is_deep(self.right.strides()[1]) {
            return Variant::FewRows;
        }
        // Tiles of 64 x 64 keep more workgroups busy; the larger ones pay if there are enough tiles anyway.
        let is_large = self.rows >= 1024 && self.batch * self.rows * self.columns >= 1 << 21;
        if self.columns > 32 && self.fits_cooperative(adapter) {
            return self.cooperative_variant(adapter, if is_large { 4 } else { 2 });
        }
        let tile = match (self.columns, is_large) {
            (..=32, _) => SMALL,
            (..=64, true) => NARROW,
            (_, true) => LARGE,
            (_, false) => MEDIUM,
        };
        self.tiled_variant(adapter, tile)
    }

    /// All suitable variants, the choice first.
    pub fn variants(&self, adapter: &Adapter) -> Vec<Variant> {
        let choice = self.choice(adapter);
        if !adapter.profile.workgroup_memory {
            let shuffle = Variant::Shuffle { int64: adapter.profile.u64_pairs };
            let both = [choice, if choice == Variant::Plain { shuffle } else { Variant::Plain }];
            return both[..if adapter.profile.sharers > 1 { 2 } else { 1 }].to_vec();
        }
        let mut all = vec![choice];
        let mut add = |variant| {
            if !all.contains(&variant) {
                all.push(variant);
            }
        };
        for tile in [LARGE, NARROW, MEDIUM, SMALL] {
            add(self.tiled_variant(adapter, tile));
            add(Variant::Tiled { tile, splits: 1 });
        }
        if self.fits_cooperative(adapter) {
            add(self.cooperative_variant(adapter, 4));
            add(self.cooperative_variant(adapter, 2));
        }
        if self.rows <= MOST_VECTORS {
            add(Variant::FewRows);
        }
        if self.columns <= MOST_VECTORS {
            add(Variant::FewColumns);
        }
        all
    }

    fn tiled_variant(&self, adapter: &Adapter, tile: Tile) -> Variant {
        Variant::Tiled { tile, splits: self.splits(adapter, tile.rows(), tile.columns()) }
    }

    fn cooperative_variant(&self, adapter: &Adapter, fragments: usize) -> Variant {
        let side = cooperative_side(fragments);
        Variant::Cooperative { fragments, splits: self.splits(adapter, side, side) }
    }

    fn fits_cooperative(&self, adapter: &Adapter) -> bool {
        adapter.has_cooperative_matrices
            && self.left.dtype == DType::F16
            && has_quads(self.left, fastest(self.left))
            && has_quads(self.right, fastest(self.right))
    }

    /// Parts of the depth that keep the adapter busy with tiles of this size.
    fn splits(&self, adapter: &Adapter, tile_rows: usize, tile_columns: usize) -> usize {
        let tiles = self.batch * self.rows.div_ceil(tile_rows) * self.columns.div_ceil(tile_columns);
        let busy = adapter.profile.groups_to_fill(TILE_WORKGROUP);
        let wanted = (busy / tiles.max(1)).clamp(1, (self.depth / SHORTEST_PART).max(1));
        // The number of parts when each is a whole number of steps.
        self.depth.div_ceil(self.part_depth(wanted)).max(1)
    }

    fn part_depth(&self, splits: usize) -> usize {
        self.depth.div_ceil(splits).next_multiple_of(TILE_DEPTH).max(TILE_DEPTH)
    }

    /// The dispatches of a variant.
    pub fn kernels(&self, variant: Variant) -> Result<Kernels> {
        if self.output.shape.numel() == 0 {
            return Ok(Kernels::default());
        }
        match variant {
            Variant::Shuffle { int64 } => {
                let (left_fastest, right_fastest) = (fastest(self.left), fastest(self.right));
                let mut kernel = Kernel::new("matmul_shuffle", SHUFFLE)
                    .values(&[self.batch, self.summed])
                    .constant("LEFT_DEPTH_FASTEST", left_fastest == 2)
                    .constant("RIGHT_DEPTH_FASTEST", right_fastest == 1)
                    .alias("Result", self.output.dtype.wgsl());
                if self.whole {
                    kernel = kernel.alias("Sum", "i32").hook("factors", WHOLE_FACTORS);
                }
                if int64 {
                    kernel = self.in_pairs(kernel);
                } else {
                    let (left_element, load_left) = quads(self.left, left_fastest, "left");
                    let (right_element, load_right) = quads(self.right, right_fastest, "right");
                    kernel = kernel.alias("LeftElement", left_element).alias("RightElement", right_element);
                    kernel = hook(hook(kernel, "load_left", load_left), "load_right", load_right);
                }
                Ok(self.in_registers(kernel, self.shuffle_tile(), 8))
            }
            Variant::ShuffleTransposed { int64 } => {
                let (left, right) = (transposed(self.right)?, transposed(self.left)?);
                let [first, second, to] = self.operands;
                let output = Layout::contiguous(Shape::new(&[self.batch, 1, self.rows])?, self.output.dtype);
                Product::new([&left, &right], &output).operands([second, first, to]).kernels(Variant::Shuffle { int64 })
            }
            Variant::Plain => {
                let kernel = Kernel::new("matmul_plain", PLAIN).alias("Element", self.left.dtype.wgsl());
                Ok(self.in_registers(kernel, self.plain_tile(), 1))
            }
            Variant::Cooperative { fragments, splits } => Ok(self.cooperative(fragments, splits)),
            Variant::Tiled { tile, splits } => Ok(self.tiled(tile, splits)),
            Variant::FewRows => Ok(self.vectors(self.right, self.left, self.operands[1], self.operands[0])),
            Variant::FewColumns => Ok(self.vectors(self.left, self.right, self.operands[0], self.operands[1])),
        }
    }

    fn work(&self, layers: usize) -> usize {
        2 * layers * self.rows * self.columns * self.depth
    }

    /// One dispatch for all batches, or several if there are more than a grid takes.
    fn batches(&self, kernel: &Kernel, [x, y]: [usize; 2], splits: usize) -> Vec<Kernel> {
        let most = MOST_GROUPS / splits;
        let all = self.batch.div_ceil(self.summed);
        let dispatch = |first: usize| {
            let layers = (all - first).min(most);
            let groups = [x, y, layers * splits].map(nearest::<u32>);
            kernel.clone().values(&[first]).grid(groups).work(self.work(layers * self.summed))
        };
        (0..all).step_by(most).map(dispatch).collect()
    }

    /// True if a kernel that loads pairs can load eight columns at once.
    fn has_eights(&self) -> bool {
        self.shuffle_tile()[1].is_multiple_of(8)
            && self.right.dtype == DType::F32
            && self.right.offset.is_multiple_of(8)
            && has_runs(self.right, 2, 8)
    }

    /// True if a kernel that loads pairs can store eight columns at once.
    fn stores_eights(&self) -> bool {
        self.shuffle_tile()[1].is_multiple_of(8)
            && self.columns.is_multiple_of(8)
            && self.output.dtype == DType::F32
            && !self.ones
    }

    /// Makes a kernel load f32 in pairs, and load and store eight columns at once if they are contiguous.
    fn in_pairs(&self, mut kernel: Kernel) -> Kernel {
        let (left_fastest, right_fastest) = (fastest(self.left), fastest(self.right));
        let (left_element, load_left) = pairs(self.left, left_fastest, "left");
        let (mut right_element, mut load_right) = pairs(self.right, right_fastest, "right");
        if self.has_eights() {
            right_element = "vec4<u64>";
            // For a kernel that loads eight at once throughout.
            load_right = Some("return Quad();".to_string());
            kernel =
                kernel.constant("RIGHT_EIGHTS", true).hook("load_right_eight", "return floats_of(right[first / 8u]);");
        }
        if self.stores_eights() {
            kernel = kernel.stores_eights();
        }
        kernel = kernel.alias("LeftElement", left_element).alias("RightElement", right_element);
        hook(hook(kernel, "load_left", load_left), "load_right", load_right)
    }

    /// The kernels of software adapters. `sharers` invocations share their loads of `left`.
    fn in_registers(&self, kernel: Kernel, [tile_rows, tile_columns]: [usize; 2], sharers: usize) -> Kernels {
        let (column_tiles, row_tiles) =
            (self.columns.div_ceil(WORKGROUP * tile_columns), self.rows.div_ceil(tile_rows));
        let (l, r) = (self.left.strides(), self.right.strides());
        let tiles = self.batch * column_tiles * WORKGROUP * row_tiles;
        let kernel = kernel
            .loads("load_left", self.operands[0], tiles * tile_rows * self.depth / sharers)
            .loads("load_right", self.operands[1], tiles * tile_columns * self.depth)
            .constant("TILE_ROWS", unsigned(tile_rows))
            .constant("TILE_COLUMNS", unsigned(tile_columns))
            .constant("ONES", unsigned(usize::from(self.ones)))
            .bind("left", self.operands[0])
            .bind("right", self.operands[1])
            .bind("output", self.operands[2])
            .values(&[self.rows, self.columns, self.depth, l[1], l[2], l[0], r[1], r[2], r[0]])
            .words([self.operands[0].offset(), self.operands[1].offset()])
            .values(&[column_tiles]);
        let [x, y, _] = fold_groups(column_tiles * row_tiles, 1);
        Kernels { kernels: self.batches(&kernel, [x as usize, y as usize], 1), ..Kernels::default() }
    }

    fn cooperative(&self, fragments: usize, splits: usize) -> Kernels {
        let kernel = Kernel::new("matmul_cooperative", COOPERATIVE)
            .constant("FRAGMENTS", unsigned(fragments))
            .constant("LEFT_DEPTH_FASTEST", fastest(self.left) == 2)
            .constant("RIGHT_COLUMN_FASTEST", fastest(self.right) == 2);
        self.in_tiles(kernel, [cooperative_side(fragments); 2], splits)
    }

    fn tiled(&self, tile: Tile, splits: usize) -> Kernels {
        let (left_fastest, right_fastest) = (fastest(self.left), fastest(self.right));
        let (left_element, load_left) = quads(self.left, left_fastest, "left");
        let (right_element, load_right) = quads(self.right, right_fastest, "right");
        let kernel = Kernel::new("matmul_tiled", TILED)
            .constant("THREADS_X", unsigned(tile.threads))
            .constant("THREADS_Y", unsigned(tile.threads))
            .constant("ROW_QUADS", unsigned(tile.row_quads))
            .constant("COLUMN_QUADS", unsigned(tile.column_quads))
            .constant("TILE_DEPTH", unsigned(TILE_DEPTH))
            .constant("LEFT_DEPTH_FASTEST", left_fastest == 2)
            .constant("RIGHT_COLUMN_FASTEST", right_fastest == 2)
            .constant("ONES", unsigned(usize::from(self.ones)))
            .alias("LeftElement", left_element)
            .alias("RightElement", right_element);
        let kernel = hook(hook(kernel, "load_left", load_left), "load_right", load_right);
        self.in_tiles(kernel, [tile.rows(), tile.columns()], splits)
    }

    /// A kernel that goes through the depth by tiles, and the sum of the parts.
    fn in_tiles(&self, kernel: Kernel, [tile_rows, tile_columns]: [usize; 2], splits: usize) -> Kernels {
        let (l, r) = (self.left.strides(), self.right.strides());
        let (row_tiles, column_tiles) = (self.rows.div_ceil(tile_rows), self.columns.div_ceil(tile_columns));
        let terms = self.batch * self.depth;
        let result = self.output.dtype.wgsl();
        let (to, stored) = if splits == 1 { (self.operands[2], result) } else { (Operand::Temporary(0), "f32") };
        let kernel = kernel
            .alias("Result", stored)
            .bind("left", self.operands[0])
            .bind("right", self.operands[1])
            .loads("load_left", self.operands[0], terms * column_tiles * row_tiles * tile_rows)
            .loads("load_right", self.operands[1], terms * row_tiles * column_tiles * tile_columns)
            .bind("output", to)
            .values(&[self.rows, self.columns, self.depth, l[1], l[2], l[0], r[1], r[2], r[0]])
            .values(&[column_tiles, self.batch, splits, self.part_depth(splits)])
            .words([self.operands[0].offset(), self.operands[1].offset()]);
        let [x, y, _] = fold_groups(column_tiles * row_tiles, 1);
        let mut kernels = self.batches(&kernel, [x as usize, y as usize], splits);
        if splits == 1 {
            return Kernels { kernels, ..Kernels::default() };
        }
        let sums = self.batch * self.rows * self.columns;
        kernels.push(partial_sums::sum_rows(to, splits, sums).alias("Result", result));
        Kernels { kernels, temporaries: vec![4 * splits * sums] }
    }

    fn vectors(&self, matrix: &Layout, vectors: &Layout, matrix_from: Operand, vectors_from: Operand) -> Kernels {
        let matrix_is_left = matrix_from == self.operands[0];
        // Dimensions of the matrix and of the vectors: along the sums of a vector or the vectors, and along k.
        let (i, k, v) = if matrix_is_left { (1, 2, 2) } else { (2, 1, 1) };
        let (m, s) = (matrix.strides(), vectors.strides());
        let (count, number) = if matrix_is_left { (self.rows, self.columns) } else { (self.columns, self.rows) };
        let is_depth_fastest = m[k] == 1;
        let (element, load) = quads(matrix, if is_depth_fastest { k } else { i }, "matrix");
        let (depth_threads, count_threads, quad) = if is_depth_fastest { (64, 4, 1) } else { (16, 16, 4) };
        let place = if matrix_is_left { [self.columns, 1] } else { [1, self.columns] };
        let kernel = Kernel::new("matmul_vector", VECTOR)
            .constant("DEPTH_THREADS", unsigned(depth_threads))
            .constant("COUNT_THREADS", unsigned(count_threads))
            .constant("VECTORS", unsigned(if number == 1 { 1 } else { MOST_VECTORS }))
            .constant("DEPTH_FASTEST", is_depth_fastest)
            .alias("MatrixElement", element)
            .alias("VectorElement", vectors.dtype.wgsl())
            .alias("Result", self.output.dtype.wgsl())
            .bind("matrix", matrix_from)
            .bind("vectors", vectors_from)
            .loads("load_matrix", matrix_from, self.batch * count * self.depth)
            .loads("load_vector", vectors_from, self.batch * count.div_ceil(quad) * number * self.depth)
            .bind("output", self.operands[2])
            .values(&[count, number, self.depth, m[i], m[k], m[0], s[v], s[3 - v], s[0]])
            .values(&place)
            .words([matrix_from.offset(), vectors_from.offset()]);
        let kernel = hook(kernel, "load_matrix", load);
        let [x, y, _] = fold_groups(count.div_ceil(quad), count_threads);
        Kernels { kernels: self.batches(&kernel, [x as usize, y as usize], 1), ..Kernels::default() }
    }
}
