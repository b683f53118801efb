// A strip of TILE_X positions, a step of TAPS taps, and the segment of a row that the strip sees through them.

const TILE_X: u32 = 4u;
const TAPS: u32 = 8u;
const WORKGROUP: u32 = 8u;

// The segment: in rows of SEGMENT_ROW elements, UNIT columns apart, and rows ROW_STEP columns.
const SEGMENT: u32 = 11u;
const SEGMENT_ROW: u32 = 11u;
const UNIT: u32 = 1u;
const ROW_STEP: u32 = 0u;
const PITCH_X: u32 = 1u;
const PITCH_S: u32 = 1u;
