"""The processor that code is compiled for: its name, and how many floats it multiplies and adds at once."""

import functools
import os
import re

from llvmlite import binding
from numba.core import config
from numba.core.registry import cpu_target

# with the name alone Numba would go on using what this machine's own processor has
if config.CPU_NAME is not None and config.CPU_FEATURES is None:
    # LLVM ends the process where a name that it does not know leaves even this open
    os.environ["NUMBA_CPU_FEATURES"] = "+64bit" if "x86_64" in binding.get_process_triple() else ""
    config.reload_config()

VECTOR = "<16 x float>"
ONE_FMA = f"""
declare {VECTOR} @llvm.fmuladd.v16f32({VECTOR}, {VECTOR}, {VECTOR})
define {VECTOR} @f({VECTOR} %a, {VECTOR} %b, {VECTOR} %c) {{
  %y = call {VECTOR} @llvm.fmuladd.v16f32({VECTOR} %a, {VECTOR} %b, {VECTOR} %c)
  ret {VECTOR} %y
}}
"""


def processor():
    """LLVM's name of the processor that code is compiled for. NUMBA_CPU_NAME changes it."""
    return cpu_target.target_context.codegen().magic_tuple()[1]


@functools.cache
def vector_bits():
    """Bits of the registers in which LLVM multiplies and adds floats at once here: 512, 256, 128; 0 where it cannot."""
    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    machine = binding.Target.from_default_triple().create_target_machine(cpu=name, features=features)
    code = machine.emit_assembly(binding.parse_assembly(ONE_FMA))
    signs = {512: r"vfmadd\w+.*zmm", 256: r"vfmadd\w+.*ymm", 128: r"vfmadd\w+.*xmm|fmla"}
    return next((bits for bits, sign in signs.items() if re.search(sign, code)), 0)
