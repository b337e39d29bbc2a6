// mixed = softmax(q K / sqrt(D)) V over the cache, one workgroup for each row and query head. It walks the cache once,
// 64 positions at a time; where a larger score turns up, what was summed before is scaled down to fit.
override num_heads: u32;
override num_kv_heads: u32;
override head_dim: u32;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;           // [rows, query, key and value heads, head_dim]
@group(0) @binding(1) var<storage, read> keys: array<f32>;          // [positions, num_kv_heads, head_dim]
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read> position: array<u32>;
@group(0) @binding(4) var<storage, read_write> mixed: array<f32>;   // [rows, num_heads, head_dim]

const THREADS = 64u;
var<workgroup> scores: array<f32, THREADS>;
var<workgroup> shares: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let t = local.x;
  let kv_head = group.x / (num_heads / num_kv_heads);
  let query = (group.y * (num_heads + 2u * num_kv_heads) + group.x) * head_dim;
  let out = (group.y * num_heads + group.x) * head_dim;
  let length = position[0] + group.y + 1u;
  var largest = -1e30;
  var total = 0.0;
  for (var start = 0u; start < length; start += THREADS) {
    var score = -1e30;
    if (start + t < length) {
      let key = ((start + t) * num_kv_heads + kv_head) * head_dim;
      var product = 0.0;
      for (var i = 0u; i < head_dim; i++) {
        product += qkv[query + i] * keys[key + i];
      }
      score = product / sqrt(f32(head_dim));
    }
    scores[t] = score;
    workgroupBarrier();
    let before = largest;
    for (var j = 0u; j < THREADS; j++) {
      largest = max(largest, scores[j]);
    }
    shares[t] = exp(score - largest);
    workgroupBarrier();
    let shrink = exp(before - largest);
    total *= shrink;
    for (var j = 0u; j < THREADS; j++) {
      total += shares[j];
    }
    for (var i = t; i < head_dim; i += THREADS) {
      var sum = select(mixed[out + i] * shrink, 0.0, start == 0u);
      for (var j = 0u; j < min(THREADS, length - start); j++) {
        sum += shares[j] * values[((start + j) * num_kv_heads + kv_head) * head_dim + i];
      }
      mixed[out + i] = sum;
    }
  }
  for (var i = t; i < head_dim; i += THREADS) {
    mixed[out + i] /= total;
  }
}
