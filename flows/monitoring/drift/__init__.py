"""Has what comes in changed, and what is answered, before a label says how good the answers are?"""
