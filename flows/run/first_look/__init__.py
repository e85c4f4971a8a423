"""Is there anything to do? Asked before a server is started: most runs find that nothing has changed."""
