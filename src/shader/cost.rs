//! Estimates the time of a function, in additions of single numbers.

use naga::front::Typifier;
use naga::proc::ResolveContext;
use naga::{
    BinaryOperator, Block, Expression, Function, Handle, MathFunction, Module, ScalarKind, Statement, TypeInner,
};

/// A root, an exponential, a logarithm, an angle's function or an integer division. On llvmpipe an addition takes some
/// 0.05 ns and a hyperbolic tangent, which has two of these, 0.8 to 2.6.
pub(super) const DEAR: u64 = 22;

/// A division of floats.
const DIVISION: u64 = 4;

/// Assumed iterations of a loop, whose number is unknown.
const TURNS: u64 = 16;

/// The estimate for a function and those that it calls; `None` if its types are wrong.
pub(super) fn cost(module: &Module, function: &Function) -> Option<u64> {
    let mut types = Typifier::new();
    let context = ResolveContext::with_locals(module, &function.local_variables, &function.arguments);
    for (handle, _) in function.expressions.iter() {
        types.grow(handle, &function.expressions, &context).ok()?;
    }
    Costs { module, function, types }.block(&function.body)
}

struct Costs<'a> {
    module: &'a Module,
    function: &'a Function,
    types: Typifier,
}

impl Costs<'_> {
    fn block(&self, block: &Block) -> Option<u64> {
        block.iter().map(|statement| self.statement(statement)).sum()
    }

    fn statement(&self, statement: &Statement) -> Option<u64> {
        Some(match statement {
            Statement::Emit(range) => range.clone().map(|handle| self.expression(handle)).sum(),
            Statement::Block(block) => self.block(block)?,
            Statement::If { accept, reject, .. } => self.block(accept)? + self.block(reject)?,
            Statement::Switch { cases, .. } => cases.iter().map(|case| self.block(&case.body)).sum::<Option<u64>>()?,
            Statement::Loop { body, continuing, .. } => TURNS * (self.block(body)? + self.block(continuing)?),
            Statement::Call { function, .. } => cost(self.module, &self.module.functions[*function])?,
            _ => 0,
        })
    }

    fn expression(&self, handle: Handle<Expression>) -> u64 {
        let (numbers, kind) = self.numbers(handle);
        let each = match self.function.expressions[handle] {
            // A bitcast is no instruction, and compilers merge logic with the comparisons that it joins.
            Expression::As { convert: None, .. } => 0,
            Expression::Binary { op, .. } => match op {
                BinaryOperator::Divide if kind == ScalarKind::Float => DIVISION,
                BinaryOperator::Divide | BinaryOperator::Modulo => DEAR,
                BinaryOperator::And | BinaryOperator::InclusiveOr => 0,
                _ => 1,
            },
            Expression::Unary { .. }
            | Expression::Select { .. }
            | Expression::Relational { .. }
            | Expression::As { .. } => 1,
            Expression::Math { fun, .. } if is_quick(fun) => 1,
            Expression::Math { .. } => DEAR,
            _ => 0,
        };
        numbers * each
    }

    /// The number of components of an expression, and their kind.
    fn numbers(&self, handle: Handle<Expression>) -> (u64, ScalarKind) {
        match *self.types.get(handle, &self.module.types) {
            TypeInner::Vector { size, scalar } => (size as u64, scalar.kind),
            TypeInner::Scalar(scalar) => (1, scalar.kind),
            _ => (1, ScalarKind::Uint),
        }
    }
}

/// True for functions that take about as long as an addition.
fn is_quick(function: MathFunction) -> bool {
    use MathFunction as Math;
    matches!(
        function,
        Math::Abs
            | Math::Min
            | Math::Max
            | Math::Clamp
            | Math::Saturate
            | Math::Floor
            | Math::Ceil
            | Math::Round
            | Math::Trunc
            | Math::Fract
            | Math::Sign
            | Math::Fma
            | Math::Mix
            | Math::Step
            | Math::Dot
    )
}
