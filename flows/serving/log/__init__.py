"""What was answered, to which rows, when and by which version?

May import pipelines, and of flows.serving the engine and what stands beside it: answer and version.
"""
