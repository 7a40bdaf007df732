"""Whether the offline plane says what the online plane said: anchors, states, verdicts, explanations."""
