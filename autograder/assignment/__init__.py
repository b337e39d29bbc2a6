"""From an assignment script to the notebooks that nbgrader reads and students open."""
