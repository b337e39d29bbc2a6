// y = x / sqrt(mean(x^2) + eps) * weight: one workgroup a row, whose threads add up their squares in a tree.
override width: u32;
override eps: f32;

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [rows, width]
@group(0) @binding(1) var<storage, read> weight: array<f32>;   // [width]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [rows, width]

const THREADS = 64u;
var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let row = group.y * width;
  let t = local.x;
  var squares = 0.0;
  for (var i = t; i < width; i += THREADS) {
    squares += x[row + i] * x[row + i];
  }
  sums[t] = squares;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (t < half) {
      sums[t] += sums[t + half];
    }
    workgroupBarrier();
  }
  let factor = 1.0 / sqrt(sums[0] / f32(width) + eps);
  for (var i = t; i < width; i += THREADS) {
    y[row + i] = x[row + i] * factor * weight[i];
  }
}
