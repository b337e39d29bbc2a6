"""Changes its user, asks for capabilities, and runs programs that would give it more.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: refused: user
bomb: yes
"""
# %%
import ctypes
import os
import shutil
import subprocess

for name, call in (("user 0", lambda: os.setuid(0)), ("user 1000", lambda: os.setuid(1000)), ("groups", lambda: os.setgroups([0]))):
    try:
        call()
        print("REACHED", name, os.getuid())
    except OSError as error:
        print("refused: user", name, type(error).__name__)
for command in (["sudo", "-n", "id"], ["su", "-c", "id"], ["pkexec", "id"], ["mount"], ["newgrp"]):
    if shutil.which(command[0]):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=5)
        print("REACHED" if "uid=0" in done.stdout else "refused:", command[0])
shutil.copy("/bin/sh", "/tmp/shell")
try:
    os.chmod("/tmp/shell", 0o4755)
except OSError as error:
    print("refused: setuid bit", type(error).__name__)
status = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
print("REACHED capabilities" if int(status["CapEff"], 16) else "refused: user capabilities", status["CapEff"], status["NoNewPrivs"])
