// The index of the largest logit, the first where several are equal, becomes the next token, and the text is one longer.
override width: u32;

@group(0) @binding(0) var<storage, read> logits: array<f32>;           // [width]
@group(0) @binding(1) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(2) var<storage, read_write> position: array<u32>;

const THREADS = 256u;
var<workgroup> largest: array<f32, THREADS>;
var<workgroup> indices: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_id) local: vec3<u32>) {
  let t = local.x;
  var best = -3e38;
  var index = 0u;
  for (var i = t; i < width; i += THREADS) {
    if (logits[i] > best) {
      best = logits[i];
      index = i;
    }
  }
  largest[t] = best;
  indices[t] = index;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (t < half) {
      let other = largest[t + half];
      if (other > largest[t] || (other == largest[t] && indices[t + half] < indices[t])) {
        largest[t] = other;
        indices[t] = indices[t + half];
      }
    }
    workgroupBarrier();
  }
  if (t == 0u) {
    position[0] += 1u;
    tokens[position[0]] = indices[0];
  }
}
