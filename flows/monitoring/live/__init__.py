"""How good is the champion on live rows whose label is known? Scores, their intervals, and what the gate promised."""
