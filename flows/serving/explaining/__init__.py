"""Why did the model give this answer? Computed in a process of its own, so that no answer waits for it.

May import pipelines, and of flows.serving what reads and computes rows. The server itself imports `explainer` alone.
"""
