"""Everything that answers a question, and nothing that knows about Ray or HTTP."""
