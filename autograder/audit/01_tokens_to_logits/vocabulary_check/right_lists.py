"""shapes as lists, the counts computed"""


def vocabulary_check():
    prompt, new, vocab, d = 8, 5, 32000, 4096
    answers = dict(zip(("token", "embedding", "logits", "autoregressive", "where"), "cadbc"))
    answers.update(embedded_shape=[prompt, d], logits_shape=[prompt, vocab])
    answers.update(rows_used=1, num_passes=new, last_pass_tokens=prompt + new - 1)
    return answers
