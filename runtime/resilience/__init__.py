"""Machines that decide when a vendor is called, and the copies of them that a replica holds."""
