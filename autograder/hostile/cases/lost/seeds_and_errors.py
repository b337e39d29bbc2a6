"""Seeds the random generators and makes numpy and torch strict.

answers: kv_bytes_per_token attention_with_cache
score: kv_bytes_per_token=3 attention_with_cache=6
note: -
"""
# %%
import random

random.seed(0)
np.random.seed(0)
torch.manual_seed(0)
np.seterr(all="raise", under="ignore")
torch.use_deterministic_algorithms(True)
torch.set_grad_enabled(False)
