"""Binance's protocol in front of the local exchange: spot REST, market streams and the user data stream."""
