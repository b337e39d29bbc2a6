"""A decode step recorded once as a CUDA graph and replayed: one launch instead of one for each of its kernels.

A graph repeats the same kernels on the same addresses, so a step may neither change its shapes nor ask the device
anything. StaticKVCache keeps both rules. Where there is no CUDA the same step is called again, and says so. How graphs
are recorded: PyTorch's notes "CUDA semantics", section on CUDA graphs.
"""

import torch

MODES = ("eager", "graph", "compile")


class Replay:
    """A function without arguments, run again by replay(); is_graph: whether that is one launch or many."""

    def __init__(self, function, graph=None, output=None):
        self._function, self.graph, self.output = function, graph, output
        self.is_graph = graph is not None
        self.how = "CUDA graph" if self.is_graph else "no CUDA here: the same static step, operator by operator"

    def replay(self):
        """Run it and return its output; after a graph's replay that is always the same tensor, with new values."""
        if not self.is_graph:
            return self._function()
        self.graph.replay()
        return self.output


@torch.inference_mode()
def capture(function, device, warmup=3, reset=None, pool=None):
    """Record a function on a CUDA device, after warm-up runs, and return its Replay; on a CPU nothing is recorded.

    The function must read and write fixed tensors. reset() is called after each run here, to take back what the
    function counted. Warm-up runs happen on the side stream of the recording, so that libraries set themselves up
    outside of the graph. pool: that of another graph, whose memory it may use again. Raises RuntimeError, in one line,
    for a function that cannot be recorded: it waits for the device, say.
    """
    if torch.device(device).type != "cuda":
        return Replay(function)
    reset = reset or (lambda: None)
    main, side = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    side.wait_stream(main)
    with torch.cuda.stream(side):
        for _ in range(warmup):
            function()
            reset()
    main.wait_stream(side)
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, pool=pool, stream=side):
            output = function()
    except RuntimeError as error:
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise RuntimeError(f"this step cannot be recorded as a CUDA graph: {reason}") from error
    reset()
    return Replay(function, graph, output)


class GraphedDecoder:
    """Decoding steps of one shape over a StaticKVCache.

    model: a Llama. num_new: tokens per sequence and step, 1 to decode, more to verify a draft. how: "graph", "eager"
    (the same step, operator by operator) or "compile" (torch.compile in its mode reduce-overhead, which fuses kernels
    and records graphs by itself; its first step takes minutes). note: one line, what really runs.
    Raises ValueError for another `how`.
    """

    def __init__(self, model, cache, num_new=1, how="graph"):
        if how not in MODES:
            raise ValueError(f"how must be one of {', '.join(MODES)}, got {how!r}")
        self.model, self.cache, self.num_new, self.how = model, cache, num_new, how
        self.token_ids = torch.zeros(cache.batch, num_new, dtype=torch.long, device=model.device)
        self.note = "static shapes, operator by operator"
        if how == "compile":
            self._compiled = torch.compile(model.forward, mode="reduce-overhead", fullgraph=True)
            self._inner = _CompiledPass(cache)
            self.note = f"torch.compile, mode reduce-overhead, on {model.device}"
        self._replay = Replay(self._forward) if how == "eager" else None

    @torch.inference_mode()
    def prefill(self, token_ids):
        """Put prompts [B, N] into the cache, without a graph; returns the logits [B, V] after their last tokens."""
        return self.model.lm_head(self.model.hidden_states(token_ids, self.cache)[:, -1])

    @torch.inference_mode()
    def step(self, token_ids):
        """Feed token_ids [B, num_new]; returns logits [B, num_new, V], which the next step overwrites.

        Raises ValueError when the cache is full or the ids have another shape.
        """
        if token_ids.shape != self.token_ids.shape:
            raise ValueError(f"this step takes ids {tuple(self.token_ids.shape)}, got {tuple(token_ids.shape)}")
        self.cache.check_room(self.num_new)
        self.token_ids.copy_(token_ids)
        if self.how == "compile":
            return self._compiled_step()
        if self._replay is None:
            self._record()
        logits = self._replay.replay()
        if self._replay.is_graph:  # a graph moves the position on the device, Python's count is moved here
            self.cache.length += self.num_new
        return logits

    def _forward(self):
        return self.model(self.token_ids, self.cache)

    def _record(self):
        length = self.cache.length

        def reset():
            self.cache.length = length
            self.cache.position.fill_(length)

        self._replay = capture(self._forward, self.model.device, reset=reset)
        self.note = self._replay.how

    def _compiled_step(self):
        torch.compiler.cudagraph_mark_step_begin()
        self.cache.positions(self.num_new)
        logits = self._compiled(self.token_ids, self._inner)
        self.cache.advance(self.num_new)
        return logits


