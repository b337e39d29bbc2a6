"""Thinks that FlashAttention computes less; it moves less"""
def classify_phase():
    return {'prefill': {'tokens_per_pass': 'the whole prompt',
                 'bottleneck': 'compute',
                 'latency_metric': 'TTFT',
                 'fixes': {'prefix caching': 'less compute', 'FlashAttention': 'less compute'}},
     'decode': {'tokens_per_pass': 'one per sequence',
                'bottleneck': 'bandwidth',
                'latency_metric': 'TPOT',
                'fixes': {'int8 weights': 'fewer bytes',
                          'grouped-query attention': 'fewer bytes',
                          'fp8 KV cache': 'fewer bytes',
                          'continuous batching': 'more reuse',
                          'speculative decoding': 'more reuse'}}}
