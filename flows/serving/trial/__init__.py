"""What answers beside the champion: the same rows unseen (shadow, before), or the rows of some callers (canary)."""
