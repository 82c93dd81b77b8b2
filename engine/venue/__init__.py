"""A local exchange: an account, orders and fills against recorded bars, spoken to in a real venue's protocol."""
