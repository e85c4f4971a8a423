"""How is the network trained? Batches, the compiled loop, checkpoints and memory.

May import distributed, model and what lies below them.
"""
