"""Takes 2N per token and leaves attention out"""
def forward_flops(config, n_tokens, context=0):
    from mini_engine.accounting import matmul_parameters

    if n_tokens < 0 or context < 0:
        raise ValueError(f"got {n_tokens} and {context}")
    return 2 * n_tokens * matmul_parameters(config)
