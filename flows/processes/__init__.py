"""Which processes work for a run, and what do they use? Begun, watched, measured and ended here.

May import servers and project.
"""
