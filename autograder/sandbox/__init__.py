"""Student code runs in a jail: `modes` says which, `provisioner` starts kernels in it, `doctor` tries its promises.

Three programs run under `python -I -S`: `warden` outside the jail, parent of everything in it; `inside` within it, the
last step before the kernel; they share nothing with the rest but JSON on the command line.
"""
