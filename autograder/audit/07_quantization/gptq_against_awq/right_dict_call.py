"""The same table made with dict()."""
def gptq_against_awq():
    return dict(
        rescales_input_channels="awq",
        moves_error_to_later_weights="gptq",
        uses_input_correlations="gptq",
        runs_the_model_on_text="both",
        may_raise_weight_error="both",
        trains_by_backpropagation="neither",
        needs_more_bytes_per_weight="neither",
    )
