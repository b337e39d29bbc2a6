// y = W x, or y += W x, for int8 weights, four in a word.
// Eight threads share an output: they read neighbouring words, so that one
// transfer from memory serves them all, and add up their parts in a tree.
override num_in: u32;
override num_out: u32;
override adds: bool = false;  // whether y keeps what it holds: the residual

@group(0) @binding(0) var<storage, read> weights: array<u32>;  // [out, in/4]
@group(0) @binding(1) var<storage, read> scales: array<f32>;   // [out]
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;  // [rows, in/4]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [rows, out]

const LANES = 8u;    // threads of one output
const OUTPUTS = 8u;  // outputs of one workgroup
var<workgroup> sums: array<f32, LANES * OUTPUTS>;

@compute @workgroup_size(LANES, OUTPUTS)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_id) local: vec3<u32>,
        @builtin(local_invocation_index) t: u32) {
  let row = group.y;
  let output = group.x * OUTPUTS + local.y;
  let num_words = num_in / 4u;
  var sum = 0.0;
  if (output < num_out) {
    for (var i = local.x; i < num_words; i += LANES) {
      let four = vec4<f32>(unpack4xI8(weights[output * num_words + i]));
      sum += dot(four, x[row * num_words + i]);
    }
  }
  sums[t] = sum;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (local.x < half) {
      sums[t] += sums[t + half];
    }
    workgroupBarrier();
  }
  if (local.x == 0u && output < num_out) {
    let at = row * num_out + output;
    y[at] = select(0.0, y[at], adds) + sums[t] * scales[output];
  }
}
