"""Hands in links: its notebook is a link to another's, its data are links to the host's files and folders.

score: 0
note: was set aside|could not be read
"""
# %% build
other = folder.parent.parent / "victim" / "04_flops_and_roofline" / "04_flops_and_roofline.ipynb"
path.unlink()
path.symlink_to(other)
(folder / "passwd").symlink_to("/etc/passwd")
(folder / "everything").symlink_to("/")
(folder / "itself").symlink_to("itself")
