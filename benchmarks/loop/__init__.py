"""Simulated answers, and what the decision functions of the loop make of them."""
