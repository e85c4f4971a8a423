"""What does a model make of its columns, over many rows? Importance, dependence, rules, and the steps of a window."""
