"""What does a run do when it has decided? Nothing of it can undo the decision."""
