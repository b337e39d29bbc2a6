"""Lists and copies what other students handed in, and their feedback.

score: 0
note: refused: others
"""
# %% kv_bytes_per_token
import glob
import os

for place in (HOST_CLASS, "..", "../..", "../../..", "/proc/self/cwd/../..", "/proc/1/root" + HOST_CLASS):
    for step in ("submitted", "autograded", "feedback", ""):
        try:
            names = os.listdir(os.path.join(place, step))
            others = [name for name in names if name == "victim" or name.startswith(("patched-", "forged-"))]
            print("REACHED" if others else "refused: others", len(others))
        except OSError as error:
            print("refused: others", type(error).__name__)
for path in glob.glob(HOST_CLASS + "/submitted/victim/**/*.ipynb", recursive=True):
    print(open(path).read())
