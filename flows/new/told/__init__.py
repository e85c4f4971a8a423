"""What does `ratchet new` say of its decisions?

May import all of flows.new but `new` itself.
"""
