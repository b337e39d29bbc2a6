"""What arrives: collected, read without running it, made fit to be graded."""
