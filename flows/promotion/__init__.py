"""Does this candidate become champion? Evidence, gate, decision and alias.

May import report and what lies below it.
"""
