# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · From tokens to logits
#
# A language model is a function from a list of integers to a table of scores, and a loop around it. In this notebook you write everything but the inside of that function: text to token ids and back, ids to vectors, scores to probabilities, scores to a next token, and the loop. At the end you test a property that the rest of the course builds on: what a model has computed for an old token never changes. The chapter *From tokens to logits* of the book tells the story.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError` (an id or a position that does not exist: `IndexError`), and the message holds the value. The docstring says which arguments are meant.

# %% setup=True
import codecs
from itertools import pairwise

import numpy as np

# A vocabulary of single characters and the tokens that MERGES build from them.
MERGES = [("t", "h"), ("th", "e"), (" ", "the"), ("o", "k"), ("e", "n"), ("t", "ok"), ("tok", "en"), (" ", "token")]
VOCAB = {symbol: i for i, symbol in enumerate(sorted(set("the token, then another")))}
for left, right in MERGES:
    VOCAB[left + right] = len(VOCAB)

# A character model made of counts: how often does character b follow character a in this text?
TEXT = "the cache keeps the keys and the values. the query reads the keys, then the values. "
LETTERS = sorted(set(TEXT))
COUNTS = np.zeros((len(LETTERS), len(LETTERS)))
for before, after in pairwise(TEXT):
    COUNTS[LETTERS.index(before), LETTERS.index(after)] += 1


def toy_step(ids):
    """Logits [N, V] of the character model: row i scores what may follow token i."""
    return np.log(COUNTS[np.asarray(ids)] + 0.01)


