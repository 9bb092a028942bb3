"""What is promised, sentence by sentence."""
