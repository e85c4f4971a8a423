"""Programs that tests start in a process of their own."""
