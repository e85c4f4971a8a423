"""What stands on each page? One file for each: its addresses, and what is worked out for its template.

May import all of web but what starts it."""
