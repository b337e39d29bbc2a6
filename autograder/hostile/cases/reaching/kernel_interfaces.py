"""Calls into the kernel's less usual doors: bpf, io_uring, keys, perf, modules, file handles.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: refused: call
bomb: yes
"""
# %%
import ctypes
import os
import platform

numbers = {"io_uring_setup": 425, "bpf": 321, "perf_event_open": 298, "keyctl": 250, "add_key": 248, "userfaultfd": 323,
           "process_vm_readv": 310, "open_by_handle_at": 304, "finit_module": 313, "kexec_load": 246, "reboot": 169, "swapon": 167, "acct": 163}
libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(256)
if platform.machine() != "x86_64":
    print("refused: call (numbers of another machine)")
else:
    for name, number in numbers.items():
        arguments = {"io_uring_setup": (2, room), "bpf": (0, room, 64), "keyctl": (0, -3, 0), "add_key": (b"user", b"x", b"y", 1, -3), "userfaultfd": (0,)}
        answer = libc.syscall(ctypes.c_long(number), *arguments.get(name, (0, 0, 0, 0, 0)))
        print("REACHED " + name if answer >= 0 else f"refused: call {name} {os.strerror(ctypes.get_errno())}")
