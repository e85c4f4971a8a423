"""Which version of each model is live on this machine, and with which files does a server answer?

May import promotion and what lies below it.
"""