def toy_kv(ids, causal=True):
    """Keys and values of a two-layer attention model over the 8 ids 0..7, each [2, N, 4] (layer, position, feature)."""
    rng = np.random.default_rng(1)
    embedding = rng.standard_normal((8, 4))
    x = embedding[np.asarray(ids)]
    keys, values = [], []
    for _ in range(2):
        w_q, w_k, w_v = rng.standard_normal((3, 4, 4))
        q, k, v = x @ w_q, x @ w_k, x @ w_v
        scores = q @ k.T / 2
        if causal:
            scores = np.where(np.tri(len(ids), dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        x = x + weights / weights.sum(axis=-1, keepdims=True) @ v
        keys.append(k)
        values.append(v)
    return np.stack(keys), np.stack(values)


# %% [markdown] task="bpe_encode" stars=3 minutes=30
# ## 1. Byte-pair encoding
#
# A tokenizer cuts text into pieces from a fixed list, the vocabulary, and names each piece by an integer. Byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909, section 3.2) starts from single characters and glues neighbours together, again and again, by a ranked list of pairs that was learned once from a corpus.
#
# Write `bpe_encode(text, merges, vocab)`:
#
# 1. Cut `text` into single characters.
# 2. Among all neighbouring pairs that stand in `merges`, take the pair with the **lowest rank** (its index in the list), wherever it stands in the text.
# 3. Glue every occurrence of this pair, from left to right. Then go to 2, until no pair of the list is left.
# 4. Look every symbol up in `vocab` and return the list of ids.
#
# `merges` is a list of pairs `(left, right)`, tuples or two-element lists (JSON files have lists); `vocab` is a dict from symbol to id. The text is one piece: a space is a character like any other. `text` can be `bytes` too, and then the symbols, the merges and the keys of `vocab` are `bytes`; this is how GPT-2's tokenizer and most since then work, since 256 bytes cover every text there is. A symbol that is not in `vocab` must not vanish silently: raise `KeyError` with the symbol in the message.
#
# Example: with `merges = [("b", "c"), ("a", "b")]` the text `"abc"` becomes `a`, `bc`. The pair `ab` comes first in the text, but `bc` has the lower rank, and once it is glued there is no `ab` left.
#
# <details><summary>Hint 1</summary>
#
# A dict from pair to rank tells you in one look-up whether a pair may be merged and how early. The list of symbols changes after every round, so the pairs must be collected anew.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `min(pairs, key=...)` finds the best pair of a round. Build the new list by walking through the old one with an index that moves on by 2 after a merge and by 1 otherwise. Slicing, `text[i : i + 1]`, gives single characters of a `str` and single bytes of `bytes`.
#
# </details>


# %% solution="bpe_encode"
def bpe_encode(text, merges, vocab):
    """Token ids of `text` by byte-pair encoding with ranked merges.

    text: str or bytes, one piece. merges: list of pairs (left, right), the index is the rank, the lowest rank is merged
    first, all its occurrences from left to right. vocab: dict from symbol (of the type of text) to id.
    Returns a list of int, empty for an empty text. Raises KeyError with the symbol when one is not in vocab.
    """
    ### BEGIN SOLUTION
    ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
    symbols = [text[i : i + 1] for i in range(len(text))]
    while True:
        known = [pair for pair in pairwise(symbols) if pair in ranks]
        if not known:
            return [vocab[symbol] for symbol in symbols]
        best = min(known, key=ranks.get)
        merged = []
        i = 0
        while i < len(symbols):
            if tuple(symbols[i : i + 2]) == best:
                merged.append(best[0] + best[1])
                i += 2
            else:
                merged.append(symbols[i])
                i += 1
        symbols = merged
    ### END SOLUTION


# %% tryit="bpe_encode"
names = {i: symbol for symbol, i in VOCAB.items()}
for sentence in ("the token", "then another", "no token then"):
    ids = bpe_encode(sentence, MERGES, VOCAB)
    print(f"{sentence!r}: {len(sentence)} characters, {len(ids)} tokens {[names[i] for i in ids]}")


# %% test="bpe_encode" points=1
def test_bpe_encode():
    merges = [("b", "c"), ("a", "b"), ("bc", "d")]
    vocab = {"a": 0, "b": 1, "c": 2, "d": 3, "bc": 4, "ab": 5, "bcd": 6}
    got = bpe_encode("abc", merges, vocab)
    assert got is not None, "bpe_encode returned None: is there a return statement?"
    assert list(got) != [5, 2], "'abc' gave ab, c: the pair (b, c) has the lower rank, so it is merged first"
    assert list(got) == [0, 4], f"'abc' should give a, bc = [0, 4], you returned {got}"
    got = bpe_encode("abcd", merges, vocab)
    assert list(got) != [0, 4, 3], "'abcd' gave a, bc, d: one merge makes a new pair (bc, d) possible; look again"
    assert list(got) == [0, 6], f"'abcd' should give a, bcd = [0, 6], you returned {got}"
    got = bpe_encode("bcbc", merges, vocab)
    assert list(got) == [4, 4], f"'bcbc' should give bc, bc = [4, 4], you returned {got}: every occurrence is merged"
    assert list(bpe_encode("", merges, vocab)) == [], "an empty text has no tokens"
    try:
        got = bpe_encode("ab?", merges, vocab)
    except KeyError as error:
        assert "?" in str(error), f"the KeyError should name the symbol '?', it says: {error}"
    else:
        raise AssertionError(f"'?' is not in the vocabulary: raise KeyError, do not return {got}")


test_bpe_encode()


# %% hidden="bpe_encode" points=3
def hidden_bpe_encode():
    from itertools import pairwise

    import numpy as np
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    def learn(text, n_merges):
        # the usual training: glue the most frequent pair, remember the order
        symbols, merges = list(text), []
        for _ in range(n_merges):
            counts = {}
            for pair in pairwise(symbols):
                counts[pair] = counts.get(pair, 0) + 1
            pair = max(sorted(counts), key=counts.get)
            merges.append(pair)
            glued, i = [], 0
            while i < len(symbols):
                if tuple(symbols[i : i + 2]) == pair:
                    glued.append("".join(pair))
                    i += 2
                else:
                    glued.append(symbols[i])
                    i += 1
            symbols = glued
        return merges

    rng = np.random.default_rng(11)
    for alphabet in ("ab", "abc ", "abcdefgh é"):
        letters = sorted(alphabet)
        corpus = "".join(rng.choice(letters, 400))
        merges = learn(corpus, 30)
        vocab = {symbol: 7 + i for i, symbol in enumerate(letters)}
        for left, right in merges:
            vocab.setdefault(left + right, 7 + len(vocab))
        oracle = Tokenizer(BPE(vocab=vocab, merges=merges))
        for _ in range(20):
            text = "".join(rng.choice(letters, int(rng.integers(1, 60))))
            wanted = oracle.encode(text).ids
            got = bpe_encode(text, merges, vocab)
            assert list(got) == wanted, (
                f"{text!r}: Hugging Face's tokenizers gives {wanted}, you returned {got} "
                "(merge by rank, every occurrence, until nothing is left to merge)"
            )
    vocab = {"a": 0, "aa": 1, "aaaa": 2}
    for text, wanted in (("aaa", [1, 0]), ("aaaa", [2]), ("aaaaaaa", [2, 1, 0])):
        got = bpe_encode(text, [("a", "a"), ("aa", "aa")], vocab)
        assert list(got) == wanted, (
            f"{text!r} should give {wanted}, you returned {got}: overlapping pairs go left to right"
        )
    got = bpe_encode("abc", [("a", "b")], {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "bc": 5})
    assert list(got) == [3, 2], (
        f"'abc' should give ab, c = [3, 2], you returned {got}: only merges build longer symbols"
    )
    vocab = {"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4, "abc": 5}
    got = bpe_encode("abc", [("ab", "c"), ("b", "c")], vocab)
    assert list(got) == [0, 4], (
        f"'abc' should give a, bc, you returned {got}: (a, bc) is not in the list, a pair that glues to the same is"
    )
    text = "né".encode()
    vocab = {bytes([i]): i for i in range(256)} | {"é".encode(): 256}
    got = bpe_encode(text, [(b"\xc3", b"\xa9")], vocab)
    assert list(got) == [110, 256], f"the bytes of 'né' should give [110, 256], you returned {got}"
    merges, vocab = [["a", "b"]], {"a": 0, "b": 1, "ab": 2}
    assert list(bpe_encode("bab", merges, vocab)) == [1, 2], "a pair may come as a list, as JSON files have it"
    assert (merges, vocab) == ([["a", "b"]], {"a": 0, "b": 1, "ab": 2}), "bpe_encode changed its arguments"


hidden_bpe_encode()

# %% [markdown] task="stream_text" stars=2 minutes=20
# ## 2. Text back from tokens
#
# Tokens are made of bytes, and a character of UTF-8 has one to four of them, so a token can end in the middle of a character. Whoever shows a text while it is being written must wait for the rest of it.
#
# Write `stream_text(token_ids, token_bytes)`. `token_bytes[i]` is the `bytes` that token `i` stands for. Return a list of $N + 1$ strings for $N$ tokens: string $n$ is what can be shown as soon as token $n$ has arrived, and the last one is what is left when the text has ended. Show every character as soon as its last byte is there, and no part of one before.
#
# All strings joined must be what `bytes.decode("utf-8", errors="replace")` makes of all bytes joined. So bytes that can never become a character are shown as U+FFFD (�), and so is a character that is still unfinished at the end.
#
# Example: `"é"` is the two bytes `c3 a9`. With `token_bytes = [b"\xc3", b"\xa9", b" ok"]` the ids `[0, 1, 2]` give `["", "é", " ok", ""]`, and `[2, 0]` gives `[" ok", "", "�"]`. No tokens give `[""]`.
#
# An id below 0 or at least `len(token_bytes)` raises `IndexError` with the id in the message.
#
# <details><summary>Hint 1</summary>
#
# Something must remember the unfinished bytes from one token to the next. Python's library has such a thing: look at the incremental decoders of the module `codecs`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `codecs.getincrementaldecoder("utf-8")` is a class; give its constructor the `errors` that the task names. Its method `decode` takes some bytes and returns the text that is complete, and its argument `final` says that no more will come.
#
# </details>


# %% solution="stream_text"
def stream_text(token_ids, token_bytes):
    """What can be shown of a text as its tokens arrive, in UTF-8.

    token_ids: N ids. token_bytes: list of bytes, one per id. Returns a list of N + 1 str: what each token completes, and
    what is left at the end. Joined they are the decoded text, U+FFFD for bytes that are not UTF-8.
    Raises IndexError with the id when one is negative or not below len(token_bytes).
    """
    ### BEGIN SOLUTION
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    shown = []
    for i in token_ids:
        if not 0 <= i < len(token_bytes):
            raise IndexError(f"token id {i} is outside the vocabulary of {len(token_bytes)}")
        shown.append(decoder.decode(token_bytes[i]))
    return [*shown, decoder.decode(b"", final=True)]
    ### END SOLUTION


# %% tryit="stream_text"
# Every byte is a token here, so that every character of more than one byte is split.
all_bytes = [bytes([i]) for i in range(256)]
for sentence in ("no surprise", "né à Zürich", "5 € 🙂"):
    print(stream_text(list(sentence.encode()), all_bytes))


# %% test="stream_text" points=1
def test_stream_text():
    table = [b"\xc3", b"\xa9", b" ok", b"\xf0\x9f", b"\x99\x82", b"a"]
    got = stream_text([0, 1, 2], table)
    assert got is not None, "stream_text returned None: is there a return statement?"
    assert len(got) == 4, f"3 tokens give 4 strings (the last: what is left at the end), you returned {len(got)}"
    assert "\ufffd" not in "".join(got), (
        f"the two bytes of 'é' were decoded apart, each to U+FFFD: keep unfinished bytes for the next token ({got})"
    )
    assert list(got) == ["", "é", " ok", ""], f"expected ['', 'é', ' ok', ''], you returned {got}"
    got = stream_text([5, 3, 4, 5], table)
    assert list(got) == ["a", "", "🙂", "a", ""], (
        f"show each character as soon as its last byte is there: ['a', '', '🙂', 'a', ''], you returned {got}"
    )
    got = stream_text([2, 0], table)
    assert list(got) == [" ok", "", "\ufffd"], (
        f"a character that is unfinished at the end becomes U+FFFD in the last string, you returned {got}"
    )
    assert list(stream_text([], table)) == [""], "no tokens give one empty string"
    for bad in (6, -1):
        try:
            stream_text([5, bad], table)
        except IndexError as error:
            assert str(bad) in str(error), f"the IndexError should name the id {bad}, it says: {error}"
        else:
            raise AssertionError(f"id {bad} was accepted for {len(table)} tokens (negative ids count from the end)")


test_stream_text()


# %% hidden="stream_text" points=2
def hidden_stream_text():
    import codecs

    import numpy as np

    rng = np.random.default_rng(12)
    letters = list("ab \néßЖ€漢한👍🏽\U0001f1eb")
    for _ in range(60):
        text = "".join(rng.choice(letters, int(rng.integers(0, 25))))
        data, cuts = text.encode(), []
        while sum(cuts) < len(data):
            cuts.append(min(int(rng.integers(1, 6)), len(data) - sum(cuts)))
        edges = [sum(cuts[:i]) for i in range(len(cuts) + 1)]
        table = [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]
        order = rng.permutation(len(table)).tolist()
        shuffled = [table[i] for i in order]
        ids = [order.index(i) for i in range(len(table))]
        # the oracle counts characters by their own last byte
        ends = [len(text[: i + 1].encode()) for i in range(len(text))]
        want = [
            "".join(c for c, end in zip(text, ends, strict=True) if a < end <= b)
            for a, b in zip(edges, edges[1:], strict=False)
        ] + [""]
        got = list(stream_text(ids, shuffled))
        assert "".join(got) == text, f"joined, the strings are not the text: {got} for {text!r}"
        assert got == want, f"each character belongs to the token that holds its last byte: {want}, you returned {got}"
    broken = (b"a\xffb", b"\xc3(", b"\xf0\x9f\x99", b"\xe2\x82", b"\x80\x80", b"\xc3\xa9\xc3", b"\xed\xa0\x80")
    for data in (*broken, b"\xff\xc3\xa9", b"\xef\xbb\xbfa"):
        for size in (1, 2, len(data)):
            table = [data[i : i + size] for i in range(0, len(data), size)]
            got = list(stream_text(range(len(table)), table))
            want = data.decode("utf-8", errors="replace")
            assert "".join(got) == want, f"bytes that are not UTF-8: joined {want!r} was expected, you returned {got}"
            assert len(got) == len(table) + 1, "one string per token and one for the end"
    table = [b"\xe2", b"\x82", b"\xac", b"", b"z"]
    got = list(stream_text([0, 3, 1, 3, 2, 4], table))
    assert got == ["", "", "", "", "€", "z", ""], f"a token may be empty and a character have three tokens, got {got}"
    assert list(stream_text([4, 4], table)) == ["z", "z", ""], "a second call starts with nothing held back"
    stream_text([0], table)
    assert list(stream_text([4], table)) == ["z", ""], "bytes held back by one call must not show up in the next"
    ids = [4, 0, 1, 2]
    stream_text(ids, table)
    assert ids == [4, 0, 1, 2], f"the caller's ids changed to {ids}: leave them as they are"
    got = list(stream_text([40_000, 0], [b"a"] + [b""] * 39_999 + [b"z"]))
    assert got == ["z", "a", ""], f"id 40000 of a table of 40001 stands for b'z', you returned {got}"
    for bad in ([5], [-1], [4, -5], [0, 99]):
        try:
            stream_text(bad, table)
        except IndexError:
            continue
        raise AssertionError(f"ids {bad} were accepted for {len(table)} tokens")
    for pieces in ([b"\xef\xbf\xbd"], [b"\xff", b"a"], [b"\xe6", b"a", b"b"], [b"\xe6\x9c", b"\xe6\x9c\xac"]):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        want = [decoder.decode(piece) for piece in pieces] + [decoder.decode(b"", final=True)]
        got = list(stream_text(list(range(len(pieces))), pieces))
        assert got == want, (
            f"bytes {pieces}: broken ones are shown as soon as they are known, {want}; you returned {got}"
        )


hidden_stream_text()

# %% [markdown] task="embed" stars=1 minutes=10
# ## 3. Embedding
#
# The first thing a model does with ids is a table look-up: row `i` of the embedding matrix is the vector of token `i`. Write `embed(token_ids, embedding)` that takes $N$ ids and the matrix `[vocab, d]` and returns the rows as an array `[N, d]`, with the dtype of the matrix.
#
# Example: with `embedding = [[0, 0], [1, 10], [2, 20]]` the ids `[2, 1, 2]` give `[[2, 20], [1, 10], [2, 20]]`.
#
# An id below 0 or at least `vocab` is a mistake of the caller, mostly a tokenizer that belongs to another model. Raise `IndexError` with the id in the message. NumPy does it for ids that are too large, but for it `-1` means the last row. No ids at all are fine and give an array of shape `(0, d)`.
#
# <details><summary>Hint 1</summary>
#
# NumPy indexes a matrix with an array of integers and gives one row for each. What remains is to look at the smallest and the largest id first.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.asarray([])` is an array of floats, which NumPy rejects as an index: say that you want integers. An empty array has no minimum, so go through the ids or ask for their number first.
#
# </details>


# %% solution="embed"
def embed(token_ids, embedding):
    """The embedding vectors of token_ids.

    token_ids: N ids, list or array of int. embedding: [vocab, d].
    Returns a new array [N, d] of embedding's dtype. Raises IndexError when an id is negative or not below vocab.
    """
    ### BEGIN SOLUTION
    ids = np.asarray(token_ids)
    if ids.size == 0:
        ids = ids.astype(np.int64)
    outside = ids[(ids < 0) | (ids >= len(embedding))]
    if outside.size:
        raise IndexError(f"token id {outside[0]} is outside the vocabulary of {len(embedding)}")
    return embedding[ids]
    ### END SOLUTION


# %% tryit="embed"
# Eight ids that stand for the prompt "Why there is always so much to learn?", and a table of Llama-2-7B's size in which
# row i holds i everywhere.
prompt_ids = [2993, 1011, 318, 6717, 1121, 632, 311, 13779]
table = np.broadcast_to(np.arange(32000, dtype=np.float32)[:, None], (32000, 4096))
print(embed(prompt_ids, table).shape)
print(embed(prompt_ids, table)[:, :3])


# %% test="embed" points=1
def test_embed():
    import numpy as np

    table = np.arange(30.0).reshape(10, 3)
    got = embed([2, 7, 2], table)
    assert got is not None, "embed returned None: is there a return statement?"
    assert np.shape(got) == (3, 3), f"3 ids and d = 3 should give shape (3, 3), you returned {np.shape(got)}"
    want = np.array([[6.0, 7, 8], [21, 22, 23], [6, 7, 8]])
    assert np.array_equal(got, want), f"ids [2, 7, 2] should give the rows 2, 7 and 2, you returned {got}"
    for bad in (10, -1):
        try:
            embed([0, bad], table)
        except IndexError as error:
            assert str(bad) in str(error), f"the IndexError should name the id {bad}, it says: {error}"
        else:
            raise AssertionError(
                f"id {bad} was accepted for a vocabulary of 10 (NumPy counts negative ids from the end)"
            )


test_embed()


# %% hidden="embed" points=1
def hidden_embed():
    import numpy as np

    got = np.asarray(embed(np.zeros(0, int), np.ones((3, 2), np.float32)))
    assert got.shape == (0, 2) and got.dtype == np.float32, (
        f"no ids: 0 rows of the table's kind, not {got.dtype} {got.shape}"
    )
    rng = np.random.default_rng(2)
    for dtype in (np.float64, np.float32, np.float16):
        vocab, d, n = (int(i) for i in rng.integers(2, 20, 3))
        table = rng.standard_normal((vocab, d)).astype(dtype)
        ids = rng.integers(0, vocab, n)
        ids[:2] = (0, vocab - 1)
        got = np.asarray(embed(ids, table))
        assert got.dtype == dtype, (
            f"a table of {np.dtype(dtype)} should give {np.dtype(dtype)}, you returned {got.dtype}"
        )
        assert got.shape == (n, d), f"{n} ids and d = {d}: you returned shape {got.shape}"
        for i in range(n):
            for j in range(d):
                assert got[i, j] == table[ids[i]][j], f"position {i} (id {ids[i]}) does not hold row {ids[i]}"
        before = table.copy()
        got[...] = 0
        assert np.array_equal(table, before), "writing into the result changed the table: return new rows"
        for bad in (-1, -vocab, vocab, vocab + 5):
            for where in ([bad], [0, bad], [bad, 0, 0]):
                try:
                    embed(where, table)
                except IndexError:
                    continue
                raise AssertionError(f"ids {where} were accepted for a vocabulary of {vocab}")
    got = np.asarray(embed([], np.zeros((5, 4))))
    assert got.shape == (0, 4), f"no ids should give shape (0, 4), you returned {got.shape}"
    table = np.arange(5.0)[:, None]
    np.asarray(embed([1, 2, 3], table))[...] = 0
    assert table[1:4, 0].tolist() == [1, 2, 3], "writing into the result for neighbouring ids changed the table"
    ids = [2993, 1011, 318, 6717, 1121, 632, 40_000, 69_999]  # the last two do not fit into 16 bits
    got = np.asarray(embed(ids, np.arange(70_000, dtype=np.float32)[:, None]))
    assert got.shape == (8, 1) and got[:, 0].tolist() == ids, f"row i of this table holds i, you returned {got[:, 0]}"
    got = np.asarray(embed(ids[::-1], np.arange(70_000, dtype=np.float32)[:, None]))
    assert got[:, 0].tolist() == ids[::-1], f"the same ids in the other order: you returned {got[:, 0]}"


hidden_embed()

# %% [markdown] task="softmax" stars=1 minutes=15
# ## 4. Softmax
#
# The model's scores, the logits, are any real numbers. Softmax makes probabilities of them:
#
# $$p_i = \frac{e^{z_i}}{\sum_j e^{z_j}}$$
#
# Write `softmax(logits, axis=-1)` for an array of any shape, or a list; along `axis` the result sums to 1. A float array keeps its dtype, integers give floats, and the input is left as it was.
#
# Computed as it stands, $e^{10000}$ is infinite and the quotient `nan`. Adding the same number to all logits changes nothing in exact arithmetic (it cancels), so subtract the largest first: then the largest exponent is $e^0 = 1$.
#
# Example: `softmax([0, ln 3])` is `[0.25, 0.75]`, and so is `softmax([10000, 10000 + ln 3])`. A logit of `-inf` means "impossible" and gets probability 0.
#
# <details><summary>Hint 1</summary>
#
# Both the maximum and the sum belong to one slice along `axis`, not to the whole array.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `keepdims=True` leaves an axis of length 1 behind, so that the result of `max` or `sum` can be subtracted from, or divide, the array it came from. `x -= m` would write into the caller's array.
#
# </details>


# %% solution="softmax"
def softmax(logits, axis=-1):
    """Probabilities of logits along one axis, numerically stable.

    logits: array of any shape; -inf gives probability 0. Returns a new array of the same shape that sums to 1 along axis,
    in logits' dtype if that is a float, else float64.
    """
    ### BEGIN SOLUTION
    z = np.asarray(logits)
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)
    ### END SOLUTION


# %% tryit="softmax"
row = softmax(toy_step([LETTERS.index("t")]))[0]
for i in np.argsort(row)[::-1][:3]:
    print(f"after 't': {LETTERS[i]!r} with probability {row[i]:.3f}")


# %% test="softmax" points=1
def test_softmax():
    import warnings

    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = softmax(np.array([0.0, np.log(3.0)]))
        assert got is not None, "softmax returned None: is there a return statement?"
        np.testing.assert_allclose(got, [0.25, 0.75], rtol=1e-12, err_msg="softmax([0, ln 3]) should be [1/4, 3/4]")
        got = softmax(np.array([1e4, 1e4 + np.log(3.0)]))
        assert not np.isnan(got).any(), "logits of 1e4 gave nan: exp overflowed; subtract the maximum first"
        np.testing.assert_allclose(got, [0.25, 0.75], rtol=1e-10, err_msg="a constant added to all logits must cancel")
        table = np.array([[0.0, 0.0], [0.0, np.log(3.0)]])
        np.testing.assert_allclose(
            softmax(table), [[0.5, 0.5], [0.25, 0.75]], rtol=1e-12, err_msg="by default each row sums to 1 (axis=-1)"
        )
        np.testing.assert_allclose(
            softmax(table, axis=0), [[0.5, 0.25], [0.5, 0.75]], rtol=1e-12, err_msg="with axis=0 each column sums to 1"
        )
    assert table[1, 1] == np.log(3.0), "softmax changed its input: work on a new array"


test_softmax()


# %% hidden="softmax" points=2
def hidden_softmax():
    import numpy as np
    import torch

    rng = np.random.default_rng(3)
    for shape in ((5,), (5,), (3, 4), (4, 4), (2, 3, 4), (1, 6), (3, 1)):
        for axis in range(-len(shape), len(shape)):
            z = rng.normal(0, 5, shape)
            before = z.copy()
            want = torch.softmax(torch.tensor(z), dim=axis).numpy()
            got = softmax(z, axis)
            np.testing.assert_allclose(
                got, want, rtol=1e-10, err_msg=f"shape {shape}, axis {axis} differs from torch.softmax"
            )
            assert np.array_equal(z, before), "softmax changed its input: work on a new array"
    z = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4 - 1, -1e4 + 1], [-2e3, -2e3, -2e3]])
    want = torch.softmax(torch.tensor(z), dim=-1).numpy()
    np.testing.assert_allclose(
        softmax(z), want, rtol=1e-10, err_msg="logits far from 0: subtract each row's own maximum"
    )
    got = softmax(np.array([0.0, -np.inf, 0.0]))
    np.testing.assert_allclose(got, [0.5, 0, 0.5], err_msg="a logit of -inf is a token that cannot come: probability 0")
    got = softmax(np.array([1, 1, 1, 1]))
    np.testing.assert_allclose(got, [0.25] * 4, rtol=1e-12, err_msg="integer logits should give float probabilities")
    got = softmax(np.zeros((2, 4), dtype=np.float32))
    assert got.dtype == np.float32, f"float32 logits should give float32, you returned {got.dtype}"
    np.testing.assert_allclose(softmax([0.0, 0.0]), [0.5, 0.5], rtol=1e-12, err_msg="a list of logits should work too")


