//! The examples of tasks take a few steps. `make test-long` takes them to their figures.

#[path = "../../examples/capsules.rs"]
#[allow(dead_code, reason = "its main function")]
mod capsules;

#[test]
fn capsules_take_a_few_steps() {
    let accuracy = capsules::run(&capsules::Flags::short(2)).unwrap();
    assert!((0.0..=1.0).contains(&accuracy), "{accuracy}");
}
