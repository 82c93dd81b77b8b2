"""The signal engine: kernels, graph, simulation, research and the live loop."""
