"""Who asks: tokens, API keys, and the keys that sign."""
