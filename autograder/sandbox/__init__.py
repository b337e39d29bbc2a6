"""Student code runs in a jail: `modes` says which, `provisioner` starts kernels in it, `doctor` tries its promises.

A kernel is a fork of a `warm` parent, one for each process that grades (`forks`), or is started anew where that is not
wanted (`--JailProvisioner.warm=False`); in bubblewrap's namespaces by `join`. `places`, `cells` and `jails` say what is
shown, what one jail has, and how it is made.

Three programs run under `python -I -S`: `warden` outside the jail, parent of everything in it; `inside` within it, the
last step before the kernel; they share nothing with the rest but JSON on the command line.
"""
