"""Opens ports for others to connect to, on all addresses.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (listens|refused)
"""
# %%
import socket
import subprocess
import sys

text = "import socket, time; s = socket.socket(); s.bind(('0.0.0.0', 0)); s.listen(); print('listens', flush=True); time.sleep(3600)"
child = subprocess.Popen([sys.executable, "-c", text, HOST_MARK], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
print(child.stdout.readline().strip() or "refused")
