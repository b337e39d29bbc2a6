"""Went through Colab: its metadata, new ids, outputs of its own, a form and a drive mount.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: No module named 'google|ModuleNotFoundError
"""
# %%
from google.colab import drive

drive.mount("/content/drive")
%cd /content/drive
# %% build
for number, c in enumerate(notebook.cells):
    c.id = f"colab{number:04d}"
    c.metadata |= {"id": f"Ab{number}", "colab": {"base_uri": "https://localhost:8080/"}, "outputId": "0", "cellView": "form"}
notebook.metadata = {"colab": {"provenance": [], "gpuType": "T4"}, "accelerator": "GPU", "kernelspec": {"name": "python3", "display_name": "Python 3"}}
write()
