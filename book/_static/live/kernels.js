// WGSL kernels for Python in the page, on the browser's WebGPU device; used by PageDevice of live_runner.py.
let opening;

async function open() {
  const adapter = navigator.gpu && (await navigator.gpu.requestAdapter());
  return adapter ? adapter.requestDevice() : null;
}

function bufferOf(device, kind, bytes) {
  const place = kind === "uniform" ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE;
  const usage = place | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ size: Math.max(16, bytes.length), usage });
  device.queue.writeBuffer(buffer, 0, bytes);
  return buffer;
}

async function contentOf(device, buffer, length) {
  const copy = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await copy.mapAsync(GPUMapMode.READ);
  return new Uint8Array(copy.getMappedRange()).slice(0, length);
}

async function dispatch(device, code, kinds, contents, workgroups, entryPoint) {
  const module = device.createShaderModule({ code });
  const { messages } = await module.getCompilationInfo();
  const wrong = messages.find((message) => message.type === "error");
  if (wrong) return { shader: `line ${wrong.lineNum}: ${wrong.message}`, line: wrong.lineNum };
  const entries = kinds.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } }));
  const layout = device.createBindGroupLayout({ entries });
  const pipeline = await device.createComputePipelineAsync({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint },
  });
  const buffers = kinds.map((kind, i) => bufferOf(device, kind, contents[i]));
  const bound = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout, entries: bound }));
  pass.dispatchWorkgroups(...workgroups);
  pass.end();
  device.queue.submit([encoder.finish()]);
  const outputs = [];
  for (const [i, kind] of kinds.entries()) {
    if (kind === "storage") outputs.push(await contentOf(device, buffers[i], contents[i].length));
  }
  for (const buffer of buffers) buffer.destroy();
  return { outputs };
}

// kinds, contents: of the bindings in order, "read-only-storage", "storage" or "uniform", and their bytes. Resolves to
// {outputs: [bytes]} of the "storage" ones, {missing: true} without a device, or {shader: "why", line}.
export async function runKernel(code, kinds, contents, workgroups, entryPoint) {
  opening ||= open();
  const device = await opening.catch(() => null);
  if (!device) return { missing: true };
  device.pushErrorScope("validation");
  let answer;
  try {
    answer = await dispatch(device, code, kinds, contents, workgroups, entryPoint);
  } catch (error) {
    answer = { shader: String(error.message || error), line: null };
  }
  const invalid = await device.popErrorScope();
  return invalid && answer.outputs ? { shader: invalid.message, line: null } : answer;
}
