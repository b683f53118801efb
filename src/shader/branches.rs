//! Leaves out branches whose condition is known, with the functions and arguments that nothing else uses: a specialised
//! template has many, `if (OUTPUT_FASTEST)` or one for each tap of a register tile. Drivers would drop them too, but some pay
//! for each before they do: SwiftShader took 25 s for a kernel with 150 of them.

use naga::compact::{KeepUnused, compact};
use naga::{Arena, Block, Expression, Function, Literal, Module, Statement};
use std::collections::{BTreeSet, HashMap};

/// Drops them from all functions of a module.
pub(super) fn drop_known(module: &mut Module) {
    let constants: Vec<Option<bool>> =
        module.constants.iter().map(|(_, constant)| truth(&module.global_expressions[constant.init])).collect();
    let functions = module.functions.iter_mut().map(|(_, function)| function);
    for function in functions.chain(module.entry_points.iter_mut().map(|entry| &mut entry.function)) {
        let body = std::mem::take(&mut function.body);
        function.body = without_known(body, &function.expressions, &constants);
        // The expression that a `let` named may be gone, and nothing else needs the names.
        function.named_expressions.clear();
    }
    // A valid module has no expressions that no statement computes. Buffers that a kernel does not read need not be bound.
    compact(module, KeepUnused::No);
    module.entry_points.iter_mut().for_each(|entry| drop_arguments(&mut entry.function));
}

/// Drops the arguments of an entry point that nothing reads: a builtin may need a feature that only another branch uses.
fn drop_arguments(function: &mut Function) {
    let read: BTreeSet<u32> = function.expressions.iter().filter_map(|(_, expression)| argument(expression)).collect();
    let mut at = 0;
    function.arguments.retain(|_| {
        at += 1;
        read.contains(&(at - 1))
    });
    let numbers: HashMap<u32, u32> = read.into_iter().zip(0..).collect();
    for (_, expression) in function.expressions.iter_mut() {
        if let Expression::FunctionArgument(number) = expression {
            *number = numbers[number];
        }
    }
}

fn argument(expression: &Expression) -> Option<u32> {
    match expression {
        Expression::FunctionArgument(number) => Some(*number),
        _ => None,
    }
}

fn truth(expression: &Expression) -> Option<bool> {
    match expression {
        Expression::Literal(Literal::Bool(value)) => Some(*value),
        _ => None,
    }
}

fn without_known(block: Block, expressions: &Arena<Expression>, constants: &[Option<bool>]) -> Block {
    let mut kept = Block::with_capacity(block.len());
    for (mut statement, span) in block.span_into_iter() {
        match &mut statement {
            Statement::If { condition, accept, reject } => {
                let [accept, reject] =
                    [accept, reject].map(|block| without_known(std::mem::take(block), expressions, constants));
                let known = match &expressions[*condition] {
                    Expression::Constant(constant) => constants[constant.index()],
                    expression => truth(expression),
                };
                match known {
                    Some(true) => kept.extend_block(accept),
                    Some(false) => kept.extend_block(reject),
                    None => kept.push(Statement::If { condition: *condition, accept, reject }, span),
                }
                // Nothing may follow a statement that leaves the block.
                if known.is_some() && kept.last().is_some_and(leaves) {
                    return kept;
                }
                continue;
            }
            Statement::Block(block) => *block = without_known(std::mem::take(block), expressions, constants),
            Statement::Loop { body, continuing, .. } => {
                *body = without_known(std::mem::take(body), expressions, constants);
                *continuing = without_known(std::mem::take(continuing), expressions, constants);
            }
            Statement::Switch { cases, .. } => {
                for case in cases {
                    case.body = without_known(std::mem::take(&mut case.body), expressions, constants);
                }
            }
            _ => {}
        }
        kept.push(statement, span);
    }
    kept
}

fn leaves(statement: &Statement) -> bool {
    matches!(statement, Statement::Break | Statement::Continue | Statement::Return { .. } | Statement::Kill)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branches(block: &Block) -> usize {
        block
            .iter()
            .map(|statement| match statement {
                Statement::If { accept, reject, .. } => 1 + branches(accept) + branches(reject),
                Statement::Block(block) => branches(block),
                Statement::Loop { body, continuing, .. } => branches(body) + branches(continuing),
                _ => 0,
            })
            .sum()
    }

    #[test]
    fn known_branches_go_and_others_stay() {
        let source = "
            const FAST: bool = true;
            const SIZE: u32 = 6u;
            @group(0) @binding(0) var<storage, read_write> output: array<u32>;
            fn pick(x: u32) -> u32 {
                if (!FAST) { let unused = x * 3u; return unused; }
                if (FAST) { return 2u; }
                return 3u;
            }
            @compute @workgroup_size(1)
            fn main(
                @builtin(num_workgroups) groups: vec3<u32>,
                @builtin(subgroup_invocation_id) lane: u32,
                @builtin(global_invocation_id) id: vec3<u32>,
            ) {
                if (!FAST) { output[lane] = subgroupShuffle(lane, groups.x); }
                for (var i = 0u; i < id.x; i++) {
                    if (SIZE % 4u == 2u) { output[i] = pick(i); } else { output[i] = 0u; }
                    if (i == id.y) { if (FAST) { output[i] = 7u; } }
                }
            }";
        let mut module = naga::front::wgsl::parse_str(source).unwrap();
        drop_known(&mut module);
        let pick = module.functions.iter().next().unwrap().1;
        assert_eq!((branches(&pick.body), pick.body.len()), (0, 1));
        // The loop's own condition is one.
        assert_eq!(branches(&module.entry_points[0].function.body), 2);
        let arguments = &module.entry_points[0].function.arguments;
        let names: Vec<_> = arguments.iter().filter_map(|argument| argument.name.as_deref()).collect();
        assert_eq!(names, ["id"]);
        let mut validator =
            naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty());
        validator.validate(&module).unwrap();
    }
}
