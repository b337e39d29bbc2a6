# Lets nbgrader's commands work from the root; everything is in autograder/nbgrader_config.py.
load_subconfig("autograder/nbgrader_config.py")  # noqa: F821
