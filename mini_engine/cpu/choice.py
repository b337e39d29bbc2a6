"""Whether the compiled model is used here: by what the processor has, not by a clock, which a busy neighbour decides.

The rule is a table of measurements: a width of vector registers stands in it with the kinds of weights whose decode
step was measured to be no slower than torch's in float32 (chapter 13). What does not stand in it is not taken.
"""

import sys

from mini_engine.cpu.model import SCHEMES, CompiledLlama
from mini_engine.cpu.processor import processor, vector_bits

# bits of the registers in which LLVM computes floats here: AVX-512; AVX2 with FMA, where torch's float32 is as fast or
# faster, and which was only tried by NUMBA_CPU_NAME=haswell on a processor with AVX-512
MEASURED = {512: tuple(SCHEMES), 256: ("int8", "int8 groups", "int4")}


def compile_llama(config, weights, quant=None, insist=False):
    """A CompiledLlama, or None where torch in float32 is used instead, after one line on stderr that says why.

    No line where torch is known to be the better way to do what was asked. insist: take it on any processor, and raise
    the ValueError of a model that does not fit.
    """
    known = MEASURED.get(vector_bits(), ())
    if not insist and quant is None and known and None not in known:
        return None
    if not insist and quant not in known:
        kind = quant or "float32"
        reason = f"nobody has measured the compiled {kind} kernels on a processor such as this ({processor()})"
    else:
        try:
            return CompiledLlama(config, weights, quant)
        except ValueError as error:
            if insist:
                raise
            reason = str(error)
    print(f"torch in float32 is used: {reason}", file=sys.stderr)
    return None
