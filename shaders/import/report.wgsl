// Reports an index that does not exist; set by the specialiser if faults are reported.
fn report(code: u32, size: u32, index: i32) { atomicMax(&fault[0], code); }
