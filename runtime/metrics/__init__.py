"""What Prometheus reads: which metrics there are, what feeds them, and where they outlive us."""
