"""Opens the machine's devices: memory, disks, kernel log, terminals, and makes new ones.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: refused: device
bomb: yes
"""
# %%
import glob
import os
import stat

names = ["/dev/mem", "/dev/kmsg", "/dev/port", "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/loop-control", "/dev/uinput"]
for path in names + glob.glob("/dev/sd*") + glob.glob("/dev/vd*") + glob.glob("/dev/nvme*") + glob.glob("/dev/dri/*") + ["/proc/sysrq-trigger"]:
    try:
        os.close(os.open(path, os.O_RDWR if "sysrq" not in path else os.O_WRONLY))
        print("REACHED", path)
    except OSError as error:
        print("refused: device", path, type(error).__name__)
try:
    os.mknod("/tmp/disk", 0o600 | stat.S_IFBLK, os.makedev(254, 0))
    os.open("/tmp/disk", os.O_RDWR)
    print("REACHED a device of its own")
except OSError as error:
    print("refused: device mknod", type(error).__name__)
