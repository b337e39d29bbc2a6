// x = the embedding's row of each token. The token ids lie on the device: the host need not know them.
override width: u32;  // numbers in a row of the embedding

@group(0) @binding(0) var<storage, read> embedding: array<f32>;      // [vocabulary, width]
@group(0) @binding(1) var<storage, read> tokens: array<u32>;         // the whole text so far
@group(0) @binding(2) var<storage, read> position: array<u32>;       // [1]: where the first row stands in the text
@group(0) @binding(3) var<storage, read_write> x: array<f32>;        // [rows, width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  let row = id.y;
  if (i < width) {
    x[row * width + i] = embedding[tokens[position[0] + row] * width + i];
  }
}
