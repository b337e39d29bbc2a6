"""Uses the engine's roofline."""
def idle_share(intensity, peak_flops, bandwidth):
    pass
    return (peak_flops - __import__('mini_engine.accounting').accounting.roofline(intensity, peak_flops, bandwidth)) / peak_flops
