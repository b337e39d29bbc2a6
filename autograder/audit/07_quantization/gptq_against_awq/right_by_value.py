"""Groups the statements by their answer."""
def gptq_against_awq():
    groups = {
        "gptq": ["moves_error_to_later_weights", "uses_input_correlations"],
        "awq": ["rescales_input_channels"],
        "both": ["runs_the_model_on_text", "may_raise_weight_error"],
        "neither": ["trains_by_backpropagation", "needs_more_bytes_per_weight"],
    }
    return {key: method for method, keys in groups.items() for key in keys}
