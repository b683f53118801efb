//! The names of the operations' cases, and filters over them.

use crate::common::filtered;
use std::collections::HashSet;
use wgrad::ops;

#[test]
fn names_are_unique() {
    let mut seen = HashSet::new();
    let again: Vec<String> =
        ops::cases().iter().map(|case| case.name()).filter(|name| !seen.insert(name.clone())).collect();
    assert!(again.is_empty(), "{} names stand for several cases:\n{}", again.len(), again.join("\n"));
}

#[test]
fn filters_pick_by_operation_and_parameters() {
    let cases = ops::cases();
    let names = |filter: &str| -> Vec<String> {
        filtered(&cases, filter).unwrap().iter().map(|(_, case)| case.name()).collect()
    };
    assert_eq!(names("conv1d").len(), cases.iter().filter(|case| case.op == "conv1d").count());
    assert_eq!(names("conv1d[groups=2,stride=2]"), ["conv1d[2x4x13,6x2x4,6,stride=2,padding=2,dilation=3,groups=2]"]);
    assert_eq!(names("conv1d[6,2x4x13]"), names("conv1d[groups=2]"));
    assert_eq!(names("cat[f16];stack[dim=-1]"), ["cat[3x2,3x3,f16]", "stack[2x3,2x3,2x3,dim=-1]"]);
    assert!(
        names("conv2d[stride=2,groups=3]").iter().all(|name| name.contains("stride=2,") && name.contains("groups=3"))
    );
    for case in cases.iter().step_by(100) {
        assert!(names(&case.name()).contains(&case.name()), "{}", case.name());
    }
    let refusal = |filter: &str| filtered(&cases, filter).err().unwrap();
    assert!(
        refusal("conv2d[stride=2,groups=5]").contains("conv2d[2x3x8x9,4x3x3x3,4,stride=2,padding=0]"),
        "{}",
        refusal("conv2d[stride=2,groups=5]")
    );
    assert!(refusal("max_pol2d").contains("max_pool2d"), "{}", refusal("max_pol2d"));
}