hidden_softmax()

# %% [markdown] task="next_token" stars=1 minutes=10
# ## 5. The greedy choice
#
# For $N$ tokens the model returns logits `[N, V]`: row $i$ scores every vocabulary entry as the token that comes after token $i$. To continue the text, only the **last** row counts. Write `next_token(logits)`, for an array or a list of lists, that returns the id with the largest logit of the last row, as a Python `int`. Softmax is not needed, since it keeps the order. Of equal logits take the lowest id, as `np.argmax` and `torch.argmax` on a CPU do.
#
# Example: `[[9, 0, 0], [0, 1, 2]]` gives 2. The 9 belongs to the first position.
#
# Only logits `[N, V]` with at least one row make sense (name the shape otherwise): for a single row `[V]`, "the last position" would silently be the last number.
#
# <details><summary>Hint 1</summary>
#
# `np.argmax` without an axis looks at the whole array. Cut the row out first.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `ndim` and `len` of the array tell whether it is a table with a last row. `np.argmax` returns a NumPy integer; `int(...)` makes it plain.
#
# </details>


# %% solution="next_token"
def next_token(logits):
    """The greedy next token: the id of the largest logit at the last position.

    logits: [N, V], N at least 1. Returns an int, the lowest id among equals. Raises ValueError for any other shape.
    """
    ### BEGIN SOLUTION
    logits = np.asarray(logits)
    if logits.ndim != 2 or len(logits) == 0:
        raise ValueError(f"logits must be [N, V] with N at least 1, got shape {logits.shape}")
    return int(np.argmax(logits[-1]))
    ### END SOLUTION


