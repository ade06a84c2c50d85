"""The steps from a question to a cited answer, in the order of `answer.py`."""
