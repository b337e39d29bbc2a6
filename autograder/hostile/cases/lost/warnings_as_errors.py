"""Turns warnings into errors for the whole notebook.

answers: all
score: all
note: -
"""
# %%
import warnings

warnings.simplefilter("error")
