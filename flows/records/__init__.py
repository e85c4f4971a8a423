"""What has happened so far? Ledger, attempts, outputs and times, as they lie in files.

May import servers, processes and project.
"""
