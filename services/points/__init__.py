"""Points: balances, lots and transactions of every customer."""
