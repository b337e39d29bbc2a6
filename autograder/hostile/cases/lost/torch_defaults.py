"""Makes float64 torch's default dtype.

answers: Decoder generate
score: Decoder=6 generate=6
note: -
"""
# %%
torch.set_default_dtype(torch.float64)
torch.set_printoptions(precision=2)
