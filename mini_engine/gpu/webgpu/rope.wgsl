// Turn the pairs (i, i + D/2) of queries and keys by the angle of their position; keys and values go into the cache.
override num_heads: u32;
override num_kv_heads: u32;
override head_dim: u32;

@group(0) @binding(0) var<storage, read> cosines: array<f32>;       // [positions, head_dim / 2]
@group(0) @binding(1) var<storage, read> sines: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> qkv: array<f32>;     // [rows, query, key and value heads, head_dim]
@group(0) @binding(4) var<storage, read_write> keys: array<f32>;    // [positions, num_kv_heads, head_dim]
@group(0) @binding(5) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let half = head_dim / 2u;
  let head = id.x / half;
  let i = id.x % half;
  let num_all = num_heads + 2u * num_kv_heads;
  if (head >= num_all) {
    return;
  }
  let at = position[0] + id.y;
  let pair = (id.y * num_all + head) * head_dim + i;
  let a = qkv[pair];
  let b = qkv[pair + half];
  let c = cosines[at * half + i];
  let s = sines[at * half + i];
  if (head < num_heads) {
    qkv[pair] = a * c - b * s;
    qkv[pair + half] = b * c + a * s;
  } else if (head < num_heads + num_kv_heads) {
    let to = (at * num_kv_heads + head - num_heads) * head_dim + i;
    keys[to] = a * c - b * s;
    keys[to + half] = b * c + a * s;
  } else {
    let to = (at * num_kv_heads + head - num_heads - num_kv_heads) * head_dim + i;
    values[to] = a;
    values[to + half] = b;
  }
}
