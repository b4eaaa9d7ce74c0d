"""How fast this machine trains, against a Python loop and against its own peak."""
