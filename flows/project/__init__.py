"""Where is what belongs to this clone? Folders, locks, rights, databases and the environment.

May import pipelines alone.
"""
