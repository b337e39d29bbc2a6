"""Asks for input in a free cell; there is nobody to type.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: StdinNotImplementedError|input
"""
# %%
name = input("How many layers? ")
# %% end
import getpass

getpass.getpass("and your password? ")