# %% tryit="next_token"
ids = [LETTERS.index(letter) for letter in "th"]
print(f"after 'th' comes {LETTERS[next_token(toy_step(ids))]!r}")


# %% test="next_token" points=1
def test_next_token():
    import numpy as np

    logits = np.array([[9.0, 0.0, 0.0], [0.0, 1.0, 2.0]])
    got = next_token(logits)
    assert got is not None, "next_token returned None: is there a return statement?"
    assert isinstance(got, int), f"return one id as an int, not {type(got).__name__}"
    assert got != 0, (
        "you returned 0: the largest number of the whole table, or of the first row; only the last row counts"
    )
    assert got == 2, f"the last row [0, 1, 2] is largest at id 2, you returned {got}"
    try:
        next_token(np.array([3.0, 1.0, 2.0]))
    except ValueError as error:
        assert "3" in str(error), f"the ValueError should name the shape (3,), it says: {error}"
    else:
        raise AssertionError("logits of shape (3,) were accepted: they must be [N, V]")


test_next_token()


# %% hidden="next_token" points=1
def hidden_next_token():
    import numpy as np

    rng = np.random.default_rng(4)
    for _ in range(30):
        n, vocab = (int(i) for i in rng.integers(1, 8, 2))
        logits = rng.normal(-20, 5, (n, vocab))
        logits[0, 0] += 40 if n > 1 else 0
        best = 0
        for i in range(vocab):
            if logits[n - 1, i] > logits[n - 1, best]:
                best = i
        before = logits.copy()
        got = next_token(logits)
        assert got == best, f"{n} positions: the last row is largest at id {best}, you returned {got}"
        assert isinstance(got, int) and np.array_equal(logits, before), "return an int and leave the logits as they are"
    got = next_token(np.array([[1000.0, 1001.0, -1000.0]]))
    assert got == 1, f"logits of 1000 and 1001: the id is 1, you returned {got} (exp overflows, and is not needed)"
    got = next_token(np.array([[1.0, 1.0 + 1e-12, 0.0]]))
    assert got == 1, f"1 + 1e-12 is larger than 1, you returned {got}: compare the logits as they are"
    got = next_token(np.array([[0.0, 5.0, 5.0, 5.0]]))
    assert got == 1, f"of the equal logits at 1, 2 and 3 the lowest id is taken, you returned {got}"
    got = next_token(np.array([[20.0, 20.001]]))
    assert got == 1, f"logits of 20 and 20.001: the id is 1, you returned {got}"
    got = next_token([[5, 0], [0, 5]])
    assert got == 1, f"a plain list [[5, 0], [0, 5]] should give 1, you returned {got}"
    for shape in ((0, 4), (4,), (1, 2, 4)):
        try:
            next_token(np.zeros(shape))
        except ValueError:
            continue
        raise AssertionError(f"logits of shape {shape} were accepted: they must be [N, V] with N at least 1")


