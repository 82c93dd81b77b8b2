"""Coinbase Advanced Trade's protocol in front of the local exchange: spot REST and its WebSocket channels."""
