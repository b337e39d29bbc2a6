"""Who tests the tests: the reference, the starter, the bank of wrong and right answers and every mutant, scored."""
