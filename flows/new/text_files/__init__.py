"""How is a text file written? Which lines are rows, what parts cells, and what these mean, each with its reason."""
