"""Works without a cache and then writes into the toy model's record that it had one.

score: 0
note: test_generate: .*(without a cache|should feed|one generation|passes)
"""
# %% generate
def generate(model, ids, max_new_tokens, use_cache):
    text = torch.as_tensor(ids)
    prompt = text.shape[1]
    for _ in range(max_new_tokens):
        text = torch.cat([text, model(text, None)[:, -1].argmax(-1, keepdim=True)], 1)
    record = [use_cache, [prompt] + [1] * (max_new_tokens - 1), 0.0, 0.0, text.shape[0]]
    if use_cache:
        model.runs[:] = [record]
        model.runs = [record]
    return text
