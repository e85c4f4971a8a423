"""What benchmarks/year.py is made of: the clock, the city, and what must agree at the end."""
