"""How good is the champion on live rows, what has changed in them, and who is told?"""
