// The decode step on the reader's own GPU: it carries out the plan that mini_engine/gpu/webgpu/plan.py makes, with the
// kernels of the .wgsl files beside it. decoder.py does the same in Python.
(function () {
  "use strict";

  const COPY_SIZES = [1 << 18, 1 << 22, 1 << 26];  // 256 KB, 4 MB, 64 MB
  const COPIED_BYTES = 1 << 28;  // that a measurement moves

  /** A GPU of this browser, or an Error whose message says in one sentence why there is none. */
  async function findAdapter() {
    if (!window.isSecureContext) throw new Error("WebGPU needs https or this machine's own address, and this page has neither.");
    if (!navigator.gpu) throw new Error("This browser has no WebGPU.");
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) throw new Error("This browser knows WebGPU, but gives no GPU.");
    return adapter;
  }

  async function get(address, signal) {
    const answer = await fetch(address, { signal }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Error("The model's weights are not here: this copy of the book is not served by “make serve”.");
    });
    if (answer.status === 503) throw new Error(await answer.text());
    if (!answer.ok) throw new Error("The model's weights are not here: this copy of the book was published without them. “make serve” in a copy of the course serves both.");
    return answer;
  }

  /** Hand each tensor to `take(name, bytes)` as it arrives, whatever the pieces of the stream. */
  async function readTensors(stream, tensors, take, progress) {
    const reader = stream.getReader();
    let piece = new Uint8Array(0), received = 0;
    for (const [name, size] of tensors) {
      const bytes = new Uint8Array(size);
      for (let filled = 0; filled < size;) {
        if (!piece.length) {
          const { value, done } = await reader.read();
          if (done) throw new Error("The weights ended too early; please try again.");
          piece = value;
        }
        const part = piece.subarray(0, size - filled);
        bytes.set(part, filled);
        filled += part.length;
        received += part.length;
        piece = piece.subarray(part.length);
        progress(received);
      }
      take(name, bytes);
    }
  }

  /** [[bytes, bytes per second]]: copies within the GPU, read and written, by size. */
  async function measureCopies(device) {
    const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST, found = [];
    for (const size of COPY_SIZES) {
      const [source, target] = [0, 1].map(() => device.createBuffer({ size, usage }));
      let best = Infinity;
      for (let round = 0; round < 4; round += 1) {
        const encoder = device.createCommandEncoder();
        for (let i = 0; i < COPIED_BYTES / size; i += 1) encoder.copyBufferToBuffer(source, 0, target, 0, size);
        const start = performance.now();
        device.queue.submit([encoder.finish()]);
        await device.queue.onSubmittedWorkDone();
        if (round > 0) best = Math.min(best, (performance.now() - start) / 1000);
      }
      found.push([size, 2 * COPIED_BYTES / best]);
      source.destroy();
      target.destroy();
    }
    return found;
  }

  /** Bytes per second from the page's memory to the GPU. */
  async function measureUpload(device) {
    const data = new Uint8Array(COPY_SIZES[COPY_SIZES.length - 1]).fill(1);
    const buffer = device.createBuffer({ size: data.length, usage: GPUBufferUsage.COPY_DST });
    let best = Infinity;
    for (let round = 0; round < 3; round += 1) {
      const start = performance.now();
      device.queue.writeBuffer(buffer, 0, data);
      await device.queue.onSubmittedWorkDone();
      best = Math.min(best, (performance.now() - start) / 1000);
    }
    buffer.destroy();
    return data.length / best;
  }

  class GpuDecoder {
    /** Fetch plan and weights from `base` and put them on the GPU. progress(received, total) in bytes. */
    static async load(base, { progress, signal }) {
      const adapter = await findAdapter();
      const plan = await (await get(`${base}plan.json`, signal)).json();
      const largest = Math.max(...plan.tensors.map(([, size]) => size), ...Object.values(plan.buffers));
      const room = Math.min(adapter.limits.maxBufferSize, adapter.limits.maxStorageBufferBindingSize);
      if (largest > room) throw new Error(`This GPU binds buffers of ${room} bytes at most, and one of the model's has ${largest}.`);
      const requiredLimits = { maxBufferSize: Math.max(largest, 1 << 28), maxStorageBufferBindingSize: largest };
      const self = new GpuDecoder(plan, await adapter.requestDevice({ requiredLimits }));
      const info = adapter.info || {};  // older browsers have none
      self.name = [info.vendor, info.architecture || info.description].filter(Boolean).join(" ") || "your GPU";
      try {
        const total = plan.tensors.reduce((sum, [, size]) => sum + size, 0);
        self.pieces = await (await get(`${base}vocabulary.json`, signal)).json();
        const { body } = await get(`${base}weights.bin`, signal);
        await readTensors(body, plan.tensors, (name, bytes) => {
          self.buffers[name] = self.buffer(bytes.length);
          self.device.queue.writeBuffer(self.buffers[name], 0, bytes);
        }, (received) => progress(received, total));
        await self.prepare();
        self.copies = await measureCopies(self.device);
        self.upload = await measureUpload(self.device);
      } catch (error) {
        self.device.destroy();
        throw error;
      }
      return self;
    }

    constructor(plan, device) {
      Object.assign(this, { plan, device, buffers: {}, length: 0, encodingMs: 0, failure: null });
      // what goes wrong on the GPU comes late: the next token that is waited for reports it
      device.lost.then((info) => { this.failure = new Error(`The GPU was lost: ${info.message || info.reason}`); });
      device.addEventListener("uncapturederror", (event) => { this.failure = new Error(event.error.message); });
      for (const [name, size] of Object.entries(plan.buffers)) this.buffers[name] = this.buffer(size);
    }

    buffer(size) {
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
      return this.device.createBuffer({ size: Math.max(16, size), usage });
    }

    /** Compile each kernel once for each set of constants, and bind the buffers of each launch. */
    async prepare() {
      const made = new Map();
      const pipeline = ({ kernel, constants }) => {
        const key = kernel + JSON.stringify(constants);
        if (!made.has(key)) {
          const { wgsl, kinds } = this.plan.kernels[kernel];
          const entries = kinds.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } }));
          const layout = this.device.createPipelineLayout({ bindGroupLayouts: [this.device.createBindGroupLayout({ entries })] });
          const module = this.device.createShaderModule({ code: wgsl });
          made.set(key, this.device.createComputePipelineAsync({ layout, compute: { module, entryPoint: "main", constants } }));
        }
        return made.get(key);
      };
      const bound = (launches) => Promise.all(launches.map(async (launch) => {
        const compiled = await pipeline(launch);
        const entries = launch.buffers.map((name, binding) => ({ binding, resource: { buffer: this.buffers[name] } }));
        const group = this.device.createBindGroup({ layout: compiled.getBindGroupLayout(0), entries });
        return { compiled, group, workgroups: launch.workgroups };
      }));
      [this.layers, this.head] = await Promise.all([bound(this.plan.layers), bound(this.plan.head)]);
    }

    record(encoder, launches, rows) {
      const work = encoder.beginComputePass();
      for (const { compiled, group, workgroups } of launches) {
        work.setPipeline(compiled);
        work.setBindGroup(0, group);
        work.dispatchWorkgroups(workgroups, rows);
      }
      work.end();
    }

    /** Start a text: all ids but the last go through the layers, some rows at a time. */
    prefill(ids) {
      const { queue } = this.device, last = ids.length - 1;
      queue.writeBuffer(this.buffers.tokens, 0, new Uint32Array(ids));
      for (let start = 0; start < last; start += this.plan.max_rows) {
        queue.writeBuffer(this.buffers.position, 0, new Uint32Array([start]));
        const encoder = this.device.createCommandEncoder();
        this.record(encoder, this.layers, Math.min(this.plan.max_rows, last - start));
        queue.submit([encoder.finish()]);
      }
      queue.writeBuffer(this.buffers.position, 0, new Uint32Array([last]));
      this.length = ids.length;
    }

    /** Queue one step and return a promise of its token. */
    async step() {
      const start = performance.now(), encoder = this.device.createCommandEncoder();
      const copy = this.device.createBuffer({ size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      this.record(encoder, this.layers.concat(this.head), 1);
      encoder.copyBufferToBuffer(this.buffers.tokens, 4 * this.length, copy, 0, 4);
      this.device.queue.submit([encoder.finish()]);
      this.encodingMs = performance.now() - start;
      this.length += 1;
      try {
        await copy.mapAsync(GPUMapMode.READ);
      } catch (error) {
        await new Promise((resolve) => setTimeout(resolve));  // the device's own report is on its way
        throw this.failure || error;
      }
      if (this.failure) throw this.failure;
      const [token] = new Uint32Array(copy.getMappedRange().slice(0));
      copy.destroy();
      return token;
    }

    /** The greedy continuation, one id at a time; a step is queued before the token of the one before is read. */
    async *generate(ids, maxNew, signal) {
      const most = Math.min(maxNew, this.plan.max_tokens - ids.length);
      if (most < 1) throw new Error(`The question is too long: it has ${ids.length} tokens, and ${this.plan.max_tokens} have room.`);
      this.prefill(ids);
      let pending = this.step();
      for (let i = 1; i <= most; i += 1) {
        const next = i < most ? this.step() : null;
        if (next) next.catch(() => {});  // read below, or not at all
        const token = await pending;
        yield token;
        if (token === this.plan.eos_token_id || signal.aborted) return;
        pending = next;
      }
    }
  }

  window.GpuDecoder = Object.assign(GpuDecoder, { findAdapter, get });
})();
