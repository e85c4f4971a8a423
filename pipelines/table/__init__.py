"""What are rows? Types, identities, profiles, rules, windows, and how they lie on disk.

May import hardware and what lies below it.
"""
