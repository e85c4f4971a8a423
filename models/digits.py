"""No code of its own: digits.yaml says it all."""
