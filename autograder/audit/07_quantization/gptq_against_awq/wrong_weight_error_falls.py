"""Believes that both lower the weight error too."""
def gptq_against_awq():
    answers = {
        "runs_the_model_on_text": "both",
        "trains_by_backpropagation": "neither",
        "moves_error_to_later_weights": "gptq",
        "rescales_input_channels": "awq",
        "uses_input_correlations": "gptq",
        "may_raise_weight_error": "both",
        "needs_more_bytes_per_weight": "neither",
    }
    answers["may_raise_weight_error"] = "neither"
    return answers
