// An invocation computes one of params.parts parts of one of params.count elements, by the template's `compute`, which takes the
// number apart. The grid is folded past 65,535 groups.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = (group.x + group.y * groups.x) * 64u + lane;
    if (id < params.count * params.parts) {
        compute(id);
    }
}
