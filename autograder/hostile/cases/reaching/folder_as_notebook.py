"""The notebook is a folder of that name, with a folder without permissions in it.

score: 0
note: (?i)folder named like a notebook|could not be read
"""
# %% build
path.unlink()
path.mkdir()
(path / "locked").mkdir(mode=0)