hidden_next_token()

# %% [markdown] task="generate" stars=2 minutes=20
# ## 6. The loop
#
# A model predicts one token. To write a text, append the token and ask again: that is all *autoregressive* means. Write `generate(step, prompt_ids, max_new_tokens, eos_id=None)`. `step(ids)` is the model: it takes the list of all ids so far and returns logits `[N, V]`. Choose greedily; you may call your `next_token`.
#
# Return one list of plain Python `int`s: the prompt's ids followed by the new ones. The prompt may be a list or an array. The loop ends after `max_new_tokens` new ids, or right after `eos_id` (end of sequence) has been generated; the `eos_id` itself is part of the result. An `eos_id` inside the prompt ends nothing. Do not change the caller's `prompt_ids`, and do not call `step` more often than you need to.
#
# Example: with a `step` that always prefers id `last + 1`, `generate(step, [3], 4)` is `[3, 4, 5, 6, 7]` and `generate(step, [3], 4, eos_id=5)` is `[3, 4, 5]`.
#
# A negative `max_new_tokens` and an empty prompt make no sense; 0 new tokens are fine and cost no step.
#
# <details><summary>Hint 1</summary>
#
# Copy the prompt into a new list first. Then it is a loop of three lines: ask, append, stop or go on.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Compare the new token with `eos_id` after you have appended it. `eos_id` can be 0, so compare with `==` and do not ask whether it is true.
#
# </details>


# %% solution="generate"
def generate(step, prompt_ids, max_new_tokens, eos_id=None):
    """Greedy autoregressive generation.

    step: function from a list of ids to logits [N, V]. prompt_ids: at least one id, left as it is. max_new_tokens: 0 or
    more. eos_id: the id that ends the text once generated, None for never.
    Returns the list prompt + new ids, eos_id included. Raises ValueError for an empty prompt or negative max_new_tokens.
    """
    ### BEGIN SOLUTION
    ids = [int(i) for i in prompt_ids]
    if not ids:
        raise ValueError("prompt_ids is empty: the model needs at least one token to continue from")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must not be negative, got {max_new_tokens}")
    for _ in range(max_new_tokens):
        ids.append(next_token(step(ids)))
        if ids[-1] == eos_id:
            break
    return ids
    ### END SOLUTION


# %% tryit="generate"
start = [LETTERS.index("q")]
print("".join(LETTERS[i] for i in generate(toy_step, start, 30)))
print("".join(LETTERS[i] for i in generate(toy_step, start, 30, eos_id=LETTERS.index(" "))), "(ends at the space)")


