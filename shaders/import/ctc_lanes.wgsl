// A sample of one direction is shared by LANES invocations, which meet after each step.

const LANES: u32 = 64u;

fn meet() {
    if (LANES > 1u) {
        storageBarrier();
    }
}
