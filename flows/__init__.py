"""The marketers' door: buttons and clocks in Prefect. A flow reads as a paragraph and calls the engine."""