class _CompiledPass:
    """The cache as a compiled pass sees it: tensors only. Counting stays outside, or each count would be compiled."""

    def __init__(self, cache):
        self.cache = cache
        for tensor in (cache.k, cache.v):
            torch._dynamo.mark_static_address(tensor)

    def positions(self, num_new):
        return self.cache.rows.expand(self.cache.batch, num_new)

    def update(self, layer, k, v):
        return self.cache.update(layer, k, v)

    def advance(self, num_new):
        pass


def bucket(count):
    """The smallest power of two that is at least count: few shapes, so few graphs."""
    return 1 << (count - 1).bit_length()


class PagedGraphs:
    """Decode passes of the serving engine over its PagedKVCache, one graph for each bucket of rows and blocks.

    Rows that fill up a bucket have one token in the cache's spare block; they cost time and are cut off. Raises
    ValueError for a compiled model.
    """

    def __init__(self, model, cache):
        if not isinstance(model, torch.nn.Module):
            raise ValueError("graphs are recorded from torch's operators: load the model with compiled=False")
        self.model, self.cache = model, cache
        self._recorded = {}  # (rows, columns) -> its fixed inputs and its Replay
        self._pool = None

    def hidden_states(self, token_ids, block_tables, num_computed_tokens):
        """As Llama.hidden_states for one new token per row: [B, 1, d] for token_ids [B, 1]."""
        num_rows, cache = len(block_tables), self.cache
        rows = bucket(num_rows)
        columns = bucket(max(num_computed_tokens) // cache.block_size + 1)
        padding = rows - num_rows
        tables = [*block_tables, *[[cache.num_blocks]] * padding]
        cache.begin(tables, [*num_computed_tokens, *[0] * padding], [1] * rows, columns)
        tokens = torch.nn.functional.pad(token_ids, (0, 0, 0, padding)).to(self.model.device)
        if (rows, columns) not in self._recorded:
            self._record((rows, columns), tokens)
        inputs, replay = self._recorded[rows, columns]
        inputs[0].copy_(tokens)
        cache.use_inputs(inputs[1:])
        return replay.replay()[:num_rows]

    def record(self, max_rows, max_tokens):
        """Record every bucket up to so many rows and tokens a row now, so that no request waits for it later."""
        cache, most = self.cache, bucket(-(-max_tokens // self.cache.block_size))
        for rows in (1 << i for i in range(bucket(max_rows).bit_length())):
            for columns in (1 << i for i in range(most.bit_length())):
                table = [cache.num_blocks] * columns  # the spare block, which belongs to nobody
                computed = [(columns - 1) * cache.block_size] * rows
                self.hidden_states(torch.zeros(rows, 1, dtype=torch.long), [table] * rows, computed)
        return len(self._recorded)

    def _record(self, key, tokens):
        inputs = (tokens.clone(), *self.cache.inputs())
        replay = capture(lambda: self.model.hidden_states(inputs[0], self.cache), self.model.device, pool=self._pool)
        if replay.is_graph and self._pool is None:
            self._pool = replay.graph.pool()
        self._recorded[key] = inputs, replay