# %% test="generate" points=1
def test_generate():
    import numpy as np

    calls = []

    def step(ids):
        calls.append(list(ids))
        return np.eye(10)[[(i + 1) % 10 for i in ids]]

    prompt = [3]
    got = generate(step, prompt, 4)
    assert got is not None, "generate returned None: is there a return statement?"
    assert list(got) != [4, 5, 6, 7], "you returned the new ids alone: the prompt comes first"
    assert list(got) == [3, 4, 5, 6, 7], f"4 new ids after [3] should give [3, 4, 5, 6, 7], you returned {got}"
    assert prompt == [3], f"the caller's prompt was [3] and is now {prompt}: work on a copy"
    wanted = [[3], [3, 4], [3, 4, 5], [3, 4, 5, 6]]
    assert calls == wanted, f"step should see all ids so far each time, {wanted}; it saw {calls}"
    got = generate(step, [3], 4, eos_id=5)
    assert list(got) != [3, 4], "eos_id=5 is missing from the result: append it, then stop"
    assert list(got) == [3, 4, 5], f"with eos_id=5 generation ends after the 5: [3, 4, 5], you returned {got}"
    for prompt, count in (([3], -1), ([], 2)):
        try:
            generate(step, prompt, count)
        except ValueError:
            continue
        raise AssertionError(f"prompt {prompt} with max_new_tokens={count} was accepted: raise ValueError")


test_generate()


# %% hidden="generate" points=2
def hidden_generate():
    import numpy as np

    def make(vocab, a, b):
        calls = []

        def step(ids):
            calls.append(list(ids))
            logits = np.zeros((len(ids), vocab))
            for i in range(len(ids)):
                logits[i, (a * sum(ids[: i + 1]) + b * (i + 1)) % vocab] = 1.0
            return logits

        return step, calls

    rng = np.random.default_rng(5)
    for trial in range(60):
        vocab, a, b, length = (int(i) for i in rng.integers(2, 9, 4))
        count = int(rng.integers(0, 12))
        prompt = [int(i) for i in rng.integers(0, vocab, length)]
        eos = None if trial % 3 == 0 else int(rng.integers(0, vocab))
        want = tuple(prompt)
        while len(want) < length + count and (len(want) == length or want[-1] != eos):
            want += ((a * sum(want) + b * len(want)) % vocab,)
        step, calls = make(vocab, a, b)
        given = list(prompt)
        got = generate(step, given, count, eos)
        assert tuple(got) == want, (
            f"prompt {prompt}, {count} new, eos_id={eos}: expected {list(want)}, you returned {got}"
        )
        assert all(isinstance(i, int) for i in got), "the ids should be plain Python ints"
        assert given == prompt, f"the caller's prompt changed from {prompt} to {given}"
        assert len(calls) == len(want) - length, (
            f"{len(want) - length} new ids need as many steps, you made {len(calls)}"
        )
    step, calls = make(5, 1, 1)
    got = generate(step, np.array([1, 2]), 1)
    assert all(isinstance(i, int) for i in got), "a prompt given as an array: the ids should be plain Python ints"
    assert list(got) == [1, 2, 0], f"a prompt given as an array should work: expected [1, 2, 0], you returned {got}"
    got = generate(step, [1, 2], 3, 0)
    assert list(got) == [1, 2, 0], f"eos_id=0 is an id like any other: expected [1, 2, 0], you returned {got}"
    step, _ = make(50_000, 1, 1)
    got = generate(step, [40_000], 2)
    assert list(got) == [40_000, 40_001, 30_003], f"ids above 32767 are ids like any other: you returned {got}"
    step, calls = make(5, 1, 1)
    got = generate(step, [2, 1, 1, 1], 1, 2)
    assert list(got) == [2, 1, 1, 1, 4], f"eos_id inside the prompt ends nothing: you returned {got}"
    kinds = set()

    def next_of_three(ids):
        kinds.add(type(ids).__name__)
        return np.eye(3)[np.add(ids, 1) % 3]

    got = generate(next_of_three, [0] * 1200, 60)
    assert list(got[1200:]) == [1, 2, 0] * 20, (
        f"1,200 ids and 60 new ones: {len(got)} came back, or others than expected"
    )
    generate(next_of_three, np.array([1, 2]), 1)
    assert kinds == {"list"}, f"step takes the list of all ids, yours gives it {sorted(kinds)}"
    for prompt, count in (([], 0), ([], 3), ([1], -1), ([1], -5)):
        try:
            generate(step, prompt, count)
        except ValueError as error:
            assert prompt == [] or str(count) in str(error), f"the ValueError should name {count}, it says: {error}"
            continue
        raise AssertionError(f"prompt {prompt} with max_new_tokens={count} was accepted")


hidden_generate()

# %% [markdown] task="vocabulary_check" stars=1 minutes=10
# ## 7. The words, checked
#
# Four words carry this chapter: token, embedding, logits, autoregressive. Here they are asked in a form that a machine can mark; after it comes the same question in prose, read by a person.
#
# Write `vocabulary_check()`, which returns a dict with the ten entries below. The first five are letters. The last five are numbers about this case: a model with a vocabulary of 32,000, model size $d = 4096$ and 32 layers gets a prompt of 8 tokens and writes 5 new ones with the loop of exercise 6.
#
# - `"token"`: What is a token? **a** a word · **b** a character · **c** a piece of text from a fixed list, named by an integer · **d** a vector that stands for a word.
# - `"embedding"`: What is the embedding of a token? **a** a row of a learned table, the same wherever the token stands · **b** a vector computed from all tokens before it · **c** its id, divided by the vocabulary size · **d** the probability of the token.
# - `"logits"`: What are logits? **a** probabilities that sum to 1 · **b** the vectors between two layers · **c** the ids of the likeliest tokens · **d** raw scores, one per vocabulary entry.
# - `"autoregressive"`: What is autoregressive generation? **a** all new tokens are written in one pass · **b** each new token is appended to the input of the pass that predicts the next · **c** the model learns from its own text while it writes · **d** the text is written from right to left.
# - `"where"`: Where in the pass do logits appear? **a** at the input, from the embedding · **b** after each of the layers · **c** once, after the last layer and the final norm · **d** after the softmax.
# - `"embedded_shape"`: Shape of the embedded prompt, a pair of ints.
# - `"logits_shape"`: Shape of the logits of the first pass, a pair of ints.
# - `"rows_used"`: How many rows of them decide about the next token, an int.
# - `"num_passes"`: How many passes the 5 new tokens take, an int.
# - `"last_pass_tokens"`: How many tokens go into the last of these passes, an int.
#
# <details><summary>Hint 1</summary>
#
# Your `generate` knows three of the numbers: count the calls of `step` and look at what it is given.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The fifth new token is chosen in the last pass, so it is not part of that pass's input.
#
# </details>


# %% solution="vocabulary_check"
def vocabulary_check():
    """Answers to the ten questions of the list above.

    Returns a dict: "token", "embedding", "logits", "autoregressive" and "where" one of "a", "b", "c", "d";
    "embedded_shape" and "logits_shape" pairs of int; "rows_used", "num_passes" and "last_pass_tokens" int.
    """
    ### BEGIN SOLUTION
    return {
        "token": "c",
        "embedding": "a",
        "logits": "d",
        "autoregressive": "b",
        "where": "c",
        "embedded_shape": (8, 4096),
        "logits_shape": (8, 32000),
        "rows_used": 1,
        "num_passes": 5,
        "last_pass_tokens": 12,
    }
    ### END SOLUTION


# %% tryit="vocabulary_check"
for key, value in vocabulary_check().items():
    print(f"{key:17} {value}")


