"""PostgreSQL behind the ports: named statements, one workspace to a transaction."""
