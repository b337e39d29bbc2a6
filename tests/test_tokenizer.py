"""The tokenizer against transformers' reading of the same file, against BPE written out, and the chat template."""

import pytest
import regex

from mini_engine.files import fetch
from mini_engine.files.gguf import GGUFFile
from mini_engine.tokenizer import byte_alphabet, load_smollm2_tokenizer, load_tokenizer, tokenizer_from_gguf

TEXTS = (
    "",
    "The year 2024 had 366 days, 1,000,000 people and 3.14159 pies.",
    "  two in front, two  between, two behind  ",
    "tabs\tand\n\nnew lines\r\n \n   x",
    'def f(x: int = 0) -> str:\n    """Doc."""\n    return f"{x!r}" if x >= 10**6 else str(x)  # done\n',
    "I'll say it's what we've done; they'd DON'T, won't.",
    "smile 😀, family 👩‍👩‍👧‍👦, flag 🇩🇰, thumb 👍🏽",
    "naïve café, Straße, ελληνικά, русский, עברית, العربية",
    "日本語のテキスト、한국어 텍스트, हिन्दी पाठ, ไทย",
    "digits ١٢٣ ४५६ 七八 ²³ ½ Ⅷ",
    "no-break\u00a0space, zero\u200bwidth, control \x00\x07\x1b, replacement \ufffd",
    "<|im_start|>user\nWhat?<|im_end|>\n",
    "a" * 200 + " " * 50 + "!" * 33,
)
CHATS = (
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi 👋\n\n"}],
    [
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": " and  then? "},
    ],
)


@pytest.fixture(scope="module")
def metadata(smollm2):
    return GGUFFile(fetch.fetch_gguf()).metadata


@pytest.fixture(scope="module")
def tokenizer(smollm2):
    return load_smollm2_tokenizer()


@pytest.fixture(scope="module")
def transformers_tokenizer(smollm2):
    from transformers import AutoTokenizer

    path = fetch.fetch_gguf()
    return AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)


class PlainBPE:
    """Byte-level BPE as GPT-2 and llama.cpp's `smollm` pre-tokenizer define it, one merge at a time."""

    WORDS = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

    def __init__(self, metadata):
        tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.ranks = {tuple(merge.split(" ")): i for i, merge in enumerate(metadata["tokenizer.ggml.merges"])}
        self.control = [token for token, kind in zip(tokens, types, strict=True) if kind == 3]
        self.letters = byte_alphabet()

    def encode(self, text):
        ids = []
        for piece in regex.split("(" + "|".join(map(regex.escape, self.control)) + ")", text):
            if piece in self.control:
                ids.append(self.ids[piece])
                continue
            for part in filter(None, regex.split(r"(\p{N})", piece)):
                for word in self.WORDS.findall(part):
                    ids += [self.ids[symbol] for symbol in self.merge([self.letters[b] for b in word.encode()])]
        return ids

    def merge(self, symbols):
        while len(symbols) > 1:
            pairs = list(zip(symbols, symbols[1:], strict=False))
            best = min(range(len(pairs)), key=lambda i: self.ranks.get(pairs[i], len(self.ranks)))
            if pairs[best] not in self.ranks:
                break
            symbols = symbols[:best] + ["".join(pairs[best])] + symbols[best + 2 :]
        return symbols


@pytest.mark.parametrize("text", TEXTS)
def test_ids_equal_bpe_written_out(tokenizer, metadata, text):
    assert tokenizer.encode(text) == PlainBPE(metadata).encode(text)


def test_ids_equal_transformers(tokenizer, transformers_tokenizer):
    for text in TEXTS:
        if "digits ١" in text:
            continue  # transformers drops the file's digit splitting: equal for 0 to 9 only
        assert tokenizer.encode(text) == transformers_tokenizer.encode(text), text


def test_every_text_comes_back(tokenizer):
    for text in TEXTS:
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_decode_equals_transformers_on_any_ids(tokenizer, transformers_tokenizer):
    """Also where the ids are no text at all: every id of the vocabulary, in an order that breaks characters."""
    ids = [(i * 7919) % tokenizer.vocab_size for i in range(0, tokenizer.vocab_size, 7)]
    for skip in (False, True):
        theirs = transformers_tokenizer.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)
        assert tokenizer.decode(ids, skip_special_tokens=skip) == theirs


@pytest.mark.parametrize("text", TEXTS)
def test_stream_shows_whole_characters_only(tokenizer, text):
    stream = tokenizer.stream(skip_special_tokens=False)
    pieces = [stream.feed(i) for i in tokenizer.encode(text)]
    assert "".join(pieces) == text and stream.finish() == ""
    assert "\ufffd" in text or not any("\ufffd" in piece for piece in pieces)


def test_stream_of_an_unfinished_character(tokenizer):
    stream = tokenizer.stream()
    first = tokenizer.encode("👩")[0]
    assert stream.feed(first) == "" and stream.feed(tokenizer.eos_token_id) == ""
    assert stream.finish() == "\ufffd"


@pytest.mark.parametrize("messages", CHATS)
@pytest.mark.parametrize("add_generation_prompt", [True, False])
def test_chat_template_equals_the_files_own(tokenizer, transformers_tokenizer, messages, add_generation_prompt):
    options = {"add_generation_prompt": add_generation_prompt, "tokenize": False}
    expected = transformers_tokenizer.apply_chat_template(messages, **options)
    assert tokenizer.apply_chat_template(messages, **options) == expected
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt)
    assert ids == transformers_tokenizer.encode(expected) and ids[0] == tokenizer.bos_token_id == 1


def test_bad_input(tokenizer):
    assert tokenizer.eos_token_id == 2 and tokenizer.vocab_size == 49_152
    for bad in (-1, 49_152):
        with pytest.raises(IndexError, match=str(bad)):
            tokenizer.decode([5, bad])
    with pytest.raises(ValueError, match="at least one message"):
        tokenizer.apply_chat_template([])


def test_a_damaged_tokenizer_cache_is_written_again(tokenizer, tmp_path, monkeypatch, capsys):
    gguf = fetch.gguf_path()
    monkeypatch.setenv("MINI_ENGINE_CACHE", str(tmp_path))
    (tmp_path / gguf.name).symlink_to(gguf)
    load_smollm2_tokenizer()
    (kept,) = tmp_path.glob("*.json")
    kept.write_text("{}")
    assert load_smollm2_tokenizer().encode("Hello") == tokenizer.encode("Hello")
    assert "damaged" in capsys.readouterr().err and kept.stat().st_size > 1000


def test_tokenizers_of_other_models(tokenizer, tmp_path):
    with pytest.raises(ValueError, match="llama/default"):
        tokenizer_from_gguf({"tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default"})
    with pytest.raises(ValueError, match="no tokenizer.json"):
        load_tokenizer(tmp_path)
    tokenizer.backend.save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path).encode("Hello 12") == tokenizer.encode("Hello 12")
