"""Pictures of a graph, for people: text and Mermaid flowcharts, with formulas in plain notation."""
