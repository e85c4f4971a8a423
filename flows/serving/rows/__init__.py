"""What are the rows of a request as the arrays that a model takes?

May import pipelines, and of flows.serving only what stands beside it: answer, problem, version and version_code.
"""
