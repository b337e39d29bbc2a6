"""Whether the compiled model is used here: by what the processor has, not by a clock, which a busy neighbour decides.

The rule is a table of measurements: a width of vector registers stands in it with the kinds of weights whose decode
step was measured to be no slower than torch's in float32 (chapter 13). What does not stand in it is not taken.
"""

import sys

from mini_engine.cpu.model import SCHEMES, CompiledLlama
from mini_engine.cpu.processor import processor, vector_bits

# bits of the registers in which LLVM computes floats here: AVX-512; AVX2 with FMA
MEASURED = {512: tuple(SCHEMES), 256: tuple(SCHEMES)}


def why_not(quant=None):
    """None where the compiled kernels are used for such weights, else the reason, in one line."""
    if quant in MEASURED.get(vector_bits(), ()):
        return None
    return f"nobody has measured the compiled {quant or 'float32'} kernels on a processor such as this ({processor()})"


def compile_llama(config, weights, quant=None, insist=False):
    """A CompiledLlama, or None after one line on stderr that says why torch in float32 is used instead.

    insist: take it on a processor of which nothing is known, and raise the ValueError of a model that does not fit.
    """
    reason = None if insist else why_not(quant)
    if reason is None:
        try:
            return CompiledLlama(config, weights, quant)
        except ValueError as error:
            if insist:
                raise
            reason = str(error)
    print(f"torch in float32 is used: {reason}", file=sys.stderr)
    return None