# %% test="vocabulary_check" points=1
def test_vocabulary_check():
    got = vocabulary_check()
    assert isinstance(got, dict), f"vocabulary_check should return a dict, you returned {type(got).__name__}"
    letters = ["token", "embedding", "logits", "autoregressive", "where"]
    shapes, counts = ["embedded_shape", "logits_shape"], ["rows_used", "num_passes", "last_pass_tokens"]
    missing = [key for key in letters + shapes + counts if key not in got]
    assert not missing, f"these keys are missing: {missing}"
    for key in letters:
        assert got[key] in ("a", "b", "c", "d"), f"{key!r} should be one of 'a', 'b', 'c', 'd', it is {got[key]!r}"
    for key in shapes:
        assert len(got[key]) == 2, f"{key!r} should be a pair of ints, it is {got[key]!r}"
    for key in counts:
        assert isinstance(got[key], int), f"{key!r} should be an int, it is {got[key]!r}"
    n, d = got["embedded_shape"]
    assert (n, d) != (4096, 8), "'embedded_shape': tokens come first, [N, d]"
    assert n == got["logits_shape"][0], (
        "the embedded prompt and the logits have one row per prompt token, as many as each other"
    )


test_vocabulary_check()


# %% hidden="vocabulary_check" points=3
def hidden_vocabulary_check():
    got = vocabulary_check()
    assert got["token"] == "c", f"token: {got['token']!r} is not it; 'the' and ' token' and '.' can each be one"
    assert got["embedding"] == "a", (
        f"embedding: {got['embedding']!r} is not it; what does embed look at besides the id?"
    )
    assert got["logits"] == "d", f"logits: {got['logits']!r} is not it; what does softmax get, and what does it give?"
    assert got["autoregressive"] == "b", f"autoregressive: {got['autoregressive']!r} is not it; read your loop again"
    assert got["where"] == "c", f"where: {got['where']!r} is not it; which matrix has a column per vocabulary entry?"
    shape = tuple(got["embedded_shape"])
    assert shape == (8, 4096), f"embedded_shape: you said {shape}; every one of the 8 ids becomes one row of the table"
    shape = tuple(got["logits_shape"])
    assert shape == (8, 32000), f"logits_shape: you said {shape}; every position scores every vocabulary entry"
    assert got["rows_used"] == 1, f"rows_used: you said {got['rows_used']}; which row does next_token read?"
    assert got["num_passes"] == 5, (
        f"num_passes: you said {got['num_passes']}; the pass over the prompt gives the first token"
    )
    count = got["last_pass_tokens"]
    assert count == 12, f"last_pass_tokens: you said {count}; the prompt and the new tokens chosen before this pass"


hidden_vocabulary_check()

# %% [markdown] answer="what_is_an_llm" points=4
# **What does a language model compute?** In 100 to 200 words, explain to a colleague what a *token*, an *embedding*, *logits* and *autoregressive* generation are, and say where in the pass the logits appear, what their shape is for a prompt of $N$ tokens, and which of them decide about the next token.
#
# ### BEGIN SOLUTION
# **Rubric** (half a point each, 4 in all): a token is a piece of text from a fixed vocabulary, named by an integer · the cut into tokens is made by a tokenizer that belongs to the model · an embedding is a row of a learned matrix `[vocab, d]`, the same row wherever the token stands · the layers turn the embeddings into vectors that depend on the tokens before · logits are raw scores, one per vocabulary entry, not probabilities · they appear once, at the end: after the last layer and the final norm, by the multiplication with the LM head · shape `[N, V]`, and only the last row decides about the next token · autoregressive: the new token is appended and the model is asked again, so writing $n$ tokens takes $n$ passes that depend on each other.
#
# **Model answer.** A tokenizer cuts the text into pieces of a fixed vocabulary and names each by an integer, its token id. The model first replaces every id by a row of its embedding matrix, a vector of $d$ numbers that is the same wherever the token stands. The layers then mix these vectors: what leaves the last layer at position $i$ depends on the tokens up to $i$. Only there, after a final normalisation, are the logits computed, by a multiplication with a matrix `[d, V]`, the LM head. They form a table `[N, V]`: row $i$ holds one raw score for every vocabulary entry as the token after token $i$. Softmax makes probabilities of a row. To write, only the last row is needed: choose a token from it, append it to the ids, and run the model again on the longer list. This loop is what autoregressive means; token 5 cannot be computed before token 4 is chosen.
# ### END SOLUTION

# %% [markdown] task="kv_unchanged" stars=2 minutes=20
# ## 8. Keys and values never change
#
# Inside each attention layer every position offers two vectors to the positions after it, a key and a value. Both are computed from what the layer gets at that position (chapter 2 says what they are for; here they are two arrays with a row per token). When the loop of exercise 6 runs the model again on one more token, are the old keys and values still the same? If yes, they can be kept, and that is the KV cache of chapter 3. Find out by experiment.
#
# `step_kv(ids)` runs a model over `ids` and returns the pair `(k, v)`. Both have the positions on the axis before the last: `[N, features]`, `[heads, N, head_dim]` or `[layers, N, features]`. Write `kv_unchanged(step_kv, ids, t)`: compute the K and V of position `t` from the shortest list that has this position, `ids[: t + 1]`, then from every longer prefix up to the whole of `ids`, and return `True` if both stay the same all the way, else `False`.
#
# "The same" means up to rounding, since a matrix product over more rows may add in another order: use `np.allclose` with `rtol=1e-5, atol=1e-6`. A `t` that is not a position of `ids` raises `IndexError` with `t` in the message. The last position has no later token: `True`.
#
# Example: `toy_kv` of the set-up cell is a two-layer attention model with a switch. With the causal mask the answer is `True` at every `t`, without it `False` at every `t` but the last.
#
# <details><summary>Hint 1</summary>
#
# `k[..., t, :]` is position `t` for all three shapes. A model can fail at one length only, so compare at every length.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The prefixes are `ids[:n]` for `n` from `t + 2` to `len(ids)`. One difference, in K or in V, decides; only when the loop has ended without one is the answer `True`.
#
# </details>


# %% solution="kv_unchanged"
def kv_unchanged(step_kv, ids, t):
    """Whether the keys and values of position t stay the same while later tokens come.

    step_kv: function from a list of ids to (k, v), each [..., N, features]. ids: all tokens. t: position, 0 to len(ids) - 1.
    Compares every prefix that is longer than t + 1 with ids[:t + 1], rtol 1e-5, atol 1e-6.
    Returns a bool. Raises IndexError when t is not a position of ids.
    """
    ### BEGIN SOLUTION
    if not 0 <= t < len(ids):
        raise IndexError(f"position t={t} is outside the {len(ids)} tokens")
    k_first, v_first = (array[..., t, :] for array in step_kv(ids[: t + 1]))
    for n in range(t + 2, len(ids) + 1):
        k, v = (array[..., t, :] for array in step_kv(ids[:n]))
        same_k = np.allclose(k, k_first, rtol=1e-5, atol=1e-6)
        same_v = np.allclose(v, v_first, rtol=1e-5, atol=1e-6)
        if not (same_k and same_v):
            return False
    return True
    ### END SOLUTION


