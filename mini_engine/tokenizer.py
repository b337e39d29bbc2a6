"""Text to token ids and back: byte-level BPE with the vocabulary and merges of the model file.

The merging itself is done by Hugging Face's `tokenizers`; 01_tokens_to_logits writes it by hand.
"""

import codecs
import os
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from mini_engine.files.fetch import GGUF_SHA256, cache_folder, fetch_gguf, replacing
from mini_engine.files.gguf import GGUFFile

DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
CONTROL = 3  # the token_type of GGUF for tokens such as <|im_start|>


def byte_alphabet():
    """The character that stands for each byte in a byte-level vocabulary: a list of 256 (GPT-2's bytes_to_unicode).

    Printable Latin-1 bytes stand for themselves; the other 68 take the characters from U+0100 on, in order.
    """
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    spare = iter(range(256, 512))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


class ModelTokenizer:
    """A tokenizer of one model. Control tokens written out in a text (`<|im_end|>`) are read as such."""

    def __init__(self, backend, eos_token="<|im_end|>", bos_token="<|im_start|>"):
        self.backend = backend
        self.eos_token_id, self.bos_token_id = backend.token_to_id(eos_token), backend.token_to_id(bos_token)
        self.vocab_size = backend.get_vocab_size()
        self._control = {i for i, token in backend.get_added_tokens_decoder().items() if token.special}
        self._bytes = {character: byte for byte, character in enumerate(byte_alphabet())}

    def encode(self, text):
        """The ids of a text, a list. No token is added in front: this model wants none."""
        return self.backend.encode(text, add_special_tokens=False).ids

    def decode(self, token_ids, skip_special_tokens=False):
        """The text of a sequence of ids; bytes that are not UTF-8 become U+FFFD. Raises IndexError for a foreign id."""
        data = b"".join(self.token_bytes(i, skip_special_tokens) for i in token_ids)
        return data.decode("utf-8", errors="replace")

    def token_bytes(self, token_id, skip_special_tokens=False):
        """The bytes that one token stands for; a character may be spread over several tokens."""
        token_id = int(token_id)
        token = self.backend.id_to_token(token_id) if 0 <= token_id < self.vocab_size else None
        if token is None:
            raise IndexError(f"token id {token_id} is outside the vocabulary of {self.vocab_size}")
        if token_id in self._control:
            return b"" if skip_special_tokens else token.encode()
        return bytes(self._bytes[character] for character in token)

    def stream(self, skip_special_tokens=True):
        """A StreamDecoder for one sequence."""
        return StreamDecoder(self, skip_special_tokens)

    def apply_chat_template(self, messages, add_generation_prompt=True, tokenize=True):
        """A conversation in the model's own markup (ChatML), as ids or, with tokenize=False, as text.

        messages: dicts with `role` and `content`. Without a system message in front, the model's default one is put
        there. add_generation_prompt: end with the start of the assistant's turn. Raises ValueError for no messages.
        """
        if not messages:
            raise ValueError("a conversation needs at least one message")
        if messages[0]["role"] != "system":
            messages = [{"role": "system", "content": DEFAULT_SYSTEM}, *messages]
        text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
        if add_generation_prompt:
            text += "<|im_start|>assistant\n"
        return self.encode(text) if tokenize else text


class StreamDecoder:
    """Text as it can be shown while tokens arrive: a character whose bytes are not all there yet is held back."""

    def __init__(self, tokenizer, skip_special_tokens):
        self._tokenizer, self._skip = tokenizer, skip_special_tokens
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id):
        """The text that becomes complete with this token, perhaps none."""
        return self._utf8.decode(self._tokenizer.token_bytes(token_id, self._skip))

    def finish(self):
        """What was held back at the end: U+FFFD for an unfinished character, or nothing."""
        return self._utf8.decode(b"", final=True)


class TextStream:
    """The growing text of one request, never with a piece of a stop string in it.

    decoder: feed(token_id) -> the text that is complete with it, and finish() -> the rest, as `tokenizer.stream()`
    gives it. stop: strings that end the text; the first one found is cut off with all behind it, and is_stopped
    becomes True.
    """

    def __init__(self, decoder, stop=()):
        self.decoder, self.stop = decoder, tuple(stop)
        self.is_stopped = False
        self._held = ""  # may be the start of a stop string

    def push(self, token_ids, is_last=False):
        """Take new tokens and return the text that is certain now, possibly ""."""
        if self.is_stopped:
            return ""
        self._held += "".join(map(self.decoder.feed, token_ids)) + (self.decoder.finish() if is_last else "")
        found = [place for place in map(self._held.find, self.stop) if place >= 0]
        if found:
            self.is_stopped = True
            return self._release(min(found))
        return self._release(len(self._held) - (0 if is_last else self._num_suspicious()))

    def _num_suspicious(self):
        """Length of the longest end of the held text that a stop string starts with."""
        longest = max(map(len, self.stop), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self.stop):
                return size
        return 0

    def _release(self, size):
        text, self._held = self._held[:size], self._held[size:]
        return text


def tokenizer_from_gguf(metadata):
    """The `tokenizers` backend that a GGUF file's metadata describes (model gpt2, pre-tokenizer smollm).

    smollm splits digits one by one before GPT-2's pattern. Raises ValueError for another kind of tokenizer.
    """
    kind = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if kind != ("gpt2", "smollm"):
        raise ValueError(f"the file's tokenizer is {kind[0]}/{kind[1]}; this engine knows gpt2/smollm")
    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    backend = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    split = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    backend.pre_tokenizer = pre_tokenizers.Sequence(split)
    backend.decoder = decoders.ByteLevel()
    types = metadata["tokenizer.ggml.token_type"]
    control = [token for token, kind in zip(tokens, types, strict=True) if kind == CONTROL]
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    return backend


def load_smollm2_tokenizer():
    """SmolLM2's tokenizer, kept as a tokenizer.json in the cache folder. Raises ModelUnavailable as load_smollm2."""
    path = cache_folder() / f"smollm2-135m-instruct-{GGUF_SHA256[:12]}-tokenizer.json"
    if path.exists():
        try:
            return ModelTokenizer(Tokenizer.from_file(str(path)))
        except Exception as error:  # the package raises plain Exception for a file it cannot read
            print(f"{path} is damaged ({error}): writing it again", file=sys.stderr)
    backend = tokenizer_from_gguf(GGUFFile(fetch_gguf()).metadata)
    try:
        with replacing(path) as file:
            file.write(backend.to_str().encode())
    except OSError as error:
        print(f"cannot keep the tokenizer in the cache: {error}", file=sys.stderr)
    return ModelTokenizer(backend)


def load_tokenizer(path):
    """The tokenizer beside a model's weights: tokenizer.json of a folder, or the metadata of a GGUF file.

    Raises ValueError where there is none, or where it has not the control tokens of SmolLM2's chat markup.
    """
    path = Path(path)
    if not path.is_dir():
        return ModelTokenizer(tokenizer_from_gguf(GGUFFile(path).metadata))
    file = path / "tokenizer.json"
    if not os.path.exists(file):
        raise ValueError(f"{path} has no tokenizer.json")
    backend = Tokenizer.from_file(str(file))
    if backend.token_to_id("<|im_end|>") is None:
        raise ValueError(f"{file} has no <|im_end|> token: it is not of the SmolLM2 family")
    return ModelTokenizer(backend)
