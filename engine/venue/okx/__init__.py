"""OKX's v5 protocol in front of the local exchange: perpetual swaps and spot markets, REST and WebSocket."""