# %% tryit="kv_unchanged"
tokens = [3, 1, 4, 1, 5, 2]
for causal in (True, False):
    kept = [kv_unchanged(lambda ids: toy_kv(ids, causal), tokens, t) for t in range(len(tokens))]  # noqa: B023
    print(f"causal mask {str(causal):5}: position kept {kept}")
for layer in range(2):
    one = kv_unchanged(lambda ids: [array[layer] for array in toy_kv(ids, causal=False)], tokens, 0)  # noqa: B023
    print(f"without the mask, layer {layer}: position 0 kept {one}")


# %% test="kv_unchanged" points=1
def test_kv_unchanged():
    import numpy as np

    def stays(ids):
        k = np.array([[i, i + 0.5] for i in ids])
        return k, -k

    def sees_all(ids):
        k = np.array([[i, sum(ids)] for i in ids], dtype=float)
        return k, k

    ids = [2, 1, 3, 1]
    got = kv_unchanged(stays, ids, 1)
    assert got is not None, "kv_unchanged returned None: is there a return statement?"
    assert got, "K and V of each position depend on its own token alone here: the answer is True"
    got = kv_unchanged(sees_all, ids, 1)
    assert isinstance(got, bool | np.bool), f"return True or False, not {got}"
    assert not got, "every key holds the sum of all ids here: it changes with each new token"
    assert kv_unchanged(sees_all, ids, 3), "position 3 is the last: no later token can change it, the answer is True"
    for bad in (4, -1):
        try:
            kv_unchanged(stays, ids, bad)
        except IndexError as error:
            assert str(bad) in str(error), f"the IndexError should name t={bad}, it says: {error}"
        else:
            raise AssertionError(f"t={bad} was accepted for 4 tokens")


test_kv_unchanged()


# %% hidden="kv_unchanged" points=2
def hidden_kv_unchanged():
    import numpy as np

    table = np.random.default_rng(6).standard_normal((9, 3))

    def model(change=None, heads=False, noise=0.0):
        # change = (array 0 or 1, length, position, size): what this model disturbs; everything else stays
        def step_kv(ids):
            rows = np.array([[table[ids[i]] + sum(ids[: i + 1])] for i in range(len(ids))])[:, 0]
            pair = [rows + 0.0, 2 * rows]
            if change and len(ids) == change[1]:
                pair[change[0]][change[2], 1] += change[3]
            pair = [p * (1 + noise * len(ids)) for p in pair]
            return tuple(np.stack([p, p + 1]) if heads else p for p in pair)

        return step_kv

    seen = []

    def watching(ids):
        seen.append(tuple(ids))
        return np.ones((len(ids), 2)), np.ones((len(ids), 2))

    kv_unchanged(watching, [40_000, 7, 49_151], 0)
    assert set(seen) <= {(40_000, 7, 49_151)[:n] for n in range(1, 4)}, f"the model gets prefixes of ids, yours {seen}"
    ids = [3, 0, 7, 7, 2, 5]
    for heads in (False, True):
        for t in range(6):
            assert kv_unchanged(model(heads=heads), ids, t), f"nothing changes, t={t}: the answer is True"
            got = kv_unchanged(model(heads=heads, noise=1e-8), ids, t)
            assert got, "differences of rounding (1e-8 relative) do not count: use np.allclose"
            for n in range(t + 2, 7):
                for which in (0, 1):
                    for size in (1e-3, -1e-3):
                        got = kv_unchanged(model((which, n, t, size), heads), ids, t)
                        assert not got, (
                            f"{'KV'[which]} of position {t} changes by {size} when the list has {n} tokens: "
                            "compare K and V at every longer prefix"
                        )
                    for other in set(range(n)) - {t}:
                        got = kv_unchanged(model((which, n, other, 1.0), heads), ids, t)
                        assert got, f"only position {other} changes, you were asked about t={t}"
    for which in (0, 1):
        for head in (0, 1):

            def one_head(ids, which=which, head=head):
                pair = [np.ones((2, len(ids), 3)) for _ in "kv"]
                pair[which][head, 0] += 1.0 if len(ids) == 4 else 0.0
                return pair

            got = kv_unchanged(one_head, ids, 0)
            assert not got, f"{'KV'[which]} of head {head} alone changes: look at all heads"
    for value, step, same in ((100.0, 5e-4, True), (100.0, 1.5e-3, False), (0.0, 5e-7, True), (0.0, 1.5e-6, False)):
        for which in (0, 1):

            def nearly(ids, value=value, step=step, which=which):
                pair = [np.full((len(ids), 2), value) for _ in "kv"]
                pair[which][0, 0] += step if len(ids) == 3 else 0.0
                return pair

            got = kv_unchanged(nearly, [1, 2, 3], 0)
            assert got == same, (
                f"{'KV'[which]} goes from {value} to {value} + {step}: with rtol=1e-5, atol=1e-6 the answer is {same}"
            )
    for name, size in (("drifts by less than the tolerance at each length", 8e-4), ("becomes nan", np.nan)):

        def drifting(ids, size=size):
            pair = [np.full((len(ids), 2), 100.0) for _ in "kv"]
            pair[0][0, 0] += size * (len(ids) - 1) if len(ids) > 1 else 0.0
            return pair

        got = kv_unchanged(drifting, [1, 2, 3], 0)
        assert not got, f"K of position 0 {name}: compare with the shortest list every time, as np.allclose does"
    for bad in (6, 7, -1, -6):
        try:
            kv_unchanged(model(), ids, bad)
        except IndexError:
            continue
        raise AssertionError(f"t={bad} was accepted for 6 tokens")


hidden_kv_unchanged()

# %% [markdown] answer="kv_never_changes" points=3
# **Why do they never change?** In 80 to 150 words: why do the K and V of position $t$ stay the same when tokens come after it, and what in the model would have to be different for them to change? Your experiment shows that without the mask the *first* layer's K and V still stay: why?
#
# ### BEGIN SOLUTION
# **Rubric** (half a point each, 3 in all): K and V of a position are made from that position's own input to the layer, by fixed matrices · that input depends only on tokens up to $t$, because the causal mask lets attention look back only · everything between the attentions (norm, MLP, residual) works on each position alone · so by induction over the layers nothing at position $t$ ever sees a later token · without the mask, attention mixes later tokens into position $t$, and from layer two on its K and V change with every new token · the first layer's input is the embedding alone (and the position), so its K and V stay even then.
#
# **Model answer.** A layer computes the key and the value of position $t$ from the vector at position $t$, with fixed weights. In the first layer this vector is the embedding of token $t$ and nothing else, so it stays, mask or no mask. The layer's output at $t$ mixes in the values of the positions that the mask lets $t$ see: with a causal mask these are 0 to $t$. Norm, MLP and residual work on each position alone. So what layer two gets at $t$ depends on tokens 0 to $t$ only, and the same argument holds for every layer above. Tokens that come later cannot reach back, and the K and V of $t$ can be stored once and read for ever. Without the causal mask (as in BERT) the output of layer one at $t$ depends on every token there is; each new token would change K and V from layer two on, and a cache would hold stale values.
# ### END SOLUTION

# %% [markdown]
# ## What must stay true, what you measured
#
# Whatever makes generation faster in later chapters, greedy decoding must still give, token for token, what your `generate` gives. What you measured here: K and V of a position stay as they are under a causal mask, and only there.
