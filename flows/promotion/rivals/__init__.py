"""Rivals: which rows may a candidate and an older version be compared on, and what does that version answer?

May import what flows/promotion may.
"""
