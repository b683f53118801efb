// The part of a workgroup: across, down, and one of `layers`. Past 65,535 groups of a dimension the host writes another
// body (`Call::on_grid`).
fn unfolded(workgroup: vec3<u32>, groups: vec3<u32>, layers: u32) -> vec3<u32> {
    return vec3(workgroup.z / layers * groups.x + workgroup.x, workgroup.y, workgroup.z % layers);
}
