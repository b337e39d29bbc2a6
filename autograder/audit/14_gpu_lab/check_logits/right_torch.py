"""Uses torch in float64, and says no to NaN by name."""


def check_logits(logits, oracle, tolerance=1e-4):
    got, want = (torch.tensor(np.asarray(x)).double() for x in (logits, oracle))
    if got.shape != want.shape or not want.numel() or not want.any():
        raise ValueError(f"shapes {tuple(got.shape)} and {tuple(want.shape)}, or an oracle of zeros")
    error = ((got - want).abs().max() / want.abs().max()).item()
    agreement = (got.argmax(-1) == want.argmax(-1)).double().mean().item()
    return {"relative_error": error, "agreement": agreement, "passed": not math.isnan(error) and error <= tolerance}
