"""Programs as text: read out of a completion, given their return, cut into steps and parts."""
