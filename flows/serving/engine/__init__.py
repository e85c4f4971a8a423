"""Who computes the answers, for how many rows at once, and with which version?

May import pipelines, flows.serving.rows and what stands beside it: answer, problem, version and version_code.
"""
