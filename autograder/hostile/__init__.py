"""The hostile bank: submissions that want marks, lose marks or reach out, with the score and note each must get."""
