"""The block-table figure follows mini_engine's block manager and prefix cache, on random workloads."""

import random

from test_figures import figure_results, pytestmark  # noqa: F401  (skips this file too where node is missing)

from mini_engine.accounting import num_blocks_for
from mini_engine.block_manager import BlockManager, OutOfBlocks, check_owners
from mini_engine.prefix_cache import PrefixCache, block_hashes

NAMES = "ABCD"


class Pool:
    """The engine's parts driven by the figure's operations; what a block stores is kept as labels."""

    def __init__(self, num_blocks, block_size, caching):
        self.manager, self.size = BlockManager(num_blocks), block_size
        self.cache = PrefixCache(self.manager, block_size)
        self.caching = caching
        self.tokens = [[None] * block_size for _ in range(num_blocks)]
        self.tables, self.texts = {}, {}

    def run(self, op):
        """One operation; what is refused changes nothing. Returns the tokens computed, where any were added."""
        seq = op.get("seq")
        if op["op"] == "add":
            return self.add(seq, op["n"], op["text"])
        if op["op"] == "evict":
            self.cache.evict(1)
        elif seq in self.tables and op["op"] == "end":
            for block in self.tables.pop(seq):
                self.manager.free(block)
            del self.texts[seq]
        elif seq in self.tables and len(self.tables) < len(NAMES):
            child = min(set(NAMES) - set(self.tables))
            self.tables[child] = [self.manager.fork(block) for block in self.tables[seq]]
            self.texts[child] = list(self.texts[seq])
        return None

    def add(self, seq, n, text):
        old = self.texts.get(seq, [])
        begins = seq not in self.tables
        label = "s" if begins and text == "same" else seq
        whole = old + [f"{label}{i + 1}" for i in range(len(old), len(old) + n)]
        table, computed, hashes = list(self.tables.get(seq, [])), len(old), block_hashes(ids(whole), self.size)
        if begins and self.caching:
            table, computed = self.cache.match(ids(whole), hashes)
        column = computed // self.size
        must_copy = column < len(table) and self.manager.refcounts[table[column]] > 1
        needed = num_blocks_for(len(whole), self.size) - len(table)
        if needed + must_copy > self.manager.num_free_blocks + self.cache.num_evictable_blocks:
            for block in table if begins else []:
                self.manager.free(block)
            return None
        if must_copy:
            fresh = self.allocate()
            self.tokens[fresh] = list(self.tokens[table[column]])
            self.manager.free(table[column])
            table[column] = fresh
        table += [self.allocate() for _ in range(needed)]
        for i in range(computed, len(whole)):
            self.tokens[table[i // self.size]][i % self.size] = whole[i]
        self.tables[seq], self.texts[seq] = table, whole
        if self.caching:
            self.cache.insert(hashes, table[: len(hashes)])
        return len(whole) - computed

    def allocate(self):
        try:
            block = self.manager.allocate()
        except OutOfBlocks:
            self.cache.evict(1)
            block = self.manager.allocate()
        self.tokens[block] = [None] * self.size
        return block


def ids(labels):
    """Labels as token ids."""
    return [1000 * "sABCD".index(label[0]) + int(label[1:]) for label in labels]


def random_workload(rng):
    ops = []
    for _ in range(rng.randrange(1, 30)):
        kind = rng.choice(("add", "add", "add", "fork", "end", "evict"))
        op = {"op": kind} if kind == "evict" else {"op": kind, "seq": rng.choice(NAMES)}
        if kind == "add":
            op |= {"n": rng.randint(1, 12), "text": rng.choice(("same", "own"))}
        ops.append(op)
    sizes = {"num_blocks": rng.randint(2, 10), "block_size": rng.randint(1, 5)}
    return {"ops": ops, "caching": rng.random() < 0.7, **sizes}


def test_block_table_follows_the_engine():
    rng = random.Random(9)
    workloads = [random_workload(rng) for _ in range(250)]
    states = [{**work, "ops": work["ops"][: n + 1]} for work in workloads for n in range(len(work["ops"]))]
    results = iter(figure_results("block-table", states))
    seen = {"refused": 0, "copied": 0, "evicted": 0, "found": 0}
    for work in workloads:
        pool = Pool(work["num_blocks"], work["block_size"], work["caching"])
        for step, op in enumerate(work["ops"]):
            computed, got = pool.run(op), next(results)
            check_owners(pool.manager, [*pool.tables.values(), pool.cache.blocks])
            case = f"{work}, step {step}"
            for seq, table in pool.tables.items():
                stored = [label for block in table for label in pool.tokens[block]][: len(pool.texts[seq])]
                assert stored == pool.texts[seq], f"{case}: {seq} reads {stored}"
            assert got["tables"] == pool.tables, case
            assert got["refs"] == pool.manager.refcounts, case
            assert got["free"] == list(pool.manager._free), case
            assert got["cached"] == pool.cache.blocks, case
            assert got["tokens"] == pool.tokens, case
            assert got["lengths"] == {seq: len(text) for seq, text in pool.texts.items()}, case
            assert got["last"].get("computed") == computed, case
            seen["refused"] += got["last"].get("refused") == "out of blocks"
            seen["copied"] += "copied" in got["last"]
            seen["evicted"] += bool(got["last"]["evicted"])
            seen["found"] += computed is not None and computed < op["n"]
    assert min(seen.values()) >= 20, f"the workloads must reach every case: {seen}"


def test_the_texts_example():
    ops = [{"op": "add", "seq": "A", "n": 6, "text": "same"}, {"op": "fork", "seq": "A"}]
    ops += [{"op": "add", "seq": "B", "n": 1, "text": "same"}, {"op": "end", "seq": "A"}]
    after_fork, after_add, after_end = figure_results(
        "block-table", [{"ops": ops[:n], "caching": False} for n in (2, 3, 4)]
    )
    assert after_fork["tables"] == {"A": [0, 1], "B": [0, 1]} and after_fork["refs"][:2] == [2, 2]
    assert after_add["tables"]["B"] == [0, 2] and after_add["last"]["copied"] == [1, 2]
    assert after_end["refs"][:3] == [1, 0, 1], "block 1 is free, block 0 is B's"
