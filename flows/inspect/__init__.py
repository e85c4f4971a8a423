"""How do things stand? Questions that change nothing: status, history, plan, doctor.

May import every package but cli.
"""
