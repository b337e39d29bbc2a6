// y = silu(gate) * up, number by number; in gate_up each row holds its gate, then its up.
override width: u32;

@group(0) @binding(0) var<storage, read> gate_up: array<f32>;  // [rows, 2, width]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [rows, width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < width) {
    let gate = gate_up[2u * id.y * width + id.x];
    let up = gate_up[(2u * id.y + 1u) * width + id.x];
    y[id.y * width + id.x] = gate / (1.0 + exp(-gate)) * up;
  }
}
