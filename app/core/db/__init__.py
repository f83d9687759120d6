"""The database: connections, transactions, reads."""
