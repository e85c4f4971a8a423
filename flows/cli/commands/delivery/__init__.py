"""How does a model leave the project? Commands that write it for elsewhere."""
