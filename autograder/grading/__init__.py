"""Grading: one submission, a class on every core or a cluster, and again after a test has changed."""
