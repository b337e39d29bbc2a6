"""Greedy generation on a WebGPU device: a step goes to it as one command buffer, and nothing waits in between."""

import time

import numpy as np

from mini_engine.gpu.webgpu.device import open_device
from mini_engine.gpu.webgpu.plan import kinds, make_plan, tensors, wgsl

MAX_ROWS = 32  # of a prefill pass


class WebGPUDecoder:
    """A LLaMA decoder in int8 on a WebGPU device, one sequence of at most max_tokens.

    Tokens, position and cache live on the device, so that a step needs nothing from the host. Raises NoDevice where
    there is none, or too small a one, and ValueError for a shape that the kernels do not know.
    """

    def __init__(self, config, weights, max_tokens, device=None, max_rows=MAX_ROWS):
        self.config, self.max_tokens, self.max_rows = config, max_tokens, max_rows
        self.device = device or open_device()
        self.plan = make_plan(config, max_tokens, max_rows)
        self.buffers = {name: self.device.buffer(num_bytes) for name, num_bytes in self.plan.buffers.items()}
        for name, array in tensors(config, weights, max_tokens):
            self.buffers[name] = self.device.buffer(array)
        self._layers, self._head = self._bound(self.plan.layers), self._bound(self.plan.head)
        self.length = 0  # tokens of the text that the device knows
        self.encoding_s = []  # of each step: seconds until it was recorded and handed over

    @property
    def num_kernels(self):
        """Kernels of one decode step."""
        return len(self._layers) + len(self._head)

    def _bound(self, launches):
        """(kernel, bind group, workgroups a row) of each launch; kernels of one text and shape are compiled once."""
        bound = []
        for launch in launches:
            text = wgsl(launch.kernel)
            kernel = self.device.kernel(text, kinds(text), constants=launch.constants)
            group = self.device.bind(kernel, [self.buffers[name] for name in launch.buffers])
            bound.append((kernel, group, launch.workgroups))
        return bound

    def _submit(self, launches, num_rows):
        """Hand the kernels to the device, which computes while the host goes on."""
        start = time.perf_counter()
        self.device.submit([(kernel, group, (width, num_rows)) for kernel, group, width in launches])
        self.encoding_s.append(time.perf_counter() - start)

    def prefill(self, token_ids):
        """Start a text with these ids, all but the last brought through the layers, max_rows at a time."""
        if not 0 < len(token_ids) <= self.max_tokens:
            raise ValueError(f"{len(token_ids)} prompt tokens do not fit a text of 1 to {self.max_tokens}")
        self.device.write(self.buffers["tokens"], np.array(token_ids, np.uint32))
        last = len(token_ids) - 1
        for start in range(0, last, self.max_rows):
            self.device.write(self.buffers["position"], np.array([start], np.uint32))
            self._submit(self._layers, min(self.max_rows, last - start))
        self.device.write(self.buffers["position"], np.array([last], np.uint32))
        self.length = len(token_ids)
        self.encoding_s = []

    def step(self):
        """Queue one decode step: the text's last token goes in, and the device appends the next one."""
        if self.length > self.max_tokens:
            raise ValueError(f"the text has all of its {self.max_tokens} tokens")
        self._submit(self._layers + self._head, 1)
        self.length += 1

    def tokens(self, start=0):
        """The text's ids from `start` on, as a list; waits until the queued steps are done."""
        return self.device.read(self.buffers["tokens"], np.uint32, 4 * start, 4 * (self.length - start)).tolist()

    def logits(self):
        """Logits [V] of the last step."""
        return self.device.read(self.buffers["logits"], np.float32)[: self.config.vocab_size]

    def generate(self, prompt_ids, max_new_tokens, eos_token_id=None):
        """Yield the greedy continuation one id at a time; the same as mini_engine.generate.generate in int8."""
        self.prefill(prompt_ids)
        for i in range(max_new_tokens):
            self.step()
            (token,) = self.tokens(len(prompt_ids) + i)
            yield token
            if token == eos_token_id:
                return
