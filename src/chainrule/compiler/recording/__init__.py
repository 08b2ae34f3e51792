"""Writing a step down: its gates, the state that it finds, and what its program takes for granted."""
