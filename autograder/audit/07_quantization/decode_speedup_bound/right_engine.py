"""Asks the engine."""
def decode_speedup_bound(bytes_before, bytes_after):
    from mini_engine.speed import decode_speedup_bound as bound

    return bound(bytes_before, bytes_after)
